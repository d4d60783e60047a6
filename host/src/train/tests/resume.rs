//! Trainings that end anywhere and go on.

use std::{cell::RefCell, fs, path::PathBuf, time::Duration};

use tempfile::TempDir;

use super::*;
use crate::{
    config::train::{Optimizer, Schedule},
    error::Exit,
    run::trial::CheckpointReport,
};

const EPOCHS: u32 = 3;
/// Sixteen images in batches of five: 5, 5 and 6.
const STEPS: u64 = 3;

/// Adam, SGD in parts, and Adam in low precision.
fn configs() -> [TrainConfig; 3] {
    let augmentation = Augmentation { horizontal_flip: true, shift: 0.1, rotation: 5.0, intensity: 0.1 };
    let adam = TrainConfig { augmentation, schedule: Schedule::Cosine, ..config(EPOCHS) };
    let sgd = TrainConfig { optimizer: Optimizer::Sgd, weight_decay: 0.01, micro_batches: 2, ..adam.clone() };
    let bf16 = TrainConfig { precision: Precision::Bf16, ..adam.clone() };
    [adam, sgd, bf16]
}

/// Batch statistics and dropout.
fn drawing_network() -> Network {
    network(0.3, true)
}

fn without_seconds(events: &[TrialEvent]) -> Vec<TrialEvent> {
    let mut events = events.to_vec();
    for event in &mut events {
        if let TrialEvent::Epoch(report) = event {
            (report.train_seconds, report.val_seconds) = (0.0, 0.0);
        }
    }
    events
}

/// What a driver has on the disk.
struct Record {
    epochs: u32,
    checkpoints: Vec<CheckpointReport>,
}

impl Record {
    fn of(events: &[TrialEvent]) -> Self {
        let mut record = Self { epochs: 0, checkpoints: Vec::new() };
        for event in events {
            match event {
                TrialEvent::Epoch(report) => record.epochs = report.epoch,
                TrialEvent::Checkpoint(report) => record.checkpoints.push(report.clone()),
                other => panic!("{other:?}"),
            }
        }
        record
    }

    fn resume(&self) -> Resume<'_> {
        Resume { known_epochs: self.epochs, known_checkpoints: &self.checkpoints, ..FRESH }
    }
}

/// An undisturbed training.
struct Whole {
    config: TrainConfig,
    network: Network,
    events: Vec<TrialEvent>,
    trained: Trained,
}

impl Whole {
    fn new(config: TrainConfig) -> Self {
        let (network, dir) = (drawing_network(), tempfile::tempdir().unwrap());
        let (outcome, events) = run(&config, &network, 1, dir.path(), |_| false);
        let events = without_seconds(&events);
        let improvements = events.iter().filter(|event| matches!(event, TrialEvent::Checkpoint(_))).count();
        assert!(improvements > 3, "a later epoch must supersede a checkpoint for these tests: {events:?}");
        Self { config, network, events, trained: completed(outcome) }
    }

    /// Goes on in `dir` to the end, and compares everything with the undisturbed training. `told` is
    /// what the driver has recorded.
    fn finish(&self, dir: &Path, told: &[TrialEvent], context: &str) {
        let record = Record::of(told);
        let (outcome, more) = resume(&self.config, &self.network, 1, dir, record.resume(), |_| false);
        let all: Vec<_> = told.iter().cloned().chain(more).collect();
        assert_eq!(without_seconds(&all), self.events, "{context}");
        assert_eq!(completed(outcome), self.trained, "{context}");
        self.check_files(dir, context);
    }

    /// The files are those of the reports, with their bytes, and the state.
    fn check_files(&self, dir: &Path, context: &str) {
        let Trained { best_subset_accuracy, best_macro_f1, last } = &self.trained;
        let mut expected = vec![PathBuf::from("ckpt/T0001").join(STATE)];
        for report in [best_subset_accuracy, best_macro_f1, last] {
            let weights = Weights::load(&self.network, &dir.join(&report.path)).unwrap();
            assert_eq!(weights.tensors().len(), self.network.parameters().len());
            expected.push(report.path.clone());
        }
        expected.sort();
        let entries = fs::read_dir(dir.join("ckpt/T0001")).unwrap();
        let mut found: Vec<_> =
            entries.map(|entry| PathBuf::from("ckpt/T0001").join(entry.unwrap().file_name())).collect();
        found.sort();
        assert_eq!(found, expected, "{context}");
    }
}

fn global(epoch: u32, step: u64) -> u64 {
    u64::from(epoch - 1) * STEPS + step
}

