//! Training of one trial: epochs, validation, checkpoints, and taking up where it was left.

use std::{ops::Range, time::Instant};

use nashost_plugin_api::{dataset::Part, graph::Op, metric::MetricReport, seed::derive_seed};
use tch::Tensor;

use super::{
    augment::Changes,
    batches::{Images, order, training_batches},
    checkpoint::Checkpoints,
    error::OrFail as _,
    job::{Job, Outcome, Score, check},
    loss::{PositiveWeights, Total, Truth},
    predict::{logits, probabilities},
    schedule::rate,
    state::{Progress, Snapshot, StateFile, Story},
    trainer::Trainer,
};
use crate::{
    config::train::DropPath,
    error::{Error, Exit, Result},
    run::trial::{Control, EpochReport, TrialEvent},
};

/// Names of the running loss in a state.
const LOSS_SUM: &str = "loss.sum";
const LOSS_ENTRIES: &str = "loss.entries";

/// Whoever is told what happens.
type Sink<'a> = &'a mut dyn FnMut(TrialEvent) -> Control;

/// Trains a network, keeping the weights that are best on the validation part.
///
/// Every random choice follows from [`Job::seed`]: order and augmentation from derived seeds of
/// their own, dropout from libtorch's generator, which is seeded before each step of a network that
/// draws (it is shared by the whole process: trials that run side by side must be processes of their
/// own to repeat exactly). On a CPU the same seed and number of threads give the same bits.
///
/// A process may end anywhere, and a later call with the same job goes on to the same bits. After
/// each epoch better weights are written to files of their own, then the state that names them, then
/// the epoch and its checkpoints are told, then superseded files go. So what `sink` was told is on
/// the disk, and what it missed ([`Resume`](super::Resume)) is told first by the next call. The state
/// of a complete training answers at once; the caller removes it with
/// [`forget_state`](super::forget_state).
///
/// # Errors
///
/// Fails with E0501 if the loss stops being a finite number, E0502 to E0504 if configuration, split
/// or images do not allow training, E0505 if a metric is missing, E0506, E0508 or E0509 if device,
/// disk or memory fail, E0510 or E0511 if the saved state is another training's or damaged. What was
/// written before stays intact.
pub fn train(job: &Job<'_>, score: Score<'_>, sink: Sink<'_>) -> Result<Outcome> {
    check(job.config)?;
    let mut checkpoints = Checkpoints::new(job.network, job.run_dir, job.trial)?;
    let file = StateFile::new(job.run_dir, job.trial, job.resume.identity);
    let snapshot = file.read()?;
    let mut stop = false;
    if let Some(snapshot) = &snapshot {
        checkpoints.restore(&snapshot.events)?;
        stop = tell(snapshot.events.iter().filter(|event| !job.resume.knows(event)), sink);
    }
    checkpoints.sweep();
    if stop {
        return Ok(Outcome::Cancelled);
    }
    if let Some(trained) = checkpoints.trained() {
        return Ok(Outcome::Completed(Box::new(trained)));
    }
    let mut fit = Fit::new(job, file)?;
    if let Some(snapshot) = snapshot {
        fit.restore(snapshot)?;
    }
    while fit.progress.epoch <= job.config.epochs {
        let Some(events) = fit.epoch(score, &mut checkpoints, sink)? else { return Ok(Outcome::Cancelled) };
        let stop = tell(events.iter(), sink);
        checkpoints.sweep();
        if stop {
            return Ok(Outcome::Cancelled);
        }
    }
    let trained = checkpoints.trained().expect("the first and the last epoch are kept");
    Ok(Outcome::Completed(Box::new(trained)))
}

/// Tells `events`, all of them; returns whether the listener asked to stop.
fn tell<'a>(events: impl Iterator<Item = &'a TrialEvent>, sink: Sink<'_>) -> bool {
    events.fold(false, |stop, event| (sink(event.clone()) == Control::Stop) | stop)
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
    batches: Vec<Range<i64>>,
    /// Whether a training pass draws from libtorch's generator.
    draws: bool,
    progress: Progress,
    /// Loss of the epoch's steps so far.
    running: Option<Total>,
    story: Story,
    file: StateFile,
    saved: Instant,
}

impl<'a, 'b> Fit<'a, 'b> {
    fn new(job: &'b Job<'a>, file: StateFile) -> Result<Self> {
        let &Job { network, init, store, config, device, .. } = job;
        // Batch statistics need two images.
        let train = Set::new(job, Part::Train, 2)?;
        let val = Set::new(job, Part::Val, 1)?;
        let targets = store.targets(&train.indices);
        let PositiveWeights { weights, notes } =
            PositiveWeights::new(config.pos_weight, config.pos_weight_cap, &store.info.labels, &targets);
        for note in &notes {
            tracing::warn!("{note}");
        }
        let trainer = Trainer::new(network, init, config, &weights, device).or_fail("preparing training")?;
        let batches = training_batches(train.images.len(), config.batch);
        let draws = network
            .graph()
            .nodes
            .iter()
            .any(|node| matches!(node.op, Op::Dropout { ratio } | Op::DropPath { ratio } if ratio > 0.0));
        Ok(Self {
            job,
            trainer,
            train,
            val,
            batches,
            draws,
            progress: Progress { epoch: 1, step: 0, seconds: 0.0 },
            running: None,
            story: Story::default(),
            file,
            saved: Instant::now(),
        })
    }

