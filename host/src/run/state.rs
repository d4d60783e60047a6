//! What the events of a run add up to.

use std::{
    collections::{BTreeMap, BTreeSet},
    slice,
};

use nashost_export::Normalisation;
use nashost_plugin_api::{dataset::Part, metric::Direction, strategy::SearchResult};
use serde::{Deserialize, Serialize};

use super::{
    claim::Ending,
    events::{
        Baseline, Candidate, DataReady, Failure, OneShotPlanned, OneShotStep, PortableArchitecture, Record,
        RunEvent, RunStarted, SearchStarted, SplitMade,
    },
    time::Timestamp,
    trial::{CheckpointReport, EpochReport, FailureKind, TestReport, TrialEvent, TrialRequest},
};
use crate::error::{Error, Exit, Result};

/// The metric by which trials are ranked, on the validation part.
const RANKED_BY: &str = "macro_f1";

/// The state of a run after some of its events.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// When and what began.
    pub started: Option<(Timestamp, RunStarted)>,
    /// When each process that wrote the run began and told something last, oldest first.
    pub sessions: Vec<(Timestamp, Timestamp)>,
    /// The data.
    pub data: Option<DataReady>,
    /// Its parts.
    pub split: Option<SplitMade>,
    /// What readers of the results must know.
    pub warnings: Vec<String>,
    /// The search.
    pub search: Option<SearchState>,
    /// Structures by their id.
    pub architectures: BTreeMap<String, PortableArchitecture>,
    /// Trials by their number.
    pub trials: BTreeMap<u32, TrialState>,
    /// Trivial predictors, as they came.
    pub baselines: Vec<Baseline>,
    /// When and how the run ended.
    pub finished: Option<(Timestamp, Ending, Option<Failure>)>,
    /// When the last event was written.
    pub last: Option<Timestamp>,
}

/// The state of a search. Its candidates stay on the disk, see [`candidates`](super::events::candidates):
/// the memory of a search does not grow with its length.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchState {
    /// What is searched.
    pub started: SearchStarted,
    /// Number of answered proposals.
    pub candidates: u64,
    /// The best value so far.
    pub best: Option<f64>,
    /// Names of the costs that candidates have.
    pub costs: BTreeSet<String>,
    /// What a one-shot search means to do.
    pub plan: Option<OneShotPlanned>,
    /// Steps of a one-shot search, in their order.
    pub steps: Vec<OneShotStep>,
    /// What was found, and the seconds it took.
    pub finished: Option<(SearchResult, f64)>,
    /// What a one-shot search told beside its result.
    pub details: Option<serde_json::Value>,
    /// [`Candidate::id`] of the newest.
    last: Option<u64>,
}

impl SearchState {
    fn begin(started: &SearchStarted) -> Self {
        let started = started.clone();
        Self {
            started,
            candidates: 0,
            best: None,
            costs: BTreeSet::new(),
            plan: None,
            steps: Vec::new(),
            finished: None,
            details: None,
            last: None,
        }
    }

    fn add(&mut self, candidate: &Candidate) {
        self.candidates += 1;
        self.last = Some(candidate.id);
        self.best = better(self.started.direction, self.best, candidate.value);
        for name in candidate.costs.keys() {
            if !self.costs.contains(name) {
                self.costs.insert(name.clone());
            }
        }
    }
}

/// The better of two values, as far as there are any.
pub(crate) fn better(direction: Direction, a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b, direction) {
        (Some(a), Some(b), Direction::Higher) => Some(a.max(b)),
        (Some(a), Some(b), Direction::Lower) => Some(a.min(b)),
        (a, b, _) => a.or(b),
    }
}