#[test]
fn stopped_at_any_step_or_epoch_it_ends_the_same() {
    for whole in configs().map(Whole::new) {
        let at = |stop: &dyn Fn(&TrialEvent) -> bool, context: String| {
            let dir = tempfile::tempdir().unwrap();
            let (outcome, told) = run(&whole.config, &whole.network, 1, dir.path(), stop);
            assert_eq!(outcome, Ok(Outcome::Cancelled), "{context}");
            whole.finish(dir.path(), &told, &context);
        };
        for last in 1..=global(EPOCHS, STEPS) {
            let stop = |event: &TrialEvent| matches!(*event, TrialEvent::Step { epoch, step, .. } if global(epoch, step) == last);
            at(&stop, format!("stopped at step {last}"));
        }
        for last in 1..=EPOCHS {
            let stop = |event: &TrialEvent| matches!(event, TrialEvent::Epoch(r) if r.epoch == last);
            at(&stop, format!("stopped at epoch {last}"));
        }
    }
}

#[test]
fn stopped_at_every_step_it_ends_the_same() {
    for whole in configs().map(Whole::new) {
        let dir = tempfile::tempdir().unwrap();
        let mut told = Vec::new();
        for process in 1.. {
            let record = Record::of(&told);
            let step = |event: &TrialEvent| matches!(event, TrialEvent::Step { .. });
            let (outcome, more) = resume(&whole.config, &whole.network, 1, dir.path(), record.resume(), step);
            told.extend(more);
            if outcome != Ok(Outcome::Cancelled) {
                assert_eq!(completed(outcome), whole.trained);
                assert_eq!(process, global(EPOCHS, STEPS) + 1);
                break;
            }
        }
        assert_eq!(without_seconds(&told), whole.events);
        whole.check_files(dir.path(), "after all");
    }
}

/// Copies of the run's files as a kill would leave them, each with what was told before it.
struct Kills(RefCell<Vec<(TempDir, usize, TrialEvent)>>);

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("ckpt/T0001")).unwrap();
    for entry in fs::read_dir(from.join("ckpt/T0001")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join("ckpt/T0001").join(entry.file_name())).unwrap();
    }
}

impl Kills {
    /// Trains, saving a state after each step, and copies the files at each event.
    fn of(whole: &Whole) -> Self {
        let kills = RefCell::new(Vec::new());
        let (dir, told) = (tempfile::tempdir().unwrap(), RefCell::new(0));
        let always = Resume { save_every: Duration::ZERO, ..FRESH };
        let _ = resume(&whole.config, &whole.network, 1, dir.path(), always, |event| {
            let now = tempfile::tempdir().unwrap();
            copy(dir.path(), now.path());
            kills.borrow_mut().push((now, *told.borrow(), event.clone()));
            *told.borrow_mut() += usize::from(!matches!(event, TrialEvent::Step { .. }));
            false
        });
        Self(kills)
    }
}

#[test]
fn killed_at_any_event_it_ends_the_same() {
    let [config, ..] = configs();
    let whole = Whole::new(config);
    for (dir, told, event) in Kills::of(&whole).0.into_inner() {
        // Before the driver recorded the event, or after.
        let after = told + usize::from(!matches!(event, TrialEvent::Step { .. }));
        for recorded in told..=after {
            let copied = tempfile::tempdir().unwrap();
            copy(dir.path(), copied.path());
            let context = format!("killed at {event:?} with {recorded} events recorded");
            whole.finish(copied.path(), &whole.events[..recorded], &context);
        }
    }
}

/// The writes at the end of an epoch, in their order: better weights, the last ones, the state.
#[test]
fn killed_between_two_writes_it_ends_the_same() {
    let [config, ..] = configs();
    let whole = Whole::new(config);
    let kills = Kills::of(&whole).0.into_inner();
    let mut tried = 0;
    for pair in kills.windows(2) {
        let [(before, told, TrialEvent::Step { .. }), (after, _, TrialEvent::Epoch(report))] = pair else {
            continue;
        };
        let folder = Path::new("ckpt/T0001");
        let mut writes: Vec<PathBuf> = whole
            .events
            .iter()
            .filter_map(|event| match event {
                TrialEvent::Checkpoint(kept) if kept.epoch == report.epoch => Some(kept.path.clone()),
                _ => None,
            })
            .collect();
        writes.push(folder.join(STATE));
        for done in 0..=writes.len() {
            let dir = tempfile::tempdir().unwrap();
            copy(before.path(), dir.path());
            for path in &writes[..done] {
                fs::copy(after.path().join(path), dir.path().join(path)).unwrap();
            }
            // The next write had begun.
            fs::write(dir.path().join(folder).join(".nashost-k1ll3d.tmp"), "half of a file").unwrap();
            let context = format!("killed after {done} writes of epoch {}", report.epoch);
            whole.finish(dir.path(), &whole.events[..*told], &context);
            tried += 1;
        }
    }
    assert!(tried > 2 * EPOCHS, "{tried}");
}

