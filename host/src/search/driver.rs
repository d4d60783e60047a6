//! The loop between a strategy and the workers that answer it.
//!
//! Proposal `k` is asked for when the outcomes of all proposals up to `k - lag` have been told, in
//! their order, and no others: the search depends on its seed and lag alone, not on how many
//! workers there are or which of them is faster.

use std::{
    collections::BTreeMap,
    sync::{Mutex, mpsc},
};

use nashost_plugin_api::{
    abi::foreign::{ForeignArchitectureMetric, ForeignStrategy},
    architecture::Spec,
    metric::Score,
    seed::derive_seed,
    strategy::{Outcome, Request, SearchContext as _, SearchResult},
};

use nashost_plugin_torch::GradGuard;

use super::Space;
use crate::{
    error::{Error, Exit, Result},
    run::trial::Control,
};

/// Everything a search needs.
pub struct SearchSetup<'a> {
    /// Proposes.
    pub strategy: &'a mut ForeignStrategy,
    /// Where.
    pub space: &'a Space<'a>,
    /// Judges.
    pub metric: &'a ForeignArchitectureMetric,
    /// Worker threads.
    pub jobs: usize,
}

/// What a search tells while it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchEvent {
    /// Number of the proposal, from 0.
    pub id: u64,
    /// The structure.
    pub spec: Spec,
    /// Where it came from.
    pub origin: String,
    /// Its score.
    pub score: Score,
}

/// A proposal on its way to a worker.
struct Job {
    id: u64,
    spec: Spec,
    origin: String,
}

/// Runs the search to its end.
///
/// # Errors
///
/// Fails if the strategy or the metric fails, no structure could be scored, or `sink` says stop.
pub fn search(setup: SearchSetup<'_>, sink: &mut dyn FnMut(SearchEvent) -> Control) -> Result<SearchResult> {
    let SearchSetup { strategy, space, metric, jobs } = setup;
    let _grad = GradGuard::save();
    let lag = u64::from(strategy.describe()?.lag.max(1));
    let workers = if metric.describe()?.parallel { jobs.clamp(1, lag as usize) } else { 1 };
    let (to_workers, from_driver) = mpsc::channel::<Job>();
    let (to_driver, from_workers) = mpsc::channel::<Result<SearchEvent>>();
    let from_driver = Mutex::new(from_driver);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (queue, answers) = (&from_driver, to_driver.clone());
            scope.spawn(move || work(queue, &answers, space, metric));
        }
        drop(to_driver);
        // Dropping the sender when this closure ends sends the workers home.
        let to_workers = to_workers;
        let mut finished: BTreeMap<u64, SearchEvent> = BTreeMap::new();
        let (mut asked, mut told) = (0, 0);
        loop {
            let wanted = lag - (asked - told);
            let requests = strategy.ask(space, wanted as u32)?;
            for request in requests {
                let Request::Score { id, spec, origin } = request;
                if id != asked {
                    return Err(broken(strategy.id(), format!("proposal {id} instead of {asked}")));
                }
                asked += 1;
                let _ = to_workers.send(Job { id, spec, origin });
            }
            if asked - told > lag {
                return Err(broken(strategy.id(), format!("more than {wanted} proposals")));
            }
            if asked == told {
                return Ok(strategy.result()?);
            }
            while !finished.contains_key(&told) {
                let event = from_workers.recv().map_err(|_| {
                    Error::new(Exit::Bug, "E0810", "every search worker ended without an answer")
                })??;
                finished.insert(event.id, event);
            }
            let Some(event) = finished.remove(&told) else { continue };
            strategy.tell(&[Outcome::from((told, &event.score))])?;
            told += 1;
            if sink(event) == Control::Stop {
                return Err(Error::new(Exit::Interrupted, "E0811", "the search was stopped"));
            }
        }
    })
}

fn broken(strategy: &str, what: String) -> Error {
    Error::new(Exit::Plugin, "E0422", format!("strategy `{strategy}` breaks the contract: it made {what}"))
}

fn work(
    queue: &Mutex<mpsc::Receiver<Job>>,
    answers: &mpsc::Sender<Result<SearchEvent>>,
    space: &Space<'_>,
    metric: &ForeignArchitectureMetric,
) {
    loop {
        let job = queue.lock().map(|queue| queue.recv());
        let Ok(Ok(Job { id, spec, origin })) = job else { return };
        let score = score(space, metric, &spec, id);
        if answers.send(score.map(|score| SearchEvent { id, spec, origin, score })).is_err() {
            return;
        }
    }
}

fn score(space: &Space<'_>, metric: &ForeignArchitectureMetric, spec: &Spec, id: u64) -> Result<Score> {
    let _grad = GradGuard::save();
    let candidate = space.candidate(spec, derive_seed(space.seed(), &format!("score/{id}")))?;
    Ok(metric.score(&[candidate], &space.score_context())?.remove(0))
}
