//! What happens in a run, in the words that `events.jsonl` keeps.
//!
//! Fields may be added while [`VERSION`] stays; a new kind of event, or a changed meaning, raises it.

mod codec;
mod log;

use std::collections::BTreeMap;

use nashost_export::Normalisation;
use nashost_plugin_api::{
    architecture::{Counters, Geometry, Spec},
    dataset::{DatasetInfo, Part},
    graph::Graph,
    metric::{Direction, MetricReport, OutputInfo, Score},
    strategy::SearchResult,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::log::{EventLog, Reader, Stamp, candidates};
use super::{
    claim::Ending,
    time::Timestamp,
    trial::{ComponentRef, TrialEvent, TrialRequest},
};

/// Version of the lines of `events.jsonl`. Version 2 added the kinds `one-shot-planned` and
/// `one-shot-step`.
pub const VERSION: u32 = 2;
/// Name of the file in the run directory.
pub const FILE: &str = "events.jsonl";

/// One line of `events.jsonl`, without its checksum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// [`VERSION`].
    pub v: u32,
    /// Number of the line, from 1.
    pub seq: u64,
    /// When it was written.
    pub time: Timestamp,
    /// What happened.
    pub event: RunEvent,
}

/// What happens in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum RunEvent {
    /// The run began.
    RunStarted(RunStarted),
    /// Another process took the run up again.
    RunResumed(RunResumed),
    /// Something users must know when they read the results.
    Warning {
        /// One sentence.
        message: String,
    },
    /// The images are in memory.
    DataReady(DataReady),
    /// The parts of the data are fixed.
    SplitMade(SplitMade),
    /// The search began.
    SearchStarted(SearchStarted),
    /// A proposal of the search has its answer.
    Candidate(Candidate),
    /// A one-shot search said what it means to do.
    OneShotPlanned(OneShotPlanned),
    /// A one-shot search made a step.
    OneShotStep(OneShotStep),
    /// The search is over.
    SearchFinished {
        /// What it found.
        result: SearchResult,
        /// Seconds it took.
        seconds: f64,
        /// What a one-shot search tells beside its result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Value>,
    },
    /// A structure was chosen for training.
    ArchitectureReady(Box<PortableArchitecture>),
    /// A trial waits for a worker.
    TrialQueued {
        /// What is to be done.
        request: Box<TrialRequest>,
        /// [`PortableArchitecture::id`] of its structure.
        architecture: String,
    },
    /// A trial tells something.
    Trial {
        /// [`TrialRequest::trial`].
        trial: u32,
        /// [`TrialRequest::attempt`].
        attempt: u32,
        /// What it tells.
        report: TrialEvent,
    },
    /// A trivial predictor was evaluated.
    Baseline(Baseline),
    /// The run ended.
    RunFinished {
        /// With or without a result.
        ending: Ending,
        /// Why it ended without a result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
}

impl RunEvent {
    /// Returns the event that queues the trial of `request` once more.
    pub fn again(request: &TrialRequest, architecture: &str) -> Self {
        let request = TrialRequest { attempt: request.attempt + 1, ..request.clone() };
        Self::TrialQueued { request: Box::new(request), architecture: architecture.to_owned() }
    }

    /// Returns whether the event is part of the record. Steps are for display only.
    pub fn is_stored(&self) -> bool {
        !matches!(self, Self::Trial { report: TrialEvent::Step { .. }, .. })
    }
}

/// Why something ended without a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Stable error code (`E0…`).
    pub code: String,
    /// What happened.
    pub message: String,
}

/// Who runs what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStarted {
    /// Identity of the run: the name of its directory.
    pub run_id: String,
    /// What the user called it.
    pub name: String,
    /// Version of the host.
    pub nashost: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// SHA-256 of `run.toml`.
    pub config_sha256: String,
    /// Master seeds, one trial each.
    pub seeds: Vec<u64>,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Name of the computer.
    pub host: String,
    /// Plugins that take part.
    pub plugins: Vec<PluginIdentity>,
    /// Everything the prediction metrics of the run answer.
    pub metrics: Vec<OutputInfo>,
}

/// Who takes a run up again, and what is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunResumed {
    /// Version of the host.
    pub nashost: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Name of the computer.
    pub host: String,
    /// What differs from the start, with the user's leave.
    pub changes: Vec<String>,
}

/// Which build of which plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginIdentity {
    /// Id of the plugin.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// ABI it was built for, `major.minor`.
    pub abi: String,
    /// Ids of its components that the run uses.
    pub components: Vec<String>,
}

