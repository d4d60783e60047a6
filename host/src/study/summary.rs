//! What the runs of a study add up to.

use std::collections::BTreeMap;

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
        summary::{Aggregate, LabelSummary, MethodSummary, Series, Summary, judged},
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

/// One method on one dataset, at the point of the grid that was chosen for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MethodResult {
    /// Its name.
    pub(crate) method: String,
    /// Whether it is a control.
    pub(crate) control: bool,
    /// The chosen point's settings.
    pub(crate) settings: Map<String, Value>,
    /// All points, with what they were chosen by.
    pub(crate) points: Vec<PointResult>,
    /// Runs of the chosen point that are done: seeds × folds.
    pub(crate) runs: u64,
    /// Test metrics over those runs.
    pub(crate) test: BTreeMap<String, Aggregate>,
    /// Test metrics of each label over those runs.
    pub(crate) per_label: Vec<LabelSummary>,
    /// Mean number of parameters of the trained networks.
    pub(crate) params: Option<f64>,
    /// Mean number of multiply-adds of one image.
    pub(crate) macs: Option<f64>,
    /// Seconds of searching, all runs of the chosen point together.
    pub(crate) search_seconds: f64,
    /// Seconds of training, likewise.
    pub(crate) train_seconds: f64,
}

/// One point of the grid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PointResult {
    /// Its settings.
    pub(crate) settings: Map<String, Value>,
    /// Mean of the selecting metric over its runs.
    pub(crate) value: Option<f64>,
    /// Runs that are done.
    pub(crate) runs: u64,
}

/// A finished run of the study.
pub(super) struct Made {
    pub(super) key: CellKey,
    pub(super) dir: RunDir,
    pub(super) state: State,
}

impl Made {
    /// Whether the run belongs to `method` at the point that was chosen for it.
    pub(super) fn is_of(&self, method: &MethodResult) -> bool {
        self.key.method == method.method && self.key.settings == method.settings
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

    /// The trial of the run; a run of a study has one.
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
            selected_by: format!("{} {}", study.select.on.name(), study.select.metric),
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
    let methods = methods.into_iter().map(|(method, control)| {
        let of_method: Vec<&Made> =
            of_dataset.iter().copied().filter(|made| made.key.method == method).collect();
        method_result(study, cells, &of_method, dataset, method, control)
    });
    // The trivial predictors see the labels of the split alone: one run per split has them all.
    let baselines = of_dataset.first().map(|made| Summary::of(&made.state).baselines).unwrap_or_default();
    let methods: Vec<MethodResult> = methods.collect();
    let (comparison, sentences) = analysis::compare(study, &methods, &of_dataset);
    let proxies = analysis::proxies(study, &of_dataset);
    let unclear = unclear(dataset, &methods);
    DatasetResult { dataset: dataset.to_owned(), methods, baselines, comparison, sentences, unclear, proxies }
}

fn method_result(
    study: &StudyConfig,
    cells: &[Cell],
    made: &[&Made],
    dataset: &str,
    method: &str,
    control: bool,
) -> MethodResult {
    let mut settings: BTreeMap<usize, &Map<String, Value>> = BTreeMap::new();
    for key in cells.iter().map(|cell| &cell.key) {
        if key.dataset == dataset && key.method == method {
            settings.insert(key.point, &key.settings);
        }
    }
    let points: Vec<PointResult> = settings
        .iter()
        .map(|(&point, &settings)| {
            let of_point: Vec<&Made> = made.iter().copied().filter(|made| made.key.point == point).collect();
            let values: Vec<f64> = of_point.iter().filter_map(|made| selecting(study, made)).collect();
            PointResult { settings: settings.clone(), value: mean(&values), runs: of_point.len() as u64 }
        })
        .collect();
    let chosen = best(&points);
    let of_point: Vec<&Made> = made.iter().copied().filter(|made| made.key.point == chosen).collect();
    let mut series = Series::default();
    for test in of_point.iter().filter_map(|made| made.trial()?.test()) {
        series.push(&test.test, &test.intervals);
    }
    let architectures = of_point.iter().filter_map(|made| {
        let trial = made.trial()?;
        made.state.architectures.get(&trial.architecture)
    });
    let (params, macs): (Vec<f64>, Vec<f64>) =
        architectures.map(|architecture| (architecture.params as f64, architecture.macs as f64)).unzip();
    let judged = of_point.first().map(|made| judged(&made.state, method, &series));
    let search = |made: &&Made| Some(made.state.search.as_ref()?.finished.as_ref()?.1);
    MethodResult {
        method: method.to_owned(),
        control,
        settings: settings.get(&chosen).map(|settings| (*settings).clone()).unwrap_or_default(),
        points,
        runs: series.len(),
        test: series.overall(),
        per_label: judged.map(|judged| judged.per_label).unwrap_or_default(),
        params: mean(&params),
        macs: mean(&macs),
        search_seconds: of_point.iter().filter_map(search).sum(),
        train_seconds: of_point.iter().filter_map(|made| Some(made.trial()?.train_seconds())).sum(),
    }
}

/// Position of the point with the highest value, the first of equals; the first if none has one.
pub(super) fn best(points: &[PointResult]) -> usize {
    let mut best = 0;
    for (at, point) in points.iter().enumerate() {
        if point.value.is_some() && point.value > points[best].value {
            best = at;
        }
    }
    best
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
    warnings.extend(unequal_training(cells));
    for dataset in &summary.datasets {
        warnings.extend(dataset.unclear.iter().cloned());
    }
    warnings
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
