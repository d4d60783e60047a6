//! `summary.json`: the answer of a run.

mod aggregate;
mod warnings;

use std::collections::BTreeMap;

use nashost_plugin_api::{dataset::Part, metric::Direction, strategy::Ranked};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::aggregate::Aggregate;
pub(crate) use self::aggregate::Series;
pub(crate) use self::warnings::ONE_SEED;
use super::{
    claim::Ending,
    events::Failure,
    state::{State, TrialState},
};

/// Version of [`Summary`]; fields may be added while it stays.
pub const SCHEMA_VERSION: u32 = 1;

/// Metrics that tables for people show first, and that a method is compared with trivial
/// predictors by, as far as the run has them.
pub const HEADLINE: [&str; 3] = ["macro_auroc", "macro_f1", "subset_accuracy"];

/// The answer of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Identity of the run: the name of its directory.
    pub run_id: String,
    /// What the user called it.
    pub name: String,
    /// `done`, `failed`, or `running` until the run has ended.
    pub status: String,
    /// Why it ended without a result.
    pub failure: Option<Failure>,
    /// Always `multi-label`.
    pub task: String,
    /// What the numbers rest on.
    pub data: Option<DataSummary>,
    /// Images per part.
    pub n: BTreeMap<Part, u64>,
    /// Label names.
    pub labels: Vec<String>,
    /// The search, if there was one.
    pub search: Option<SearchSummary>,
    /// Methods, in the order of their first trials.
    pub methods: Vec<MethodSummary>,
    /// Trivial predictors: what any method must beat.
    pub baselines: Vec<MethodSummary>,
    /// What readers must know.
    pub warnings: Vec<String>,
}

/// What the numbers rest on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataSummary {
    /// Id of the dataset.
    pub dataset: String,
    /// SHA-256 of labels, records and decoded pixels.
    pub fingerprint: String,
    /// SHA-256 of the split.
    pub split_hash: Option<String>,
}

/// What a search did and found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchSummary {
    /// Id of the strategy.
    pub strategy: String,
    /// Id of the space.
    pub space: String,
    /// Id of the architecture metric; of the strategy, if it values structures itself.
    pub metric: String,
    /// Which way the metric is better.
    pub direction: Direction,
    /// Whether strategy or metric look at images.
    pub uses_data: bool,
    /// Answered proposals.
    pub candidates: u64,
    /// Steps of a one-shot search.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub steps: u64,
    /// Which images served for what in a one-shot search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<String>,
    /// Candidates rejected by a budget, by the name of the budget.
    pub rejected: BTreeMap<String, u64>,
    /// The structure it recommends first.
    pub best: Option<Ranked>,
}

/// A method, or a trivial predictor, on the test part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MethodSummary {
    /// Its name.
    pub method: String,
    /// Trials with a test result.
    pub seeds: u64,
    /// Number of trials, by their state.
    pub trials: BTreeMap<String, u64>,
    /// Test metrics over the seeds.
    pub test: BTreeMap<String, Aggregate>,
    /// Test metrics of each label over the seeds.
    pub per_label: Vec<LabelSummary>,
    /// Its structures, each once.
    pub archs: Vec<ArchSummary>,
}

/// Test metrics of one label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LabelSummary {
    /// Its name.
    pub label: String,
    /// Images of the test part with the finding.
    pub support: Option<u64>,
    /// Values over the seeds.
    pub metrics: BTreeMap<String, Aggregate>,
}

/// A structure that was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArchSummary {
    /// Stable hash of its graph.
    pub id: String,
    /// File, relative to the run directory.
    pub file: String,
    /// Trainable parameters.
    pub params: u64,
    /// Multiply-adds of one image.
    pub macs: u64,
    /// Values of architecture metrics.
    pub scores: BTreeMap<String, Option<f64>>,
}

