//! Predictors that look at no image. A model that does not beat them has learned nothing.

use std::{cmp::Reverse, collections::BTreeMap};

use nashost_plugin_api::{
    dataset::Target,
    seed::{derive_seed, rng},
};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::{PredictionTable, Truth};
use crate::error::{Error, Exit, Result};

/// The trivial baselines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// No label, on any image.
    AllNegative,
    /// Every label, on every image.
    AllPositive,
    /// The label set that most training images have.
    MostFrequentLabelSet,
    /// The one finding, other than the normal label, that alone is right on most training images.
    CommonestFinding,
    /// Each label with the probability it has in the training part, drawn independently.
    PrevalenceRandom,
}

impl Baseline {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 5] = [
        Self::AllNegative,
        Self::AllPositive,
        Self::MostFrequentLabelSet,
        Self::CommonestFinding,
        Self::PrevalenceRandom,
    ];

    /// Name in tables and files.
    pub fn id(self) -> &'static str {
        match self {
            Self::AllNegative => "all-negative",
            Self::AllPositive => "all-positive",
            Self::MostFrequentLabelSet => "most-frequent-label-set",
            Self::CommonestFinding => "commonest-finding",
            Self::PrevalenceRandom => "prevalence-random",
        }
    }
}

/// A baseline with what it took from the training part.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedBaseline {
    baseline: Baseline,
    labels: Vec<String>,
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    /// One answer for all images.
    Constant(Vec<bool>),
    /// One probability per label, and the seed of the draws.
    Random { prevalence: Vec<f64>, seed: u64 },
}

/// Fits all baselines on the training part. [`Baseline::CommonestFinding`] is left out if the normal
/// label is the only one.
///
/// # Errors
///
/// E0608 if there is no training image.
pub fn fit_baselines(train: &Truth, normal_label: Option<&str>, seed: u64) -> Result<Vec<FittedBaseline>> {
    if train.is_empty() {
        return Err(Error::new(
            Exit::No,
            "E0608",
            "baselines need training images; the training part is empty",
        ));
    }
    let labels = train.labels();
    let fit = |baseline| {
        let rule = match baseline {
            Baseline::AllNegative => Rule::Constant(vec![false; labels.len()]),
            Baseline::AllPositive => Rule::Constant(vec![true; labels.len()]),
            Baseline::MostFrequentLabelSet => Rule::Constant(most_frequent_label_set(train)),
            Baseline::CommonestFinding => Rule::Constant(commonest_finding(train, normal_label)?),
            Baseline::PrevalenceRandom => Rule::Random {
                prevalence: prevalence(train),
                seed: derive_seed(seed, &format!("baseline/{}", baseline.id())),
            },
        };
        Some(FittedBaseline { baseline, labels: labels.to_vec(), rule })
    };
    Ok(Baseline::ALL.into_iter().filter_map(fit).collect())
}

/// The label set of most images; of equally frequent ones, the first to come. A label not assessed
/// counts as absent.
fn most_frequent_label_set(train: &Truth) -> Vec<bool> {
    let mut sets: BTreeMap<Vec<bool>, (usize, Reverse<usize>)> = BTreeMap::new();
    for (image, targets) in train.rows().enumerate() {
        let set = targets.iter().map(|&target| target == Target::Positive).collect();
        sets.entry(set).or_insert((0, Reverse(image))).0 += 1;
    }
    sets.into_iter().max_by_key(|&(_, rank)| rank).map(|(set, _)| set).unwrap_or_default()
}

/// The label, other than the normal one, whose constant prediction has the best subset accuracy on
/// the training part; of equal ones, the first. `None` if there is no such label.
fn commonest_finding(train: &Truth, normal_label: Option<&str>) -> Option<Vec<bool>> {
    let labels = train.labels();
    let alone = |finding: usize| (0..labels.len()).map(|label| label == finding).collect::<Vec<bool>>();
    (0..labels.len())
        .filter(|&label| normal_label != Some(labels[label].as_str()))
        .map(alone)
        .max_by_key(|set| (images_right(train, set), Reverse(set.iter().position(|&present| present))))
}

