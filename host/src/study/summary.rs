//! What the runs of a study add up to.

use std::collections::{BTreeMap, BTreeSet};

use nashost_plugin_api::{dataset::Part, metric::Direction};
use nashost_stats::{comparison::Report, proxy::Worth};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    analysis,
    cell::{Cell, CellKey},
    config::{ChooseOn, FEW_SEEDS, Mode, StudyConfig},
    execute::{Failed, Outcome},
    folder::{Folder, status},
};
use crate::{
    error::Result,
    run::{
        RunDir, RunStatus,
        state::{State, TrialState},
        summary::{Aggregate, LabelSummary, MethodSummary, Series, judged},
        tables,
    },
};

/// Version of [`StudySummary`]; fields may be added while it stays.
const SCHEMA_VERSION: u32 = 1;

/// The answer of a study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct StudySummary {
    /// Version of this format; fields may be added while it stays.
    pub(crate) schema_version: u32,
    /// Name of the study.
    pub(crate) name: String,
    /// How strict it is.
    pub(crate) mode: Mode,
    /// Metric and part that grid cells were chosen by.
    pub(crate) selected_by: String,
    /// Whether test values chose, so that all of them are too good.
    pub(crate) selected_on_test: bool,
    /// The metric alone, by which methods are compared on the test part.
    pub(crate) metric: String,
    /// Runs that are planned.
    pub(crate) planned: usize,
    /// Runs that are done.
    pub(crate) done: usize,
    /// Datasets, in their order.
    pub(crate) datasets: Vec<DatasetResult>,
    /// Runs that failed, and why.
    pub(crate) failures: Vec<Failed>,
    /// What readers must know.
    pub(crate) warnings: Vec<String>,
}

/// The methods on one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DatasetResult {
    /// Name of the dataset.
    pub(crate) dataset: String,
    /// Methods, then controls.
    pub(crate) methods: Vec<MethodResult>,
    /// Trivial predictors.
    pub(crate) baselines: Vec<MethodSummary>,
    /// Methods and controls compared by the selecting metric on the test part, runs of the same fold and
    /// seed side by side; none if there are fewer than two with results.
    pub(crate) comparison: Option<Report>,
    /// The comparison in words.
    pub(crate) sentences: Vec<String>,
    /// Methods that do no better than a control.
    pub(crate) unclear: Vec<String>,
    /// Rank correlations of proxies and of sizes with trained results, over all structures of all points.
    pub(crate) proxies: Vec<Worth>,
}

/// One method on one dataset, at the points of the grid that were chosen for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MethodResult {
    /// Its name.
    pub(crate) method: String,
    /// Whether it is a control.
    pub(crate) control: bool,
    /// What was chosen, fold by fold: the validation part of one fold is the test part of another, so that one
    /// choice for all would rest on images that test it.
    pub(crate) chosen: Vec<Chosen>,
    /// Runs of the chosen points that are done: seeds × folds.
    pub(crate) runs: u64,
    /// Test metrics over those runs.
    pub(crate) test: BTreeMap<String, Aggregate>,
    /// Test metrics of each label over those runs.
    pub(crate) per_label: Vec<LabelSummary>,
    /// Mean number of parameters of the trained networks.
    pub(crate) params: Option<f64>,
    /// Mean number of multiply-adds of one image.
    pub(crate) macs: Option<f64>,
    /// Seconds of searching, all runs of the chosen points together.
    pub(crate) search_seconds: f64,
    /// Seconds of training, likewise.
    pub(crate) train_seconds: f64,
}

/// The point of the grid that was chosen for one fold, or for the dataset's own split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Chosen {
    /// The fold, from 1, if there are any.
    pub(crate) fold: Option<u32>,
    /// The chosen point's settings.
    pub(crate) settings: Map<String, Value>,
    /// All points, with what they were chosen by.
    pub(crate) points: Vec<PointResult>,
}

/// One point of the grid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PointResult {
    /// Its settings.
    pub(crate) settings: Map<String, Value>,
    /// Mean of the selecting metric over its seeds.
    pub(crate) value: Option<f64>,
    /// Seeds whose runs have such a value.
    pub(crate) seeds: Vec<u64>,
}

/// A finished run of the study.
pub(super) struct Made {
    pub(super) key: CellKey,
    pub(super) dir: RunDir,
    pub(super) state: State,
}

impl Made {
    /// Whether the run belongs to `method` at the point that was chosen for its fold.
    pub(super) fn is_of(&self, method: &MethodResult) -> bool {
        let is_chosen =
            |chosen: &Chosen| (chosen.fold, &chosen.settings) == (self.key.fold, &self.key.settings);
        self.key.method == method.method && method.chosen.iter().any(is_chosen)
    }