impl Summary {
    /// Sums `state` up.
    pub fn of(state: &State) -> Self {
        let started = state.started.as_ref().map(|(_, started)| started);
        let (status, failure) = match &state.finished {
            None => ("running", None),
            Some((_, Ending::Done, _)) => ("done", None),
            Some((_, Ending::Failed, failure)) => ("failed", failure.clone()),
        };
        let mut summary = Self {
            schema_version: SCHEMA_VERSION,
            run_id: state.run_id().to_owned(),
            name: started.map(|started| started.name.clone()).unwrap_or_default(),
            status: status.to_owned(),
            failure,
            task: "multi-label".to_owned(),
            data: state.data.as_ref().map(|data| DataSummary {
                dataset: data.dataset.id.clone(),
                fingerprint: data.fingerprint.clone(),
                split_hash: state.split.as_ref().map(|split| split.hash.clone()),
            }),
            n: state.split.iter().flat_map(|split| &split.parts).map(|(part, c)| (*part, c.images)).collect(),
            labels: state.labels().to_vec(),
            search: search(state),
            methods: methods(state),
            baselines: baselines(state),
            warnings: state.warnings.clone(),
        };
        let found = warnings::of(&summary, state);
        summary.warnings.extend(found);
        summary
    }
}

fn search(state: &State) -> Option<SearchSummary> {
    let search = state.search.as_ref()?;
    let result = search.finished.as_ref();
    Some(SearchSummary {
        strategy: search.started.strategy.id.clone(),
        space: search.started.space.id.clone(),
        metric: search.started.metric.as_ref().unwrap_or(&search.started.strategy).id.clone(),
        direction: search.started.direction,
        uses_data: search.started.uses_data,
        candidates: search.candidates,
        steps: search.steps.len() as u64,
        roles: search.plan.as_ref().map(|plan| plan.roles.clone()),
        rejected: result.map(|(result, _)| result.rejected.clone()).unwrap_or_default(),
        best: result.and_then(|(result, _)| result.ranked.first().cloned()),
    })
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn methods(state: &State) -> Vec<MethodSummary> {
    let mut names: Vec<&str> = Vec::new();
    for trial in state.trials.values() {
        let method = trial.request.method.as_str();
        if !names.contains(&method) {
            names.push(method);
        }
    }
    names.into_iter().map(|name| method(state, name)).collect()
}

fn method(state: &State, name: &str) -> MethodSummary {
    let trials: Vec<&TrialState> = state.trials.values().filter(|t| t.request.method == name).collect();
    let mut phases = BTreeMap::from([("done".to_owned(), 0), ("failed".to_owned(), 0)]);
    for trial in &trials {
        *phases.entry(trial.phase().to_owned()).or_default() += 1;
    }
    let mut series = Series::default();
    for test in trials.iter().filter_map(|trial| trial.test()) {
        series.push(&test.test, &test.intervals);
    }
    let mut archs: Vec<ArchSummary> = Vec::new();
    for trial in &trials {
        if archs.iter().all(|known| known.id != trial.architecture) {
            archs.extend(arch(state, trial));
        }
    }
    MethodSummary { archs, trials: phases, ..judged(state, name, &series) }
}

fn arch(state: &State, trial: &TrialState) -> Option<ArchSummary> {
    let architecture = state.architectures.get(&trial.architecture)?;
    Some(ArchSummary {
        id: architecture.id.clone(),
        file: super::tables::arch_file(&trial.request.name()),
        params: architecture.params,
        macs: architecture.macs,
        scores: architecture.scores.iter().map(|(name, score)| (name.clone(), score.value)).collect(),
    })
}

fn baselines(state: &State) -> Vec<MethodSummary> {
    let baselines = state.baselines.iter().map(|baseline| {
        let mut series = Series::default();
        series.push(&baseline.test, &baseline.intervals);
        judged(state, &baseline.name, &series)
    });
    baselines.collect()
}

/// What there is to say of `name` from its test results alone.
pub(crate) fn judged(state: &State, name: &str, series: &Series<'_>) -> MethodSummary {
    let label = |(index, label): (usize, &String)| LabelSummary {
        label: label.clone(),
        support: state.positives(Part::Test, index),
        metrics: series.label(index),
    };
    MethodSummary {
        method: name.to_owned(),
        seeds: series.len(),
        trials: BTreeMap::new(),
        test: series.overall(),
        per_label: if series.len() == 0 {
            Vec::new()
        } else {
            state.labels().iter().enumerate().map(label).collect()
        },
        archs: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
