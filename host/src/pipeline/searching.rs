//! The driver's side of a search: a worker searches, the driver records.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use nashost_plugin_api::{metric::Score, strategy::Ranked};
use nashost_plugin_torch::release_freed_memory;

use super::{Session, Stop, search::Searcher};
use crate::{
    error::{Error, Exit, Result},
    run::{
        atomic,
        events::{self, Candidate, RunEvent},
        state::{SearchState as Recorded, better},
        trial::FailureKind,
    },
    worker::{
        Answered, Ended, FromWorker, Pool, Report, SEARCH_LOG, SearchState, SearchTask, TaskError, ToWorker,
    },
};

/// Name of the file with the strategy's state.
const STATE: &str = "search.state";
/// Most answers, and the longest time, that are written to the disk together.
const BATCH: usize = 64;
const WINDOW: Duration = Duration::from_millis(200);
/// How often the driver looks around.
pub(super) const TICK: Duration = Duration::from_millis(100);

impl Session<'_> {
    /// Makes the search, or what is left of it, and returns the best structures with their values.
    pub(super) fn search(
        &mut self,
        searcher: &Searcher<'_>,
        pool: &mut Pool,
    ) -> std::result::Result<Vec<Ranked>, Stop> {
        if self.recorder.state().search.is_none() {
            self.recorder.record(RunEvent::SearchStarted(searcher.started()))?;
        }
        let mut strikes = 0;
        while self.recorded().is_some_and(|search| search.finished.is_none()) {
            let before = self.extent();
            let outcome =
                if searcher.learns() { self.attempt_one_shot(pool)? } else { self.attempt(searcher, pool)? };
            let Err(error) = outcome else { break };
            let further = self.extent() > before;
            strikes = if further { 1 } else { strikes + 1 };
            if error.kind == FailureKind::Failed {
                return Err(Stop::Error(error.into()));
            }
            if strikes >= self.config.run.attempts {
                let message =
                    format!("the search ended {strikes} times without getting further: {}", error.message);
                return Err(Stop::Error(Error::new(Exit::No, "E0819", message).help(
                    "the log names the plugin that was at work; raise `run.stall` or `run.worker_memory` if it \
                     needs more, then `nashost resume`",
                )));
            }
            tracing::warn!("the search goes on from its record: {}", error.message);
        }
        // The states have served: the result is recorded.
        let _ = fs::remove_file(self.recorder.dir().file(STATE));
        self.forget_steps(u64::MAX);
        let finished = self.recorded().and_then(|search| search.finished.as_ref());
        let ranked = finished.map(|(result, _)| result.ranked.clone()).unwrap_or_default();
        if ranked.is_empty() {
            let message = match self.recorded() {
                Some(search) if searcher.learns() => format!(
                    "the search made {} steps, and what it recommends breaks a budget",
                    search.steps.len()
                ),
                search => format!(
                    "the search scored {} structures and found none that can be used",
                    search.map_or(0, |search| search.candidates)
                ),
            };
            return Err(Stop::Error(
                Error::new(Exit::Budget, "E0812", message)
                    .help("loosen `search.budget`, or raise the number of evaluations"),
            ));
        }
        Ok(ranked)
    }

    pub(super) fn recorded(&self) -> Option<&Recorded> {
        self.recorder.state().search.as_ref()
    }

    /// How far the recorded search has come.
    fn extent(&self) -> u64 {
        self.recorded().map_or(0, |search| search.candidates + search.steps.len() as u64)
    }

    /// Lets a worker search once; the inner error is what ended it early.
    fn attempt(
        &mut self,
        searcher: &Searcher<'_>,
        pool: &mut Pool,
    ) -> std::result::Result<std::result::Result<(), TaskError>, Stop> {
        let file = self.recorder.dir().file(STATE);
        let (mut seen, mut best) =
            self.recorded().map_or((0, None), |search| (search.candidates, search.best));
        let task = where_it_stands(&file, seen, &self.recorder.dir().file(events::FILE))?;
        let slot = pool.idle().unwrap_or(0);
        pool.start(slot, ToWorker::Search(Box::new(task)), Path::new(SEARCH_LOG))?;
        let bar = self.host.progress.search(searcher.proposals());
        let direction = searcher.direction();
        let (mut pending, mut flushed) = (Vec::new(), Instant::now());
        let mut stopping = None;
        loop {
            if stopping.is_none()
                && let Some(why) = self.must_stop()
            {
                stopping = Some(why);
                pool.stop();
            }
            let report = pool.next(TICK).map(|(_, report)| report);
            let is_answer = matches!(report, Some(Report::Told(FromWorker::Answered(_))));
            if pending.len() >= BATCH || flushed.elapsed() >= WINDOW || !is_answer {
                self.recorder.record_candidates(std::mem::take(&mut pending))?;
                flushed = Instant::now();
            }
            match report {
                None => {}
                Some(Report::Told(FromWorker::Answered(answered))) => {
                    seen += 1;
                    best = better(direction, best, answered.score.value);
                    bar.update(seen, best, 0);
                    pending.push(candidate(*answered));
                }
                Some(Report::Told(FromWorker::SearchState(state))) => {
                    // What the state has been told is recorded: `pending` is empty here.
                    atomic::write_json(&file, &state)?;
                    // States come and go, each a little larger than the last.
                    drop(state);
                    release_freed_memory();
                }
                Some(Report::Told(FromWorker::SearchDone { result, seconds, details })) => {
                    self.recorder.record(RunEvent::SearchFinished { result, seconds, details })?;
                }
                Some(Report::Told(FromWorker::Warning { line })) => tracing::warn!("search: {line}"),
                Some(Report::Told(_)) => {}
                Some(Report::Ended(Ended::Done)) => return Ok(Ok(())),
                Some(Report::Ended(Ended::Failed(error))) if stopping.is_none() => {
                    return Ok(Err(error));
                }
                Some(Report::Ended(_)) => {
                    return Err(stopping.unwrap_or_else(|| Stop::Error(super::interrupted())));
                }
            }
        }
    }
}

/// What a worker must know to go on: the saved state, and the recorded answers that it lacks. A state
/// that cannot be read, or that is ahead of the `recorded` number of answers, is left out: the record
/// alone is enough.
fn where_it_stands(file: &Path, recorded: u64, events: &Path) -> Result<SearchTask> {
    let known = |state: &SearchState| state.told <= recorded;
    let state = fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).filter(known);
    let told = state.as_ref().map_or(0, |state: &SearchState| state.told);
    let mut answers = Vec::new();
    for candidate in events::candidates(events)? {
        let candidate = candidate?;
        if candidate.id >= told {
            answers.push(answered(candidate));
        }
    }
    Ok(SearchTask { state, answered: answers })
}

fn answered(candidate: Candidate) -> Answered {
    let Candidate { id, spec, origin, value, spread, seconds, why, .. } = candidate;
    Answered { id, spec, origin, score: Score { value, spread, repeats: 1, seconds, why } }
}

fn candidate(answered: Answered) -> Candidate {
    let Answered { id, spec, origin, score } = answered;
    Candidate {
        id,
        spec,
        origin,
        value: score.value,
        spread: score.spread,
        seconds: score.seconds,
        rejected: None,
        why: score.why,
        costs: BTreeMap::new(),
    }
}