/// Images with at least one assessed label, all of which `set` has right.
fn images_right(train: &Truth, set: &[bool]) -> usize {
    let agrees = |target: Target, present: bool| match target {
        Target::NotAssessed => true,
        Target::Positive => present,
        Target::Negative => !present,
    };
    train
        .rows()
        .filter(|targets| targets.iter().any(|&target| target != Target::NotAssessed))
        .filter(|targets| targets.iter().zip(set).all(|(&target, &present)| agrees(target, present)))
        .count()
}

/// The share of positives among the assessed images of each label; 0 for a label nobody assessed.
fn prevalence(train: &Truth) -> Vec<f64> {
    let mut counts = vec![(0_u32, 0_u32); train.labels().len()];
    for targets in train.rows() {
        for ((positives, assessed), &target) in counts.iter_mut().zip(targets) {
            *positives += u32::from(target == Target::Positive);
            *assessed += u32::from(target != Target::NotAssessed);
        }
    }
    counts
        .into_iter()
        .map(|(positives, assessed)| f64::from(positives) / f64::from(assessed.max(1)))
        .collect()
}

impl FittedBaseline {
    /// Which baseline it is.
    pub fn baseline(&self) -> Baseline {
        self.baseline
    }

    /// Says in words what it answers (`always: Fracture, Swelling`).
    pub fn describe(&self) -> String {
        match &self.rule {
            Rule::Random { .. } => "each label drawn with its training prevalence".to_owned(),
            Rule::Constant(set) => {
                let present: Vec<&str> = self
                    .labels
                    .iter()
                    .zip(set)
                    .filter(|(_, present)| **present)
                    .map(|(l, _)| l.as_str())
                    .collect();
                if present.is_empty() {
                    "always no label".to_owned()
                } else {
                    format!("always: {}", present.join(", "))
                }
            }
        }
    }

    /// Answers for the images of `truth`, whose targets it does not look at. Scores are 0 or 1, so the
    /// threshold 0.5 gives the decisions.
    ///
    /// # Errors
    ///
    /// E0608 if `truth` has other labels than the training part.
    pub fn predict(&self, truth: &Truth) -> Result<PredictionTable> {
        if truth.labels() != self.labels {
            let sides = format!("fitted on {:?}, asked for {:?}", self.labels, truth.labels());
            return Err(Error::new(Exit::Bug, "E0608", format!("baseline for other labels: {sides}")));
        }
        let score = |present: bool| f64::from(u8::from(present));
        let scores = match &self.rule {
            Rule::Constant(set) => {
                (0..truth.len()).flat_map(|_| set.iter().map(|&present| score(present))).collect()
            }
            Rule::Random { prevalence, seed } => {
                let mut rng = rng(*seed);
                let draws = (0..truth.len()).flat_map(|_| prevalence);
                draws.map(|&share| score(rng.random::<f64>() < share)).collect()
            }
        };
        PredictionTable::new(truth.clone(), scores)
    }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::dataset::Target::{Negative, NotAssessed, Positive};

    use super::*;
    use crate::evaluate::{MetricSet, testing::Decisions, testing::table};

    /// A label table of the phantom: `Num,ID,labels…`.
    fn phantom(name: &str) -> Truth {
        let path = format!("{}/../tests/fixtures/metrics/phantom_{name}.csv", env!("CARGO_MANIFEST_DIR"));
        let mut reader = csv::Reader::from_path(path).unwrap();
        let labels = reader.headers().unwrap().iter().skip(2).map(str::to_owned).collect();
        let (mut ids, mut targets) = (Vec::new(), Vec::new());
        for row in reader.records().map(|row| row.unwrap()) {
            ids.push(row[1].to_owned());
            targets.extend(row.iter().skip(2).map(|cell| Target::from_code(cell.parse().unwrap()).unwrap()));
        }
        Truth::new(labels, ids.clone(), ids, targets).unwrap()
    }