    /// Fold and seed, for people.
    pub(super) fn counterpart_name(&self) -> String {
        match self.key.fold {
            Some(fold) => format!("fold {fold}, seed {}", self.key.seed),
            None => format!("seed {}", self.key.seed),
        }
    }

    /// What makes it the counterpart of runs of other methods.
    pub(super) fn counterpart(&self) -> String {
        format!("{}/{}", self.key.fold.unwrap_or_default(), self.key.seed)
    }

    /// The trial that stands for the run: that of the structure which its search ranked first.
    pub(super) fn trial(&self) -> Option<&TrialState> {
        self.state.trials.values().next()
    }
}

/// Reads the finished runs of `cells`.
pub(super) fn made(folder: &Folder, cells: &[Cell]) -> Result<Vec<Made>> {
    let mut made = Vec::new();
    for (cell, run) in cells.iter().zip(folder.runs(cells)?) {
        if status(run.as_ref())? == Some(RunStatus::Done)
            && let Some(dir) = run
        {
            let state = tables::read(&dir)?;
            made.push(Made { key: cell.key.clone(), dir, state });
        }
    }
    Ok(made)
}

impl StudySummary {
    /// Sums the finished runs up.
    pub(super) fn of(study: &StudyConfig, cells: &[Cell], made: &[Made], outcome: &Outcome) -> Self {
        let datasets = study.datasets.iter().map(|dataset| dataset_result(study, cells, made, &dataset.name));
        let mut summary = Self {
            schema_version: SCHEMA_VERSION,
            name: study.name.clone(),
            mode: study.mode,
            selected_by: study.select.text(),
            selected_on_test: study.select.on == ChooseOn::Test,
            metric: study.select.metric.clone(),
            planned: cells.len(),
            done: made.len(),
            datasets: datasets.collect(),
            failures: outcome.failed.clone(),
            warnings: Vec::new(),
        };
        summary.warnings = warnings(study, cells, made, &summary);
        summary
    }
}

fn dataset_result(study: &StudyConfig, cells: &[Cell], made: &[Made], dataset: &str) -> DatasetResult {
    let mut methods: Vec<(&str, bool)> = Vec::new();
    for key in cells.iter().map(|cell| &cell.key).filter(|key| key.dataset == dataset) {
        if methods.iter().all(|(name, _)| *name != key.method) {
            methods.push((&key.method, key.control));
        }
    }
    let of_dataset: Vec<&Made> = made.iter().filter(|made| made.key.dataset == dataset).collect();
    let direction = direction(study, &of_dataset);
    let methods = methods.into_iter().map(|(method, control)| {
        let keys: Vec<&CellKey> = cells
            .iter()
            .map(|cell| &cell.key)
            .filter(|key| key.dataset == dataset && key.method == method)
            .collect();
        let of_method: Vec<&Made> =
            of_dataset.iter().copied().filter(|made| made.key.method == method).collect();
        method_result(method, control, choose(study, &keys, &of_method, direction), &of_method)
    });
    let methods: Vec<MethodResult> = methods.collect();
    let (comparison, sentences) = analysis::compare(study, direction, &methods, &of_dataset);
    DatasetResult {
        dataset: dataset.to_owned(),
        baselines: baselines(&of_dataset),
        comparison,
        sentences,
        unclear: unclear(dataset, &methods),
        proxies: analysis::proxies(study, &of_dataset),
        methods,
    }
}

/// Whether more or less of the selecting metric is better, as the metric says.
fn direction(study: &StudyConfig, made: &[&Made]) -> Direction {
    let mut infos =
        made.iter().flat_map(|made| &made.state.started).flat_map(|(_, started)| &started.metrics);
    infos
        .find(|info| info.name == study.select.metric && !info.per_label)
        .map_or(Direction::Higher, |info| info.direction)
}

/// Chooses a point of the grid for each fold of a method, whose cells have the `keys`.
fn choose(study: &StudyConfig, keys: &[&CellKey], made: &[&Made], direction: Direction) -> Vec<Chosen> {
    let settings: BTreeMap<usize, &Map<String, Value>> =
        keys.iter().map(|key| (key.point, &key.settings)).collect();
    let folds: BTreeSet<Option<u32>> = keys.iter().map(|key| key.fold).collect();
    let of_fold = |fold| {
        let by_seed = |point| -> BTreeMap<u64, f64> {
            let of_point = made.iter().filter(|made| (made.key.fold, made.key.point) == (fold, point));
            of_point.filter_map(|made| Some((made.key.seed, selecting(study, made)?))).collect()
        };
        let values: Vec<BTreeMap<u64, f64>> = settings.keys().map(|&point| by_seed(point)).collect();
        let points: Vec<PointResult> = settings
            .values()
            .zip(&values)
            .map(|(&settings, values)| PointResult {
                settings: settings.clone(),
                value: mean(&values.values().copied().collect::<Vec<_>>()),
                seeds: values.keys().copied().collect(),
            })
            .collect();
        Chosen { fold, settings: points[best(&values, direction)].settings.clone(), points }
    };
    folds.into_iter().map(of_fold).collect()
}

