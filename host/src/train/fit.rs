//! Training of one trial: epochs, validation, checkpoints.

use std::{path::Path, time::Instant};

use nashost_plugin_api::{
    dataset::{Part, Target},
    metric::MetricReport,
    seed::derive_seed,
};
use nashost_plugin_torch::{Network, Weights};
use tch::{Device, Tensor};

use super::{
    augment::Changes,
    batches::{Images, order, training_batches},
    checkpoint::Checkpoints,
    error::OrFail as _,
    loss::{PositiveWeights, Total, Truth},
    predict::{logits, probabilities},
    schedule::rate,
    trainer::Trainer,
};
use crate::{
    config::train::TrainConfig,
    data::ImageStore,
    error::{Error, Exit, Result},
    run::trial::{CheckpointReport, Control, EpochReport, TrialEvent},
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
    /// The listener asked to stop; the step was finished, checkpoints made so far are intact.
    Cancelled,
}

/// Computes validation metrics, `macro_f1` and `subset_accuracy` among them, from probabilities and
/// targets, both row-major.
pub type Score<'a> = &'a dyn Fn(&[f64], &[Target]) -> Result<MetricReport>;

/// Trains a network, keeping the weights that are best on the validation part.
///
/// Every random choice follows from [`Job::seed`]: order and augmentation from derived seeds of
/// their own, dropout from libtorch's generator, which is seeded once here (it is shared by the
/// whole process: trials that run side by side must be processes of their own to repeat exactly).
/// On a CPU the same seed and number of threads give the same bits.
///
/// # Errors
///
/// Fails with E0501 if the loss stops being a finite number, E0502 to E0504 if configuration, split
/// or images do not allow training, E0505 if a metric is missing, E0506 to E0508 if device or disk
/// fail. What was written before stays intact.
pub fn train(
    job: &Job<'_>,
    score: Score<'_>,
    sink: &mut dyn FnMut(TrialEvent) -> Control,
) -> Result<Outcome> {
    check(job.config)?;
    let mut fit = Fit::new(job, sink)?;
    let mut checkpoints = Checkpoints::new(job.network, job.run_dir, job.trial)?;
    for epoch in 1..=job.config.epochs {
        let begin = Instant::now();
        let Some(train_loss) = fit.train_epoch(epoch)? else { return Ok(Outcome::Cancelled) };
        let train_seconds = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let (val_loss, val) = fit.validate(epoch, score)?;
        let report = EpochReport {
            epoch,
            train_loss,
            val_loss,
            lr: fit.rate(fit.steps_done(epoch) - 1),
            val: val.clone(),
            train_seconds,
            val_seconds: begin.elapsed().as_secs_f64(),
        };
        let mut stop = (fit.sink)(TrialEvent::Epoch(report)) == Control::Stop;
        for checkpoint in checkpoints.consider(epoch, &val, fit.trainer.weights())? {
            stop |= (fit.sink)(TrialEvent::Checkpoint(checkpoint)) == Control::Stop;
        }
        if stop {
            return Ok(Outcome::Cancelled);
        }
    }
    let last = checkpoints.last(job.config.epochs, fit.trainer.weights())?;
    (fit.sink)(TrialEvent::Checkpoint(last.clone()));
    let [best_subset_accuracy, best_macro_f1] =
        checkpoints.into_best().expect("the first epoch is always kept, and there is at least one");
    Ok(Outcome::Completed(Box::new(Trained { best_subset_accuracy, best_macro_f1, last })))
}

/// A part of the images on the device.
struct Set {
    /// Indices in the store, ascending.
    indices: Vec<usize>,
    images: Images,
    truth: Truth,
}

impl Set {
    fn new(job: &Job<'_>, part: Part, least: usize) -> Result<Self> {
        let &Job { network, store, device, .. } = job;
        let indices = store.indices(part);
        if indices.len() < least {
            let name = format!("{part:?}").to_lowercase();
            return Err(Error::new(
                Exit::Usage,
                "E0503",
                format!("the {name} part has {} images, training needs {least}", indices.len()),
            )
            .help("check the split: `nashost data stats` shows the images of each part"));
        }
        let images = Images::new(store, &indices, network.graph().input, device)?;
        let truth = Truth::new(&store.targets(&indices), store.labels(), device)
            .or_fail("moving targets to the device")?;
        Ok(Self { indices, images, truth })
    }
}

/// A training in progress.
struct Fit<'a, 'b> {
    job: &'b Job<'a>,
    trainer: Trainer<'a>,
    train: Set,
    val: Set,
    batches: Vec<std::ops::Range<i64>>,
    sink: &'b mut dyn FnMut(TrialEvent) -> Control,
}