    /// The numbers that every result of the 2023 study stands against.
    #[test]
    fn the_phantom_s_baselines_are_the_study_s() {
        for (set, finding, finding_accuracy, all_f1, frequent, frequent_accuracy) in [
            ("neck", "Alignment", 37.234, 30.414, "Alignment", 37.234),
            ("elbow", "supracondylar", 27.811, 17.707, "normal", 10.059),
        ] {
            let (train, test) = (phantom(&format!("{set}_train")), phantom(&format!("{set}_test")));
            let fitted = fit_baselines(&train, Some("normal"), 1).unwrap();
            let metrics = MetricSet::new(&[&Decisions]).unwrap();
            let percent = |baseline: Baseline, metric: &str| {
                let fitted = fitted.iter().find(|f| f.baseline() == baseline).unwrap();
                let thresholds = vec![0.5; test.labels().len()];
                let report = metrics.evaluate(&fitted.predict(&test).unwrap(), &thresholds).unwrap();
                (report.overall[metric].value.unwrap() * 1e5).round() / 1e3
            };
            assert_eq!(percent(Baseline::CommonestFinding, "subset_accuracy"), finding_accuracy, "{set}");
            assert_eq!(percent(Baseline::AllPositive, "macro_f1"), all_f1, "{set}");
            assert_eq!(percent(Baseline::AllPositive, "subset_accuracy"), 0.0, "{set}");
            assert_eq!(percent(Baseline::AllNegative, "macro_f1"), 0.0, "{set}");
            assert_eq!(
                percent(Baseline::MostFrequentLabelSet, "subset_accuracy"),
                frequent_accuracy,
                "{set}"
            );
            assert_eq!(fitted[2].describe(), format!("always: {frequent}"));
            assert_eq!(fitted[3].describe(), format!("always: {finding}"));
        }
    }

    #[test]
    fn random_predictions_have_the_training_prevalence_and_repeat() {
        let (train, test) = (phantom("elbow_train"), phantom("elbow_test"));
        let random = |seed| fit_baselines(&train, None, seed).unwrap().pop().unwrap();
        let (a, b) = (random(1).predict(&train).unwrap(), random(1).predict(&train).unwrap());
        assert_eq!(a, b);
        assert_ne!(a.scores(), random(2).predict(&train).unwrap().scores());
        // 2378 draws: within four standard deviations of the binomial.
        for (label, share) in prevalence(&train).into_iter().enumerate() {
            let drawn: f64 = a.scores().iter().skip(label).step_by(14).sum::<f64>() / 2378.0;
            let sd = (share * (1.0 - share) / 2378.0).sqrt();
            assert!((drawn - share).abs() < 4.0 * sd, "label {label}: {drawn}, prevalence {share}");
        }
        assert_eq!(random(1).predict(&test).unwrap().truth().len(), 169);
    }

    #[test]
    fn labels_not_assessed_are_neither_right_nor_wrong() {
        let targets = [
            Positive,
            NotAssessed,
            Negative,
            Positive,
            NotAssessed,
            NotAssessed,
            Positive,
            Negative,
            Negative,
            Negative,
        ];
        let train = table(2, &[0.0; 10], &targets).truth().clone();
        assert_eq!(images_right(&train, &[true, false]), 2);
        assert_eq!(images_right(&train, &[true, true]), 1);
        assert_eq!(prevalence(&train), [0.5, 1.0 / 3.0]);
        assert_eq!(commonest_finding(&train, None), Some(vec![true, false]));
        assert_eq!(commonest_finding(&train, Some("label0")), Some(vec![false, true]));
        assert_eq!(most_frequent_label_set(&train), [true, false]);
    }

    #[test]
    fn a_single_normal_label_leaves_no_commonest_finding() {
        let train = table(1, &[0.0], &[Positive]).truth().clone();
        let fitted = fit_baselines(&train, Some("label0"), 1).unwrap();
        assert!(fitted.iter().all(|f| f.baseline() != Baseline::CommonestFinding));
        assert_eq!(fitted.len(), 4);
    }

    #[test]
    fn baselines_need_training_images_and_the_same_labels() {
        let empty = table(1, &[], &[]).truth().clone();
        assert_eq!(fit_baselines(&empty, None, 1).unwrap_err().code, "E0608");
        let train = table(1, &[0.0], &[Positive]).truth().clone();
        let other = table(2, &[0.0, 0.0], &[Positive, Negative]).truth().clone();
        assert_eq!(fit_baselines(&train, None, 1).unwrap()[0].predict(&other).unwrap_err().code, "E0608");
    }
}