/// The state of a trial. It survives attempts: a later one may go on from a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialState {
    /// What the current attempt is to do.
    pub request: TrialRequest,
    /// Key of [`State::architectures`].
    pub architecture: String,
    /// How the images of the current attempt are normalised; none in records of nashost before this was written
    /// down. A run that is taken up with other data has other numbers from then on.
    pub normalisation: Option<Normalisation>,
    /// When the current attempt began.
    pub started: Option<Timestamp>,
    /// Epochs by their number; an epoch that is trained again replaces itself and all later ones.
    pub epochs: BTreeMap<u32, EpochReport>,
    /// Checkpoints by their kind.
    pub checkpoints: BTreeMap<String, CheckpointReport>,
    /// When and how the current attempt ended.
    pub ended: Option<(Timestamp, std::result::Result<TestReport, TrialFailure>)>,
    /// Attempts in a row that failed without getting further than those before.
    pub strikes: u32,
    /// Seconds from the start of each attempt to the last that was heard of it, all together.
    pub seconds: f64,
    /// When something was last heard of the current attempt.
    heard: Option<Timestamp>,
}

/// Why an attempt of a trial has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialFailure {
    /// How it ended.
    pub kind: FailureKind,
    /// Code and message.
    pub failure: Failure,
}

impl TrialState {
    /// The word for the state in tables: `queued`, `running`, `done`, `failed`, `oom`, `timeout` or
    /// `crashed`.
    pub fn phase(&self) -> &'static str {
        match (&self.ended, self.started) {
            (Some((_, Ok(_))), _) => "done",
            (Some((_, Err(failure))), _) => failure.kind.name(),
            (None, Some(_)) => "running",
            (None, None) => "queued",
        }
    }

    /// The final evaluation, if there was one.
    pub fn test(&self) -> Option<&TestReport> {
        self.ended.as_ref().and_then(|(_, end)| end.as_ref().ok())
    }

    /// Why the trial has no result, if it failed.
    pub fn failure(&self) -> Option<&TrialFailure> {
        self.ended.as_ref().and_then(|(_, end)| end.as_ref().err())
    }

    /// Whether there is something left to do: it has neither a result nor an error that would come
    /// again, and was not given up after `attempts` that got no further.
    pub fn is_open(&self, attempts: u32) -> bool {
        match &self.ended {
            None => true,
            Some((_, Ok(_))) => false,
            Some((_, Err(failure))) => failure.kind != FailureKind::Failed && self.strikes < attempts,
        }
    }

    /// Number of the last epoch that is recorded, 0 if none is.
    pub fn last_epoch(&self) -> u32 {
        self.epochs.keys().next_back().copied().unwrap_or(0)
    }

    /// Seconds of training.
    pub fn train_seconds(&self) -> f64 {
        self.epochs.values().fold(0.0, |sum, epoch| sum + epoch.train_seconds)
    }
}

impl State {
    /// Adds up events.
    ///
    /// # Errors
    ///
    /// Fails if an event cannot follow those before it.
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Self> {
        let mut state = Self::default();
        for record in records {
            state.check(&record.event)?;
            state.apply(record);
        }
        Ok(state)
    }

    /// Checks that `event` can come next.
    ///
    /// # Errors
    ///
    /// Says what it lacks.
    pub fn check(&self, event: &RunEvent) -> Result<()> {
        let problem = match event {
            RunEvent::RunStarted(_) => self.started.is_some().then(|| "the run began before".to_owned()),
            _ if self.started.is_none() => Some("the run has not begun".to_owned()),
            RunEvent::Candidate(candidate) => self.candidates_problem(slice::from_ref(candidate)),
            RunEvent::OneShotStep(step) => {
                let next = self.search.as_ref().map(|search| search.steps.len() as u64 + 1);
                (next != Some(step.step)).then(|| match next {
                    Some(next) => format!("step {} of the search comes instead of step {next}", step.step),
                    None => "a step has no search".to_owned(),
                })
            }
            RunEvent::OneShotPlanned(_) | RunEvent::SearchFinished { .. } => {
                self.search.is_none().then(|| "the search has not begun".to_owned())
            }
            RunEvent::TrialQueued { architecture, .. } if !self.architectures.contains_key(architecture) => {
                Some(format!("nothing is known of architecture {architecture}"))
            }
            RunEvent::TrialQueued { request, .. } => {
                let last = self.trials.get(&request.trial).map_or(0, |trial| trial.request.attempt);
                (request.attempt != last + 1).then(|| {
                    format!("attempt {} of {} follows attempt {last}", request.attempt, request.name())
                })
            }
            RunEvent::Trial { trial, attempt, .. } => {
                let known = self.trials.get(trial).is_some_and(|t| t.request.attempt == *attempt);
                (!known).then(|| format!("attempt {attempt} of trial {trial} is not queued"))
            }
            _ => None,
        };
        no_problem(problem)
    }

