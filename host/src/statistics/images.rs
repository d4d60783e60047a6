//! Methods compared on the images of one test part, by the predictions of their trials.

use std::{collections::BTreeMap, path::Path};

use nashost_plugin_api::dataset::{Part, Target};
use nashost_stats::{
    Alternative,
    bootstrap::Settings,
    comparison::Pair,
    delong::AurocDifference,
    mcnemar::McNemar,
    multiple::holm,
    predictions::{Endpoint, Model, Truths, difference, label_delong, subset_mcnemar},
};
use serde::Serialize;

use super::runs::{Collected, Done};
use crate::{
    error::{Error, Exit, Result},
    evaluate::PredictionTable,
    run::{RunDir, state::State},
};

/// The patient of each image.
pub type Patients = BTreeMap<String, String>;

/// Difference between a value that is computed again and the recorded one that is rounding.
const ROUNDING: f64 = 1e-9;

/// What the images of the test part say of the pairs of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OnImages {
    /// Images of the test part.
    pub images: usize,
    /// Patients of the test part.
    pub patients: usize,
    /// Resamples of the patients.
    pub resamples: usize,
    /// One per pair of the comparison.
    pub pairs: Vec<PairOnImages>,
}

/// What the images say of a pair of methods.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairOnImages {
    /// The first method.
    pub method: String,
    /// The second method.
    pub against: String,
    /// Difference of the means over trials, each on the same images.
    pub difference: f64,
    /// Percentile interval over patients.
    pub percentile: [f64; 2],
    /// Bias-corrected and accelerated interval over patients.
    pub bca: Option<[f64; 2]>,
    /// Two-sided p of the bootstrap.
    pub p: f64,
    /// Trials with the same seed, compared image by image.
    pub seeds: Vec<SeedOnImages>,
}

/// Two trials with the same seed on the same images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedOnImages {
    /// The seed.
    pub seed: u64,
    /// McNemar's exact test of the images of which all labels are right.
    pub mcnemar: McNemar,
    /// DeLong's test of each label.
    pub delong: Vec<LabelDeLong>,
}

/// DeLong's test of a label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelDeLong {
    /// The label.
    pub label: String,
    /// Difference of the areas under the ROC curves.
    pub difference: Option<f64>,
    /// Its interval.
    pub interval: Option<[f64; 2]>,
    /// The p of "equal areas".
    pub p: Option<f64>,
    /// Holm's p over the labels.
    pub p_holm: Option<f64>,
    /// Why there is none.
    pub why: Option<String>,
}

/// Compares the methods of `pairs` on the images of the test part, which all trials must have in common;
/// `group_of` tells the patient of an image.
///
/// # Errors
///
/// E0903 if the trials have no test images in common, the metric is none that can be resampled, or the
/// predictions do not give the recorded value; E0604 and E0605 if predictions cannot be read.
pub fn on_images(
    runs: &[(RunDir, State)],
    collected: &Collected,
    pairs: &[Pair],
    group_of: &dyn Fn(&str) -> Option<String>,
    level: f64,
    settings: Settings,
) -> Result<OnImages> {
    let endpoint = Endpoint::named(&collected.metric).ok_or_else(|| {
        let known = Endpoint::ALL.map(Endpoint::name).join(", ");
        refused(format!("{} cannot be resampled; {known} can", collected.metric))
    })?;
    let mut test: Option<(PredictionTable, Truths)> = None;
    let mut models: BTreeMap<&str, Vec<(&Done, Model)>> = BTreeMap::new();
    for done in &collected.trials {
        let (dir, state) = &runs[done.run];
        let report = state.trials.get(&done.trial).and_then(|trial| trial.test());
        let report = report.ok_or_else(|| refused(format!("run {} has changed", dir.short_id())))?;
        let path = dir.file(&report.predictions);
        let table = PredictionTable::read(&path, group_of)?;
        let (first, truths) = &*test.get_or_insert_with(|| {
            let truths = truths(&table);
            (table.clone(), truths)
        });
        if first.truth() != table.truth() {
            return Err(refused("the trials were tested on different images".to_owned()));
        }
        let model = Model { scores: table.scores().to_vec(), thresholds: report.thresholds.clone() };
        let rows: Vec<usize> = (0..table.truth().len()).collect();
        let (again, recorded) = (
            endpoint.of(truths, &model, &rows),
            report.test.overall.get(&collected.metric).and_then(|value| value.value),
        );
        if again.zip(recorded).is_none_or(|(again, recorded)| (again - recorded).abs() > ROUNDING) {
            let message = format!("{} give {again:?}, but {recorded:?} is recorded", path.display());
            return Err(refused(message));
        }
        models.entry(&done.method).or_default().push((done, model));
    }
    let (table, truths) = test.ok_or_else(|| refused("no trial has predictions".to_owned()))?;
    let clusters = table.truth().patients();
    let mut found = Vec::new();
    for pair in pairs {
        let of = |name: &str| models.get(name).map(Vec::as_slice).unwrap_or_default();
        let (first, second) = (of(&pair.method), of(&pair.against));
        let bare = |models: &[(&Done, Model)]| models.iter().map(|(_, model)| model.clone()).collect();
        let (a, b): (Vec<Model>, Vec<Model>) = (bare(first), bare(second));
        let drawn = difference(&truths, &clusters, endpoint, [&a, &b], settings)
            .map_err(|why| super::undefined("bootstrap over patients", &why))?;
        let interval = drawn.percentile(level).map_err(|why| super::undefined("bootstrap", &why))?;
        found.push(PairOnImages {
            method: pair.method.clone(),
            against: pair.against.clone(),
            difference: drawn.estimate,
            percentile: interval,
            bca: drawn.bca(level).ok(),
            p: drawn.p_of_zero(),
            seeds: by_seed(&table, &truths, first, second, level)?,
        });
    }
    Ok(OnImages {
        images: table.truth().len(),
        patients: clusters.len(),
        resamples: settings.resamples,
        pairs: found,
    })
}