/// The data of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DataReady {
    /// Where the images come from.
    pub dataset: ComponentRef,
    /// What the dataset says of itself.
    pub info: DatasetInfo,
    /// Number of images.
    pub images: u64,
    /// Rows and columns they were resized to.
    pub resolution: u64,
    /// SHA-256 of labels, records and decoded pixels.
    pub fingerprint: String,
    /// How images are normalised; none in records of nashost before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<Normalisation>,
    /// Whether the decoded images came from the cache.
    pub cached: bool,
    /// Seconds it took.
    pub seconds: f64,
}

impl DataReady {
    /// Whether `other` tells of the same images, prepared in the same way.
    pub fn is_same(&self, other: &Self) -> bool {
        *other == Self { cached: other.cached, seconds: other.seconds, ..self.clone() }
    }
}

/// The parts of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SplitMade {
    /// SHA-256 of the split.
    pub hash: String,
    /// Where it comes from: `dataset`, `file` or `stratified`.
    pub source: String,
    /// What lies in each part.
    pub parts: BTreeMap<Part, PartCounts>,
}

/// What lies in one part of a split.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PartCounts {
    /// Images.
    pub images: u64,
    /// Patients.
    pub groups: u64,
    /// Images with the finding, per label.
    pub positives: Vec<u64>,
    /// Images on which the finding was looked for, per label.
    pub assessed: Vec<u64>,
}

/// What is searched, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchStarted {
    /// The strategy.
    pub strategy: ComponentRef,
    /// The space.
    pub space: ComponentRef,
    /// The architecture metric; none if the strategy learns from images and values structures itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<ComponentRef>,
    /// Which way the metric is better.
    pub direction: Direction,
    /// Whether strategy or metric look at images.
    pub uses_data: bool,
    /// Seed of the search.
    pub seed: u64,
    /// Sizes of the networks.
    pub geometry: Geometry,
    /// Budgets of every candidate.
    pub budgets: Vec<Budget>,
}

/// The most of something that a candidate may have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// `params`, `macs`, `layers`, a counter of the architecture, or an architecture metric.
    pub kind: String,
    /// The limit.
    pub max: f64,
}

/// A proposal of the search and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// Number of the proposal, from 0.
    pub id: u64,
    /// The structure.
    pub spec: Spec,
    /// Where it came from (`initial`, `mutation of 12`, …).
    pub origin: String,
    /// The value; `None` if undefined or rejected.
    pub value: Option<f64>,
    /// Standard deviation over repeats.
    pub spread: Option<f64>,
    /// Seconds it took.
    pub seconds: f64,
    /// Name of the budget it breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What it costs, by the kind of budget.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub costs: BTreeMap<String, f64>,
}

/// What a one-shot search means to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OneShotPlanned {
    /// Which images serve for what, in a sentence.
    pub roles: String,
    /// The same for programs, in the strategy's words.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

/// A step of a one-shot search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OneShotStep {
    /// Number of the step, from 1.
    pub step: u64,
    /// What was done.
    pub phase: String,
    /// Number of the epoch, from 1.
    pub epoch: u64,
    /// What the strategy remembers of it.
    pub numbers: BTreeMap<String, f64>,
    /// Seconds it took.
    pub seconds: f64,
}

/// A structure with everything needed to build and compare it elsewhere: the content of
/// `archs/T0001.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PortableArchitecture {
    /// Version of this format; 1.
    pub schema_version: u32,
    /// Stable hash of the graph.
    pub id: String,
    /// The space.
    pub space: ComponentRef,
    /// Version of the plugin that has the space.
    pub space_version: String,
    /// The structure, as the space writes it.
    pub spec: Spec,
    /// Sizes of the network; the costs below hold for them.
    pub geometry: Geometry,
    /// Trainable parameters.
    pub params: u64,
    /// Multiply-adds of one image.
    pub macs: u64,
    /// Counts under the conventions of published codes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: Counters,
    /// Values of architecture metrics, by component id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, Score>,
    /// The network.
    pub graph: Graph,
}

/// A trivial predictor on the test part: what any method must beat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Baseline {
    /// `all-negative`, `all-positive`, …
    pub name: String,
    /// Test metrics.
    pub test: MetricReport,
    /// 95 % bootstrap intervals over patients, by metric name.
    #[serde(default)]
    pub intervals: BTreeMap<String, [f64; 2]>,
}