    fn restore(&mut self, mut snapshot: Snapshot) -> Result<()> {
        let Progress { epoch, step, .. } = snapshot.progress;
        if epoch == 0 || epoch > self.job.config.epochs || step > self.batches.len() as u64 {
            return Err(self.file.foreign(format!("it is at step {step} of epoch {epoch}")));
        }
        self.trainer.restore(&mut snapshot.tensors).map_err(|error| self.file.foreign(error))?;
        let running = (snapshot.tensors.remove(LOSS_SUM), snapshot.tensors.remove(LOSS_ENTRIES));
        self.running = match running {
            (Some(sum), Some(entries)) if step > 0 => {
                let moved =
                    |tensor: Tensor| tensor.f_to_device(self.job.device).or_fail("taking up a training");
                Some(Total { sum: moved(sum)?, entries: moved(entries)? })
            }
            (None, None) if step == 0 => None,
            _ => return Err(self.file.foreign("its loss is incomplete")),
        };
        if let Some(name) = snapshot.tensors.keys().next() {
            return Err(self.file.foreign(format!("the network has no `{name}`")));
        }
        self.progress = snapshot.progress;
        self.story = snapshot.story;
        Ok(())
    }

    /// Puts the training as it is on the disk.
    fn save(&mut self) -> Result<()> {
        let mut tensors = Vec::new();
        // Nothing is trained after the last epoch.
        if self.progress.epoch <= self.job.config.epochs {
            tensors = self.trainer.state();
            if let Some(Total { sum, entries }) = &self.running {
                for (name, tensor) in [(LOSS_SUM, sum), (LOSS_ENTRIES, entries)] {
                    tensors.push((name.to_owned(), tensor.shallow_clone()));
                }
            }
        }
        self.file.write(&self.progress, &self.story, &tensors)?;
        self.saved = Instant::now();
        Ok(())
    }

    fn steps_done(&self, epoch: u32) -> u64 {
        u64::from(epoch) * self.batches.len() as u64
    }

    /// Returns the learning rate of step `step`, counted from 0 over all epochs.
    fn rate(&self, step: u64) -> f64 {
        let config = self.job.config;
        rate(config.schedule, config.lr, step, self.steps_done(config.epochs))
    }

    /// Makes an epoch, or the rest of it, and puts it on the disk; returns what is to be told, or
    /// `None` if the listener stopped it.
    fn epoch(
        &mut self,
        score: Score<'_>,
        checkpoints: &mut Checkpoints<'_>,
        sink: Sink<'_>,
    ) -> Result<Option<Vec<TrialEvent>>> {
        let epoch = self.progress.epoch;
        let Some(train_loss) = self.steps(sink)? else { return Ok(None) };
        let begin = Instant::now();
        let (val_loss, val) = self.validate(epoch, score)?;
        let val_seconds = begin.elapsed().as_secs_f64();
        let weights = self.trainer.weights();
        let mut kept = checkpoints.consider(epoch, &val, weights)?;
        if epoch == self.job.config.epochs {
            kept.push(checkpoints.last(epoch, weights)?);
        }
        let report = EpochReport {
            epoch,
            train_loss,
            val_loss,
            lr: self.rate(self.steps_done(epoch) - 1),
            val,
            train_seconds: self.progress.seconds,
            val_seconds,
        };
        let mut events = vec![TrialEvent::Epoch(report)];
        events.extend(kept.into_iter().map(TrialEvent::Checkpoint));
        for event in &events {
            self.story.push(event)?;
        }
        self.progress = Progress { epoch: epoch + 1, step: 0, seconds: 0.0 };
        self.running = None;
        self.save()?;
        Ok(Some(events))
    }

    /// Makes the steps of the epoch that are left; returns the mean loss of all, or `None` if the
    /// listener stopped them, and then the state is saved.
    fn steps(&mut self, sink: Sink<'_>) -> Result<Option<f64>> {
        let begin = Instant::now();
        let Progress { epoch, step: first, seconds: before } = self.progress;
        let doing = format!("training in epoch {epoch}");
        let (positions, changes) = self.prepare(epoch).or_fail(&doing)?;
        if self.draws && self.job.config.drop_path == DropPath::Rising {
            let share = f64::from(epoch - 1) / f64::from(self.job.config.epochs);
            self.trainer.drop_paths(self.job.network, share);
        }
        let steps = self.batches.len() as u64;
        for step in first..steps {
            let total = self.step(&positions, &changes, step).or_fail(&doing)?;
            self.running = Some(match self.running.take() {
                None => total,
                Some(before) => before.plus(&total).or_fail(&doing)?,
            });
            let stop = sink(TrialEvent::Step { epoch, step: step + 1, steps }) == Control::Stop;
            if stop || self.saved.elapsed() >= self.job.resume.save_every {
                self.progress =
                    Progress { epoch, step: step + 1, seconds: before + begin.elapsed().as_secs_f64() };
                self.save()?;
            }
            if stop {
                return Ok(None);
            }
        }
        let mean = match &self.running {
            Some(total) => total.mean().and_then(|mean| f64::try_from(&mean)).or_fail(&doing)?,
            None => f64::NAN,
        };
        self.progress = Progress { epoch, step: steps, seconds: before + begin.elapsed().as_secs_f64() };
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

    /// Makes step `step` of the epoch, counted from 0.
    fn step(&mut self, positions: &Tensor, changes: &Changes, step: u64) -> anyhow::Result<Total> {
        let epoch = self.progress.epoch;
        let batch = &self.batches[step as usize];
        let index = positions.f_narrow(0, batch.start, batch.end - batch.start)?;
        let images = changes.apply(self.train.images.gather(&index)?, batch.start)?;
        if self.draws {
            // Masks then depend on the step alone, and a state needs no generator.
            let seed = derive_seed(self.job.seed, &format!("dropout/{epoch}/{step}"));
            tch::manual_seed(seed.cast_signed());
        }
        let lr = self.rate(self.steps_done(epoch - 1) + step);
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