/// Position of the best point, the first of equals, whose values come seed by seed: among those with the most, by
/// the mean over the seeds that they share. A mean over other seeds than the rest does not compare.
fn best(values: &[BTreeMap<u64, f64>], direction: Direction) -> usize {
    let most = values.iter().map(BTreeMap::len).max().unwrap_or_default();
    let full = || values.iter().enumerate().filter(|(_, values)| values.len() == most);
    let mut best: Option<(usize, f64)> = None;
    for (at, of_point) in full() {
        let shared = of_point.iter().filter(|(seed, _)| full().all(|(_, other)| other.contains_key(seed)));
        let Some(value) = mean(&shared.map(|(_, value)| *value).collect::<Vec<_>>()) else { continue };
        let is_better = |than: f64| match direction {
            Direction::Higher => value > than,
            Direction::Lower => value < than,
        };
        if best.is_none_or(|(_, than)| is_better(than)) {
            best = Some((at, value));
        }
    }
    best.map_or(0, |(at, _)| at)
}

fn method_result(method: &str, control: bool, chosen: Vec<Chosen>, made: &[&Made]) -> MethodResult {
    let mut result = MethodResult {
        method: method.to_owned(),
        control,
        chosen,
        runs: 0,
        test: BTreeMap::new(),
        per_label: Vec::new(),
        params: None,
        macs: None,
        search_seconds: 0.0,
        train_seconds: 0.0,
    };
    let made: Vec<&Made> = made.iter().copied().filter(|made| made.is_of(&result)).collect();
    let mut series = Series::default();
    for test in made.iter().filter_map(|made| made.trial()?.test()) {
        series.push(&test.test, &test.intervals);
    }
    let architectures = made.iter().filter_map(|made| {
        let trial = made.trial()?;
        made.state.architectures.get(&trial.architecture)
    });
    let (params, macs): (Vec<f64>, Vec<f64>) =
        architectures.map(|architecture| (architecture.params as f64, architecture.macs as f64)).unzip();
    let search = |made: &&Made| Some(made.state.search.as_ref()?.finished.as_ref()?.1);
    result.runs = series.len();
    result.test = series.overall();
    result.per_label = over_folds(&made, method, &series).map(|judged| judged.per_label).unwrap_or_default();
    (result.params, result.macs) = (mean(&params), mean(&macs));
    result.search_seconds = made.iter().filter_map(search).sum();
    result.train_seconds = made.iter().filter_map(|made| Some(made.trial()?.train_seconds())).sum();
    result
}

/// One of `made` for each fold: what rests on the split alone is the same in all runs of a fold.
fn one_per_fold<'a>(made: &[&'a Made]) -> Vec<&'a Made> {
    let mut found: Vec<&Made> = Vec::new();
    for &made in made {
        if found.iter().all(|known| known.key.fold != made.key.fold) {
            found.push(made);
        }
    }
    found
}

/// What there is to say of `name` from the test results of `made`; labels rest on the test parts of all folds.
fn over_folds(made: &[&Made], name: &str, series: &Series<'_>) -> Option<MethodSummary> {
    let mut judged = judged(&made.first()?.state, name, series);
    for (index, label) in judged.per_label.iter_mut().enumerate() {
        let positives = one_per_fold(made).into_iter().map(|made| made.state.positives(Part::Test, index));
        label.support = positives.sum();
    }
    Some(judged)
}