    /// Checks that `candidates` can come next, in this order.
    ///
    /// # Errors
    ///
    /// Says what they lack.
    pub fn check_candidates(&self, candidates: &[Candidate]) -> Result<()> {
        no_problem(self.candidates_problem(candidates))
    }

    fn candidates_problem(&self, candidates: &[Candidate]) -> Option<String> {
        let Some(search) = &self.search else {
            return Some("a candidate has no search".to_owned());
        };
        let known = search.last;
        let ids: Vec<u64> = known.into_iter().chain(candidates.iter().map(|c| c.id)).collect();
        ids.windows(2)
            .find(|pair| pair[0] >= pair[1])
            .map(|pair| format!("candidate {} comes after candidate {}", pair[1], pair[0]))
    }

    /// Adds an event that [`State::check`] accepts.
    pub fn apply(&mut self, record: &Record) {
        let time = record.time;
        self.last = Some(time);
        match (&record.event, self.sessions.last_mut()) {
            (RunEvent::RunStarted(_) | RunEvent::RunResumed(_), _) | (_, None) => {
                self.sessions.push((time, time));
            }
            (_, Some((_, last))) => *last = time,
        }
        // What follows an end is a run that was taken up again.
        self.finished = None;
        match &record.event {
            RunEvent::RunStarted(started) => self.started = Some((time, started.clone())),
            RunEvent::RunResumed(_) => {}
            RunEvent::Warning { message } => self.warnings.push(message.clone()),
            RunEvent::DataReady(data) => self.data = Some(data.clone()),
            RunEvent::SplitMade(split) => self.split = Some(split.clone()),
            RunEvent::SearchStarted(started) => {
                self.search = Some(SearchState::begin(started));
            }
            RunEvent::OneShotPlanned(plan) => {
                if let Some(search) = &mut self.search {
                    search.plan = Some(plan.clone());
                }
            }
            RunEvent::OneShotStep(step) => {
                if let Some(search) = &mut self.search {
                    search.steps.push(step.clone());
                }
            }
            RunEvent::Candidate(candidate) => {
                if let Some(search) = &mut self.search {
                    search.add(candidate);
                }
            }
            RunEvent::SearchFinished { result, seconds, details } => {
                if let Some(search) = &mut self.search {
                    search.details.clone_from(details);
                    search.finished = Some((result.clone(), *seconds));
                }
            }
            RunEvent::ArchitectureReady(architecture) => {
                self.architectures.insert(architecture.id.clone(), (**architecture).clone());
            }
            RunEvent::TrialQueued { request, architecture } => self.queue(request, architecture),
            RunEvent::Trial { trial, report, .. } => {
                if let Some(trial) = self.trials.get_mut(trial) {
                    trial.apply(time, report);
                }
            }
            RunEvent::Baseline(baseline) => self.baselines.push(baseline.clone()),
            RunEvent::RunFinished { ending, failure } => {
                self.finished = Some((time, *ending, failure.clone()));
            }
        }
    }

    fn queue(&mut self, request: &TrialRequest, architecture: &str) {
        let earlier = self.trials.remove(&request.trial);
        let trial = TrialState {
            request: request.clone(),
            architecture: architecture.to_owned(),
            normalisation: self.data.as_ref().and_then(|data| data.normalisation.clone()),
            started: None,
            strikes: earlier.as_ref().map_or(0, |trial| trial.strikes),
            seconds: earlier.as_ref().map_or(0.0, |trial| trial.seconds),
            heard: None,
            ended: None,
            epochs: earlier.as_ref().map(|trial| trial.epochs.clone()).unwrap_or_default(),
            checkpoints: earlier.map(|trial| trial.checkpoints).unwrap_or_default(),
        };
        self.trials.insert(request.trial, trial);
    }

