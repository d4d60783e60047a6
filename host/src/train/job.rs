//! What is trained, and how that ends.

use std::{path::Path, time::Duration};

use nashost_plugin_api::{dataset::Target, metric::MetricReport};
use nashost_plugin_torch::{Network, Weights};
use tch::Device;

use crate::{
    config::train::TrainConfig,
    data::ImageStore,
    error::{Error, Exit, Result},
    run::trial::{CheckpointReport, TrialEvent},
};

/// What to train, on what, how and where.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The network, built for the images' size and labels.
    pub network: &'a Network,
    /// Weights to start from.
    pub init: &'a Weights,
    /// The images; only the training and validation parts are looked at.
    pub store: &'a ImageStore,
    /// How to train.
    pub config: &'a TrainConfig,
    /// Seed of the trial.
    pub seed: u64,
    /// Where to compute.
    pub device: Device,
    /// Folder of the run.
    pub run_dir: &'a Path,
    /// Name of the trial (`T0001`), the folder of its checkpoints.
    pub trial: &'a str,
    /// How the training is taken up by a later process.
    pub resume: Resume<'a>,
}

/// What is known of an earlier process that trained the same trial, and how a later one is served.
#[derive(Debug, Clone, Copy)]
pub struct Resume<'a> {
    /// Text that differs between trainings which must not be taken up from each other's state:
    /// architecture, settings, seed, data, versions. Its SHA-256 is saved.
    pub identity: &'a str,
    /// Number of epochs whose [`TrialEvent::Epoch`] the caller has on the disk; 0 for a new trial.
    pub known_epochs: u32,
    /// The checkpoints that the caller has on the disk; only those of epoch `known_epochs` matter.
    /// What is missing here is told again.
    pub known_checkpoints: &'a [CheckpointReport],
    /// Longest time between two saved states, but for the step at its end. A state is also saved
    /// after each epoch and when training is stopped.
    pub save_every: Duration,
}

/// The usual [`Resume::save_every`].
pub const SAVE_EVERY: Duration = Duration::from_secs(60);

impl Resume<'_> {
    /// Whether the caller has `event` on the disk, if an earlier process told it.
    pub(super) fn knows(&self, event: &TrialEvent) -> bool {
        match event {
            TrialEvent::Epoch(report) => report.epoch <= self.known_epochs,
            TrialEvent::Checkpoint(report) => {
                report.epoch < self.known_epochs
                    || report.epoch == self.known_epochs && self.known_checkpoints.contains(report)
            }
            _ => false,
        }
    }
}

/// A finished training.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// First epoch with the best subset accuracy on the validation part.
    pub best_subset_accuracy: CheckpointReport,
    /// First epoch with the best macro F1 on the validation part.
    pub best_macro_f1: CheckpointReport,
    /// Last epoch.
    pub last: CheckpointReport,
}

/// How training ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All epochs were made.
    Completed(Box<Trained>),
    /// The listener asked to stop. The step was finished, and everything that is needed to go on is
    /// on the disk.
    Cancelled,
}

/// Computes validation metrics, `macro_f1` and `subset_accuracy` among them, from probabilities and
/// targets, both row-major.
pub type Score<'a> = &'a dyn Fn(&[f64], &[Target]) -> Result<MetricReport>;

/// Refuses settings that cannot train, all at once.
pub(super) fn check(config: &TrainConfig) -> Result<()> {
    let positive = |value: f64| value > 0.0 && value.is_finite();
    let not_negative = |value: f64| value >= 0.0 && value.is_finite();
    let change = &config.augmentation;
    let problems: Vec<&str> = [
        (config.epochs == 0, "`train.epochs` must be at least 1"),
        (config.batch < 2, "`train.batch` must be at least 2: one image has no batch statistics"),
        (config.micro_batches == 0, "`train.micro_batches` must be at least 1"),
        (!positive(config.lr), "`train.lr` must be positive"),
        (!(0.0..1.0).contains(&config.momentum), "`train.momentum` must lie in 0…1, without 1"),
        (!not_negative(config.weight_decay), "`train.weight_decay` must not be negative"),
        (!positive(config.pos_weight_cap), "`train.pos_weight_cap` must be positive"),
        (
            ![change.shift, change.rotation, change.intensity].into_iter().all(not_negative),
            "`train.augmentation` limits must not be negative",
        ),
    ]
    .into_iter()
    .filter_map(|(wrong, problem)| wrong.then_some(problem))
    .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(Exit::Usage, "E0502", problems.join("\n")).help("correct `[train]` in the configuration"))
}