impl<'a, 'b> Fit<'a, 'b> {
    fn new(job: &'b Job<'a>, sink: &'b mut dyn FnMut(TrialEvent) -> Control) -> Result<Self> {
        let &Job { network, init, store, config, seed, device, .. } = job;
        // Batch statistics need two images.
        let train = Set::new(job, Part::Train, 2)?;
        let val = Set::new(job, Part::Val, 1)?;
        let targets = store.targets(&train.indices);
        let PositiveWeights { weights, notes } =
            PositiveWeights::new(config.pos_weight, config.pos_weight_cap, &store.info.labels, &targets);
        for note in &notes {
            tracing::warn!("{note}");
        }
        tch::manual_seed(derive_seed(seed, "dropout").cast_signed());
        let trainer = Trainer::new(network, init, config, &weights, device).or_fail("preparing training")?;
        let batches = training_batches(train.images.len(), config.batch);
        Ok(Self { job, trainer, train, val, batches, sink })
    }

    fn steps_done(&self, epoch: u32) -> u64 {
        u64::from(epoch) * self.batches.len() as u64
    }

    /// Returns the learning rate of step `step`, counted from 0 over all epochs.
    fn rate(&self, step: u64) -> f64 {
        let config = self.job.config;
        rate(config.schedule, config.lr, step, self.steps_done(config.epochs))
    }

    /// Makes the steps of one epoch; returns the mean loss, or `None` if the listener stops it.
    fn train_epoch(&mut self, epoch: u32) -> Result<Option<f64>> {
        let doing = format!("training in epoch {epoch}");
        let (positions, changes) = self.prepare(epoch).or_fail(&doing)?;
        let mut running: Option<Total> = None;
        let steps = self.batches.len() as u64;
        for step in 0..steps {
            let batch = self.batches[step as usize].clone();
            let lr = self.rate(self.steps_done(epoch - 1) + step);
            let total = self.step(&positions, &changes, batch, lr).or_fail(&doing)?;
            running = Some(match running {
                None => total,
                Some(before) => before.plus(&total).or_fail(&doing)?,
            });
            if (self.sink)(TrialEvent::Step { epoch, step: step + 1, steps }) == Control::Stop {
                return Ok(None);
            }
        }
        let mean = match &running {
            Some(total) => total.mean().and_then(|mean| f64::try_from(&mean)).or_fail(&doing)?,
            None => f64::NAN,
        };
        finite(mean, epoch, "training").map(Some)
    }

    /// Draws order and changes of an epoch and brings them to the device, at once.
    fn prepare(&self, epoch: u32) -> anyhow::Result<(Tensor, Changes)> {
        let &Job { seed, device, config, .. } = self.job;
        let order = order(seed, epoch, self.train.images.len());
        let indices = order.iter().map(|&position| self.train.indices[position as usize]);
        let changes = Changes::draw(&config.augmentation, seed, epoch, indices, device)?;
        Ok((Tensor::from_slice(&order).f_to_device(device)?, changes))
    }

    fn step(
        &mut self,
        positions: &Tensor,
        changes: &Changes,
        batch: std::ops::Range<i64>,
        lr: f64,
    ) -> anyhow::Result<Total> {
        let index = positions.f_narrow(0, batch.start, batch.end - batch.start)?;
        let images = changes.apply(self.train.images.gather(&index)?, batch.start)?;
        self.trainer.step(&images, &self.train.truth.select(&index)?, lr)
    }

    /// Returns loss and metrics of the validation part.
    fn validate(&self, epoch: u32, score: Score<'_>) -> Result<(f64, MetricReport)> {
        let doing = format!("validation after epoch {epoch}");
        let &Job { network, config, store, .. } = self.job;
        let logits =
            logits(network, self.trainer.weights(), &self.val.images, config.batch).or_fail(&doing)?;
        let total = self.trainer.loss().total(&logits, &self.val.truth).or_fail(&doing)?;
        let loss = total.mean().and_then(|mean| f64::try_from(&mean)).or_fail(&doing)?;
        let loss = finite(loss, epoch, "validation")?;
        let scores = probabilities(&logits).or_fail(&doing)?;
        Ok((loss, score(&scores, &store.targets(&self.val.indices))?))
    }
}

fn finite(loss: f64, epoch: u32, part: &str) -> Result<f64> {
    if loss.is_finite() {
        return Ok(loss);
    }
    Err(Error::new(Exit::No, "E0501", format!("the {part} loss is {loss} in epoch {epoch}")).help(
        "try a smaller `train.lr`, then `train.precision = \"fp32\"`, and `nashost data check` for damaged \
         images; checkpoints of earlier epochs are intact",
    ))
}

/// Refuses settings that cannot train, all at once.
fn check(config: &TrainConfig) -> Result<()> {
    let positive = |value: f64| value > 0.0 && value.is_finite();
    let not_negative = |value: f64| value >= 0.0 && value.is_finite();
    let change = &config.augmentation;
    let problems: Vec<&str> = [
        (config.epochs == 0, "`train.epochs` must be at least 1"),
        (config.batch < 2, "`train.batch` must be at least 2: one image has no batch statistics"),
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