    /// Whether the run ended with a result and nothing is left to do with `attempts` for each trial.
    pub fn is_complete(&self, attempts: u32) -> bool {
        matches!(self.finished, Some((_, Ending::Done, _)))
            && !self.trials.values().any(|trial| trial.is_open(attempts))
    }

    /// The trials without a result that are not tried again with `attempts` for each.
    pub fn given_up(&self, attempts: u32) -> impl Iterator<Item = &TrialState> {
        self.trials.values().filter(move |trial| trial.failure().is_some() && !trial.is_open(attempts))
    }

    /// The trials with a result, the best on the validation part first. Of equals the first is better;
    /// undefined is worst.
    pub fn ranked(&self) -> Vec<&TrialState> {
        let value = |trial: &TrialState| {
            let epoch = trial.epochs.get(&trial.test()?.checkpoint.epoch)?;
            epoch.val.overall.get(RANKED_BY)?.value
        };
        let key = |trial: &TrialState| value(trial).unwrap_or(f64::NEG_INFINITY);
        let mut done: Vec<&TrialState> = self.trials.values().filter(|t| t.test().is_some()).collect();
        done.sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.request.trial.cmp(&b.request.trial)));
        done
    }

    /// Seconds that the run took, all sessions together.
    pub fn seconds(&self) -> f64 {
        self.sessions.iter().map(|(first, last)| last.seconds_since(*first).max(0.0)).sum()
    }

    /// Seconds that trials occupied GPUs, all attempts together.
    pub fn gpu_seconds(&self) -> f64 {
        let on_gpu = self.trials.values().filter(|trial| trial.request.device.starts_with("cuda"));
        on_gpu.fold(0.0, |sum, trial| sum + trial.seconds)
    }

    /// Identity of the run; empty before its first event.
    pub fn run_id(&self) -> &str {
        self.started.as_ref().map_or("", |(_, started)| &started.run_id)
    }

    /// Label names; none before the data is ready.
    pub fn labels(&self) -> &[String] {
        self.data.as_ref().map_or(&[], |data| &data.info.labels)
    }

    /// Number of images in `part`.
    pub fn images(&self, part: Part) -> Option<u64> {
        Some(self.split.as_ref()?.parts.get(&part)?.images)
    }

    /// Number of images in `part` with the finding `label`.
    pub fn positives(&self, part: Part, label: usize) -> Option<u64> {
        self.split.as_ref()?.parts.get(&part)?.positives.get(label).copied()
    }
}

fn no_problem(problem: Option<String>) -> Result<()> {
    problem.map_or(Ok(()), |problem| {
        Err(Error::new(Exit::Environment, "E0710", format!("the events contradict each other: {problem}"))
            .help("restore events.jsonl from a copy"))
    })
}

impl TrialState {
    fn apply(&mut self, time: Timestamp, report: &TrialEvent) {
        if let Some(before) = self.heard.replace(time) {
            // A clock that was set back gives nothing, and takes nothing.
            self.seconds += time.seconds_since(before).max(0.0);
        }
        match report {
            TrialEvent::Started { .. } => self.started = Some(time),
            TrialEvent::Step { .. } => {}
            TrialEvent::Epoch(epoch) => {
                if self.epochs.keys().next_back().is_none_or(|last| *last < epoch.epoch) {
                    self.strikes = 0;
                }
                self.epochs.retain(|number, _| *number < epoch.epoch);
                self.epochs.insert(epoch.epoch, epoch.clone());
            }
            TrialEvent::Checkpoint(checkpoint) => {
                self.checkpoints.insert(checkpoint.kind.clone(), checkpoint.clone());
            }
            TrialEvent::Finished(report) => self.ended = Some((time, Ok(report.clone()))),
            TrialEvent::Failed { kind, code, message } => {
                self.strikes += 1;
                let failure = Failure { code: code.clone(), message: message.clone() };
                self.ended = Some((time, Err(TrialFailure { kind: *kind, failure })));
            }
        }
    }
}

#[cfg(test)]
mod tests;
