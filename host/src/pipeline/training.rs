//! The driver's side of the trials: who trains what, and what happens if it goes wrong.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    time::{Duration, Instant},
};

use super::{Session, Stop};
use crate::{
    error::{Error, Exit, Result},
    run::{
        events::RunEvent,
        progress::TrainingProgress,
        state::TrialState,
        trial::{FailureKind, TrialEvent, TrialRequest},
    },
    train,
    worker::{Ended, FromWorker, Known, Pool, Report, TaskError, ToWorker, trial_log},
};

/// How often the driver looks around.
const TICK: Duration = Duration::from_millis(100);
/// Least time between two writings of the tables while trials go on.
const TABLES: Duration = Duration::from_secs(2);
/// Errors that a trial or a search has of its own, though they look like those of its surroundings: the
/// memory of its batches, its saved state, what a plugin makes of its structure.
const OWN: [&str; 6] = ["E0422", "E0509", "E0510", "E0511", "E0607", "E0813"];

impl Session<'_> {
    /// Executes every trial that is open; returns how many of the run's have no result.
    pub(super) fn train(&mut self, pool: &mut Pool) -> std::result::Result<usize, Stop> {
        let attempts = self.config.run.attempts;
        let state = self.recorder.state();
        let bar = self.host.progress.training(state.trials.len() as u32);
        for trial in state.trials.values().filter(|trial| !trial.is_open(attempts)) {
            bar.skip(&trial.request, trial.test().is_some());
        }
        let open = state.trials.iter().filter(|(_, trial)| trial.is_open(attempts));
        let mut queue: VecDeque<u32> = open.map(|(&number, _)| number).collect();
        self.recorder.set_aside()?;
        let mut running: BTreeMap<usize, u32> = BTreeMap::new();
        let mut stopping: Option<Stop> = None;
        let mut tables = Instant::now();
        loop {
            if stopping.is_none()
                && let Some(why) = self.must_stop()
            {
                stopping = Some(why);
                pool.stop();
            }
            while stopping.is_none()
                && let Some(slot) = pool.idle()
                && let Some(trial) = queue.pop_front()
            {
                if self.budget.forbids(trial) {
                    // Trials are given out in their order, but for those that are tried again.
                    continue;
                }
                self.give(pool, slot, trial)?;
                running.insert(slot, trial);
            }
            if running.is_empty() {
                break;
            }
            let Some((slot, report)) = pool.next(TICK) else { continue };
            let Some(&trial) = running.get(&slot) else { continue };
            match report {
                Report::Told(message) => {
                    self.hear(trial, message, &bar)?;
                    if tables.elapsed() >= TABLES {
                        self.recorder.write_tables()?;
                        tables = Instant::now();
                    }
                }
                Report::Ended(ended) => {
                    running.remove(&slot);
                    self.budget.end(slot, &self.host.device.name);
                    if self.end(trial, ended, &bar, stopping.is_some())? {
                        queue.push_front(trial);
                    }
                }
            }
        }
        drop(bar);
        if let Some(stop) = stopping {
            return Err(stop);
        }
        let trials = &self.recorder.state().trials;
        if let Some(max) = self.config.run.max_trials
            && trials.values().any(|trial| trial.is_open(attempts))
        {
            return Err(Stop::Budget(format!("`run.max_trials` of {max} is used up")));
        }
        Ok(trials.len())
    }

    /// Gives a trial to the worker of `slot`, as a new attempt if there was one before.
    fn give(&mut self, pool: &mut Pool, slot: usize, number: u32) -> Result<()> {
        let Some(trial) = self.recorder.state().trials.get(&number) else { return Ok(()) };
        if trial.started.is_some() || trial.ended.is_some() {
            let request = self.next_attempt(trial);
            let architecture = trial.architecture.clone();
            self.recorder.record(RunEvent::TrialQueued { request: Box::new(request), architecture })?;
        }
        let Some(trial) = self.recorder.state().trials.get(&number) else { return Ok(()) };
        let known =
            Known { epochs: trial.last_epoch(), checkpoints: trial.checkpoints.values().cloned().collect() };
        let request = trial.request.clone();
        let log = trial_log(&request);
        self.budget.begin(slot);
        pool.start(slot, ToWorker::Trial { request: Box::new(request), known }, Path::new(&log))
    }

    /// The request of the next attempt; after out-of-memory with batches in two parts.
    fn next_attempt(&self, trial: &TrialState) -> TrialRequest {
        let mut request = trial.request.clone();
        request.attempt += 1;
        let starved = trial.failure().is_some_and(|failure| failure.kind == FailureKind::Oom);
        if starved && self.config.run.halve_on_oom && request.train.micro_batches == 1 {
            request.train.micro_batches = 2;
        }
        request
    }

    fn hear(&mut self, number: u32, message: FromWorker, bar: &TrainingProgress) -> Result<()> {
        let Some(trial) = self.recorder.state().trials.get(&number) else { return Ok(()) };
        match message {
            FromWorker::Trial { event } => {
                bar.tell(&trial.request, &event);
                let attempt = trial.request.attempt;
                self.recorder.record_trial(number, attempt, *event)
            }
            FromWorker::Warning { line } => {
                tracing::warn!("{}: {line}", trial.request.name());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Records how an attempt ended; says whether there is to be another.
    fn end(
        &mut self,
        number: u32,
        ended: Ended,
        bar: &TrainingProgress,
        stopping: bool,
    ) -> std::result::Result<bool, Stop> {
        let Some(trial) = self.recorder.state().trials.get(&number) else { return Ok(false) };
        let (request, attempts) = (trial.request.clone(), self.config.run.attempts);
        let error = match ended {
            Ended::Done if trial.test().is_some() => {
                train::forget_state(self.recorder.dir().path(), &request.name())?;
                self.recorder.set_aside()?;
                return Ok(false);
            }
            Ended::Done => TaskError {
                kind: FailureKind::Crashed,
                code: "E0817".to_owned(),
                message: "the worker said that it is done, but gave no result".to_owned(),
                help: None,
                exit: Exit::No as u8,
            },
            // What it did is saved; the record shows it as running, and a later session goes on.
            Ended::Stopped => return Ok(false),
            Ended::Failed(error)
                if error.kind == FailureKind::Failed && is_of_surroundings(&error.clone().into()) =>
            {
                return Err(Stop::Error(error.into()));
            }
            // A process that had to be ended while the run stops did nothing wrong.
            Ended::Failed(error) if stopping && error.kind != FailureKind::Failed => return Ok(false),
            Ended::Failed(error) => error,
        };
        let (kind, message) = (error.kind, error.text());
        tracing::error!(trial = request.name(), code = error.code, attempt = request.attempt, "{message}");
        let event = TrialEvent::Failed { kind, code: error.code, message };
        self.recorder.record_trial(number, request.attempt, event.clone())?;
        let Some(trial) = self.recorder.state().trials.get(&number) else { return Ok(false) };
        if !trial.is_open(attempts) {
            bar.tell(&request, &event);
            return Ok(false);
        }
        let next = self.next_attempt(trial);
        if next.train.micro_batches != request.train.micro_batches {
            let message = format!(
                "{} ran out of memory and goes on with each batch in {} parts: batch statistics come from the \
                 parts, so its result is not quite comparable (`run.halve_on_oom`)",
                request.name(),
                next.train.micro_batches
            );
            tracing::warn!("{message}");
            self.recorder.record(RunEvent::Warning { message })?;
        }
        Ok(true)
    }
}

/// Whether `error` is of what surrounds the run, such as the disk, the data, a plugin's file or the
/// device. Whatever comes next would meet it, too, so the run stops, and can be taken up when that is
/// mended.
pub(super) fn is_of_surroundings(error: &Error) -> bool {
    matches!(error.exit, Exit::Environment | Exit::Identity | Exit::Plugin) && !OWN.contains(&error.code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evaluate::{PredictionTable, Truth},
        run::{atomic, events::EventLog},
    };

    #[test]
    fn a_disk_that_refuses_a_file_stops_the_run_and_fails_no_trial() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("missing/file");
        let truth = Truth::new(vec!["label".into()], vec![], vec![], vec![]).unwrap();
        let errors = [
            atomic::write(&nowhere, b"x").unwrap_err(),
            EventLog::create(&nowhere).unwrap_err(),
            PredictionTable::new(truth, vec![]).unwrap().write(&nowhere).unwrap_err(),
        ];
        for error in errors {
            assert!(is_of_surroundings(&error), "{error:?}");
        }
    }

    #[test]
    fn what_the_next_trial_would_meet_as_well_stops_the_run_and_what_is_a_trials_own_does_not() {
        let is = |exit, code| is_of_surroundings(&Error::new(exit, code, "x"));
        assert!(is(Exit::Identity, "E0806") && is(Exit::Plugin, "E0401") && is(Exit::Environment, "E0451"));
        assert!(!is(Exit::No, "E0501") && !is(Exit::No, "E0421") && !is(Exit::Budget, "E0812"));
        assert!(
            !is(Exit::Environment, "E0509") && !is(Exit::Plugin, "E0422") && !is(Exit::Identity, "E0510")
        );
    }
}