/// Compares trials whose seed each method has once.
fn by_seed(
    table: &PredictionTable,
    truths: &Truths,
    first: &[(&Done, Model)],
    second: &[(&Done, Model)],
    level: f64,
) -> Result<Vec<SeedOnImages>> {
    let alone = |models: &'_ [(&Done, Model)], seed: u64| -> Option<usize> {
        let mut same = models.iter().enumerate().filter(|(_, (done, _))| done.seed == seed);
        let (index, _) = same.next()?;
        same.next().is_none().then_some(index)
    };
    let mut seeds: Vec<u64> = first.iter().map(|(done, _)| done.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let mut found = Vec::new();
    for seed in seeds {
        let Some((a, b)) = alone(first, seed).zip(alone(second, seed)) else { continue };
        let (a, b) = (&first[a].1, &second[b].1);
        let mcnemar = subset_mcnemar(truths, a, b).map_err(|why| super::undefined("McNemar's test", &why))?;
        let tests = label_delong(truths, a, b);
        let mut delong: Vec<LabelDeLong> = table
            .truth()
            .labels()
            .iter()
            .zip(&tests)
            .map(|(label, test)| label_row(label, test.as_ref(), level))
            .collect();
        let p: Vec<f64> = delong.iter().filter_map(|row| row.p).collect();
        let adjusted = holm(&p).map_err(|why| super::undefined("DeLong's test", &why))?;
        for (row, p) in delong.iter_mut().filter(|row| row.p.is_some()).zip(adjusted) {
            row.p_holm = Some(p);
        }
        found.push(SeedOnImages { seed, mcnemar, delong });
    }
    Ok(found)
}

fn label_row(
    label: &str,
    test: std::result::Result<&AurocDifference, &nashost_stats::Undefined>,
    level: f64,
) -> LabelDeLong {
    LabelDeLong {
        label: label.to_owned(),
        difference: test.ok().map(|test| test.difference),
        interval: test.ok().and_then(|test| test.interval(level).ok()),
        p: test.ok().map(|test| test.p(Alternative::TwoSided)),
        p_holm: None,
        why: test.err().map(ToString::to_string),
    }
}

fn truths(table: &PredictionTable) -> Truths {
    let targets = table.truth().targets().iter().map(|target| match target {
        Target::Positive => Some(true),
        Target::Negative => Some(false),
        Target::NotAssessed => None,
    });
    Truths { labels: table.truth().labels().len(), targets: targets.collect() }
}

fn refused(message: String) -> Error {
    Error::new(Exit::Usage, "E0903", message)
}

/// Reads `--groups`: a CSV file with the columns `image_id` and `group`.
///
/// # Errors
///
/// E0905 if it cannot be read, a column is missing, or an image comes twice.
pub fn read_groups(path: &Path) -> Result<Patients> {
    let failed = |why: String| {
        Error::new(Exit::Usage, "E0905", format!("{}: {why}", path.display()))
            .help("the columns are image_id and group, with a row for each test image")
    };
    let mut reader = csv::Reader::from_path(path).map_err(|error| failed(error.to_string()))?;
    let header = reader.headers().map_err(|error| failed(error.to_string()))?.clone();
    let find = |name: &str| {
        header
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| failed(format!("there is no column `{name}`")))
    };
    let (id, group) = (find("image_id")?, find("group")?);
    let mut patients = Patients::new();
    for row in reader.records() {
        let row = row.map_err(|error| failed(error.to_string()))?;
        if patients.insert(row[id].to_owned(), row[group].to_owned()).is_some() {
            return Err(failed(format!("image `{}` comes twice", &row[id])));
        }
    }
    Ok(patients)
}

/// Whether each test image of `state` is of another patient, so that none need be known.
pub fn images_are_patients(state: &State) -> bool {
    let test = state.split.as_ref().and_then(|split| split.parts.get(&Part::Test));
    test.is_some_and(|test| test.groups == test.images)
}
