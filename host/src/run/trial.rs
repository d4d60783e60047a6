//! The trial: a serialisable request, answered by events. In this process or another makes no
//! difference to either side.

use std::{collections::BTreeMap, path::PathBuf};

use nashost_plugin_api::{architecture::Geometry, architecture::Spec, metric::MetricReport};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::config::train::{EvalConfig, TrainConfig};

/// A component and its configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentRef {
    /// Component id.
    pub id: String,
    /// Its configuration, as validated against its schema.
    #[serde(default)]
    pub config: Value,
}

/// Everything needed to train and evaluate one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrialRequest {
    /// Run it belongs to.
    pub run_id: String,
    /// Number in the run, from 1; `T0001` in file names.
    pub trial: u32,
    /// 1 for the first try.
    pub attempt: u32,
    /// Name in result tables (the strategy, or the architecture without one).
    pub method: String,
    /// Where the spec comes from.
    pub architecture: ComponentRef,
    /// The structure.
    pub spec: Spec,
    /// Sizes of the network.
    pub geometry: Geometry,
    /// The images.
    pub dataset: ComponentRef,
    /// SHA-256 of the split the trial must see.
    pub split_hash: String,
    /// How to train.
    pub train: TrainConfig,
    /// How to evaluate.
    pub eval: EvalConfig,
    /// Seed of the trial; every consumer derives its own.
    pub seed: u64,
    /// `cpu` or `cuda:N`; which of several GPUs it is, the process that trains is told apart.
    pub device: String,
    /// CPU threads of the training: on a CPU they decide the last bits of a result.
    pub threads: usize,
}

impl TrialRequest {
    /// Returns `T0001`, the trial's name in files and tables.
    pub fn name(&self) -> String {
        format!("T{:04}", self.trial)
    }

    /// Returns the SHA-256 of everything that decides what is trained and how: the same for every
    /// attempt, in whatever parts a batch is computed, and in a run that repeats this one.
    pub fn identity(&self) -> String {
        let mut same = Self { run_id: String::new(), attempt: 0, ..self.clone() };
        same.train.micro_batches = 1;
        let text = serde_json::to_string(&same).expect("a request is plain data");
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// How a trial ended without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// With an error of its own, which would come again.
    #[default]
    Failed,
    /// Memory ran out.
    Oom,
    /// It made no progress, or its process no longer answered.
    Timeout,
    /// Its process died, or answered what nobody can read.
    Crashed,
}

impl FailureKind {
    /// The word in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Oom => "oom",
            Self::Timeout => "timeout",
            Self::Crashed => "crashed",
        }
    }
}

/// Loss and metrics of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EpochReport {
    /// From 1.
    pub epoch: u32,
    /// Mean training loss while the weights changed, without that of an auxiliary classifier.
    pub train_loss: f64,
    /// Validation loss after the epoch.
    pub val_loss: f64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Validation metrics.
    pub val: MetricReport,
    /// Seconds of training.
    pub train_seconds: f64,
    /// Seconds of validation.
    pub val_seconds: f64,
}

/// A checkpoint that was kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointReport {
    /// `best-subset-accuracy`, `best-macro-f1` or `last`.
    pub kind: String,
    /// Epoch it was taken after, from 1.
    pub epoch: u32,
    /// File, relative to the run directory.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The validation value it was chosen for.
    pub value: Option<f64>,
}

/// The final evaluation on the test part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestReport {
    /// Checkpoint that was evaluated.
    pub checkpoint: CheckpointReport,
    /// Threshold of each label.
    pub thresholds: Vec<f64>,
    /// SHA-256 of the frozen configuration: request, checkpoint and thresholds.
    pub frozen: String,
    /// Test metrics.
    pub test: MetricReport,
    /// 95 % bootstrap intervals over patients, by metric name.
    pub intervals: BTreeMap<String, [f64; 2]>,
    /// Predictions file, relative to the run directory.
    pub predictions: PathBuf,
}

/// What a trial tells while it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum TrialEvent {
    /// Work began.
    Started {
        /// Trainable parameters.
        params: u64,
        /// Multiply-adds of one image.
        macs: u64,
    },
    /// A step of the epoch is done; lossy, for progress display only, never stored.
    Step {
        /// From 1.
        epoch: u32,
        /// From 1.
        step: u64,
        /// Steps of an epoch.
        steps: u64,
    },
    /// An epoch is done.
    Epoch(EpochReport),
    /// A checkpoint was written.
    Checkpoint(CheckpointReport),
    /// The test part was evaluated; the trial is done.
    Finished(TestReport),
    /// The attempt ended without a result.
    Failed {
        /// How it ended.
        kind: FailureKind,
        /// Stable error code (`E0…`).
        code: String,
        /// What happened.
        message: String,
    },
}

/// Whether to go on after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Finish the step and end with `cancelled`.
    Stop,
}