#[test]
fn a_complete_training_answers_at_once_until_it_is_forgotten() {
    let [config, ..] = configs();
    let whole = Whole::new(config);
    let dir = tempfile::tempdir().unwrap();
    let _ = run(&whole.config, &whole.network, 1, dir.path(), |_| false);
    let state = dir.path().join("ckpt/T0001").join(STATE);
    assert!(fs::metadata(&state).unwrap().len() < 20_000, "a complete state needs no weights");
    for recorded in (0..=whole.events.len()).rev() {
        whole.finish(dir.path(), &whole.events[..recorded], &format!("{recorded} events recorded"));
    }
    forget_state(dir.path(), "T0001").unwrap();
    assert!(!state.exists());
    forget_state(dir.path(), "T0001").unwrap();
    // Trained again from the start, although the driver knows of epochs: all are told again.
    let record = Record::of(&whole.events);
    let (outcome, told) = resume(&whole.config, &whole.network, 1, dir.path(), record.resume(), |_| false);
    assert_eq!(without_seconds(&told), whole.events);
    assert_eq!(completed(outcome), whole.trained);
}

/// A training that was stopped in its second epoch.
fn stopped() -> (Whole, TempDir) {
    let [config, ..] = configs();
    let whole = Whole::new(config);
    let dir = tempfile::tempdir().unwrap();
    let stop = |event: &TrialEvent| matches!(event, TrialEvent::Step { epoch: 2, step: 2, .. });
    let (outcome, _) = run(&whole.config, &whole.network, 1, dir.path(), stop);
    assert_eq!(outcome, Ok(Outcome::Cancelled));
    (whole, dir)
}

/// Tries to go on in `dir`, which must fail and change nothing.
fn refused(whole: &Whole, network: &Network, dir: &Path, identity: &str) -> crate::error::Error {
    let before = fs::read(dir.join("ckpt/T0001").join(STATE)).unwrap();
    let again = Resume { identity, ..FRESH };
    let (outcome, events) = resume(&whole.config, network, 1, dir, again, |_| false);
    assert_eq!(fs::read(dir.join("ckpt/T0001").join(STATE)).unwrap(), before);
    let error = outcome.unwrap_err();
    assert!(without_seconds(&events).iter().all(|event| whole.events.contains(event)));
    error
}

#[test]
fn a_damaged_state_is_refused_wherever_the_damage_is() {
    let (whole, dir) = stopped();
    let path = dir.path().join("ckpt/T0001").join(STATE);
    let sound = fs::read(&path).unwrap();
    let check = |bytes: &[u8], context: String| {
        fs::write(&path, bytes).unwrap();
        let error = refused(&whole, &whole.network, dir.path(), FRESH.identity);
        assert_eq!((error.code, error.exit), ("E0511", Exit::Environment), "{context}: {}", error.message);
        assert!(error.message.contains(STATE) && error.help.is_some(), "{}", error.message);
    };
    let places = (0..sound.len()).step_by(sound.len() / 40).chain([7, 8, 9, sound.len() - 1]);
    for place in places {
        check(&sound[..place], format!("cut at {place} of {}", sound.len()));
        let mut bytes = sound.clone();
        bytes[place] ^= 0x10;
        check(&bytes, format!("byte {place} of {}", sound.len()));
    }
    check(&[sound.as_slice(), &[0]].concat(), "one byte more".to_owned());
    fs::write(&path, &sound).unwrap();
    let best = fs::read_dir(dir.path().join("ckpt/T0001")).unwrap().map(|entry| entry.unwrap().path());
    let best = best.into_iter().find(|path| path.to_str().unwrap().contains(BEST_MACRO_F1)).unwrap();
    let weights = fs::read(&best).unwrap();
    fs::write(&best, &weights[1..]).unwrap();
    let error = refused(&whole, &whole.network, dir.path(), FRESH.identity);
    assert_eq!(error.code, "E0511");
    assert!(error.message.contains(BEST_MACRO_F1), "{}", error.message);
    fs::write(&best, &weights).unwrap();
    let record = Record::of(&whole.events[..3]);
    assert_eq!(record.epochs, 1);
    whole.finish(dir.path(), &whole.events[..3], "the sound file is fine");
}

#[test]
fn the_state_of_another_training_is_refused() {
    let (whole, dir) = stopped();
    let error = refused(&whole, &whole.network, dir.path(), "another trial");
    assert_eq!((error.code, error.exit), ("E0510", Exit::Identity));
    assert!(error.message.contains("another trial"), "{}", error.message);
    // Even if the caller took two trainings for one.
    for network in [network(0.3, false), fixture_network()] {
        let error = refused(&whole, &network, dir.path(), FRESH.identity);
        assert_eq!(error.code, "E0510", "{}", error.message);
    }
}

#[test]
fn a_state_is_saved_when_the_time_has_passed_and_not_before() {
    let (network, config) = (drawing_network(), config(1));
    for (save_every, expected) in [(Duration::from_secs(3600), false), (Duration::ZERO, true)] {
        let dir = tempfile::tempdir().unwrap();
        let seen = RefCell::new(Vec::new());
        let again = Resume { save_every, ..FRESH };
        let _ = resume(&config, &network, 1, dir.path(), again, |event| {
            if let TrialEvent::Step { step: 2, .. } = event {
                seen.borrow_mut().push(dir.path().join("ckpt/T0001").join(STATE).exists());
            }
            false
        });
        assert_eq!(*seen.borrow(), [expected]);
    }
}