/// The trivial predictors, over the folds.
fn baselines(made: &[&Made]) -> Vec<MethodSummary> {
    let folds = one_per_fold(made);
    let mut found: Vec<(&str, Series<'_>)> = Vec::new();
    for baseline in folds.iter().flat_map(|made| &made.state.baselines) {
        let at = found.iter().position(|(name, _)| *name == baseline.name).unwrap_or_else(|| {
            found.push((&baseline.name, Series::default()));
            found.len() - 1
        });
        found[at].1.push(&baseline.test, &baseline.intervals);
    }
    found.iter().filter_map(|(name, series)| over_folds(&folds, name, series)).collect()
}

/// What the grid cell of a run is chosen by: the metric at the checkpoint that was evaluated.
pub(super) fn selecting(study: &StudyConfig, made: &Made) -> Option<f64> {
    let trial = made.trial()?;
    let test = trial.test()?;
    let report = match study.select.on {
        ChooseOn::Val => &trial.epochs.get(&test.checkpoint.epoch)?.val,
        ChooseOn::Test => &test.test,
    };
    report.overall.get(&study.select.metric)?.value
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn warnings(study: &StudyConfig, cells: &[Cell], made: &[Made], summary: &StudySummary) -> Vec<String> {
    let mut warnings = Vec::new();
    if study.select.on == ChooseOn::Test {
        warnings.push(
            "SELECTION ON TEST: grid cells were chosen by their test value, as the 2023 study did, so every \
             number here is better than it should be"
                .to_owned(),
        );
    }
    warnings.extend(study.left_out.iter().map(|what| format!("left out: {what}")));
    if study.seeds.0.len() < FEW_SEEDS {
        warnings.push(format!(
            "{} seeds: take {FEW_SEEDS} at least, better ten, before you tell methods apart",
            study.seeds.0.len()
        ));
    }
    if summary.done < summary.planned {
        warnings.push(format!("{} of {} runs are done", summary.done, summary.planned));
    }
    if made.iter().all(|made| selecting(study, made).is_none()) && !made.is_empty() {
        warnings.push(format!("`select.metric`: no run has a value of `{}`", study.select.metric));
    }
    if study.folds.is_some() {
        warnings.push(
            "folds share most of their training images and seeds share a test part, so runs are not independent: \
             p-values and detectable differences are smaller than they should be"
                .to_owned(),
        );
    }
    warnings.extend(summary.datasets.iter().flat_map(uneven_points));
    warnings.extend(unequal_training(cells));
    for dataset in &summary.datasets {
        warnings.extend(dataset.unclear.iter().cloned());
    }
    warnings
}

/// Methods whose points of the grid do not have the same seeds, because runs are missing.
fn uneven_points(dataset: &DatasetResult) -> Vec<String> {
    let is_uneven = |chosen: &Chosen| chosen.points.windows(2).any(|pair| pair[0].seeds != pair[1].seeds);
    let uneven = dataset.methods.iter().filter(|method| method.chosen.iter().any(is_uneven));
    let warning = |method: &MethodResult| {
        format!(
            "{}: {}: results are missing, so settings with fewer than others could not be chosen, and the others were \
             compared by the seeds that they share (`points` in summary.json)",
            dataset.dataset, method.method
        )
    };
    uneven.map(warning).collect()
}

/// Methods whose training differs from that of the first, apart from the grid.
fn unequal_training(cells: &[Cell]) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    let Some(first) = cells.first() else { return warnings };
    for cell in cells.iter().filter(|cell| {
        cell.key.dataset == first.key.dataset
            && cell.key.point == first.key.point
            && cell.key.fold == first.key.fold
            && cell.key.seed == first.key.seed
    }) {
        if cell.config.train != first.config.train {
            let warning = format!(
                "{} is not trained as {}: their results differ by that, too",
                cell.key.method, first.key.method
            );
            warnings.push(warning);
        }
    }
    warnings
}

/// Methods that do no better than a control.
fn unclear(dataset: &str, methods: &[MethodResult]) -> Vec<String> {
    const METRIC: &str = crate::run::summary::HEADLINE[0];
    let value = |test: &BTreeMap<String, Aggregate>| test.get(METRIC).and_then(|aggregate| aggregate.mean);
    let controls = methods.iter().filter(|method| method.control);
    let best = controls
        .filter_map(|control| Some((&control.method, value(&control.test)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let Some((control, bar)) = best else { return Vec::new() };
    methods
        .iter()
        .filter(|method| !method.control)
        .filter_map(|method| {
            let mean = value(&method.test)?;
            (mean <= bar).then(|| {
                format!(
                    "{}: {} ({METRIC} {mean:.3}) is not better than the control {control} ({bar:.3})",
                    dataset, method.method
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[&[(u64, f64)]]) -> Vec<BTreeMap<u64, f64>> {
        values.iter().map(|values| values.iter().copied().collect()).collect()
    }

    #[test]
    fn the_best_point_is_that_of_the_metrics_direction() {
        let points = points(&[&[(1, 0.2)], &[(1, 0.3)], &[(1, 0.1)], &[(1, 0.3)]]);
        assert_eq!(best(&points, Direction::Higher), 1);
        assert_eq!(best(&points, Direction::Lower), 2);
    }

    #[test]
    fn points_compare_by_the_seeds_that_all_have() {
        let lacks_two = points(&[&[(1, 0.9)], &[(1, 0.1), (2, 0.2), (3, 0.3)], &[]]);
        assert_eq!(best(&lacks_two, Direction::Higher), 1, "it lacks results that others have");
        let lack_another = points(&[&[(2, 0.9), (3, 0.1)], &[(1, 0.1), (3, 0.2)]]);
        assert_eq!(best(&lack_another, Direction::Higher), 1, "they share one seed");
        assert_eq!(best(&points(&[&[(1, 0.1)], &[(2, 0.9)]]), Direction::Higher), 0, "nothing compares");
        assert_eq!(best(&points(&[&[], &[]]), Direction::Higher), 0);
    }
}
