//! The loop between a strategy and the threads that answer it.
//!
//! Proposal `k` is asked for when the outcomes of all proposals up to `k - lag` have been told, in
//! their order, and no others: the search depends on its seed and lag alone, not on how many
//! threads there are or which of them is faster.

use std::{
    collections::BTreeMap,
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use nashost_plugin_api::{
    abi::foreign::{ForeignArchitectureMetric, ForeignStrategy},
    architecture::Spec,
    metric::Score,
    seed::derive_seed,
    strategy::{Outcome, Request, SearchContext as _, SearchResult},
};

use nashost_plugin_torch::{GradGuard, release_freed_memory};

use super::Space;
use crate::{
    error::{Error, Exit, Result},
    run::trial::Control,
    worker::{Answered, FromWorker, Proposal, SearchState, SearchTask},
};

/// How often the strategy's state is saved. What was answered since is told to it again, and it makes the
/// same proposals again.
const SAVE: Duration = Duration::from_secs(2);

/// Everything a search needs.
pub struct SearchSetup<'a> {
    /// Proposes.
    pub strategy: &'a mut ForeignStrategy,
    /// Where.
    pub space: &'a Space<'a>,
    /// Judges.
    pub metric: &'a ForeignArchitectureMetric,
    /// Threads.
    pub jobs: usize,
}

/// Runs the search from where `task` says to its end, and tells `sink` answers, states and, last, the
/// result. Answers that `task` holds are not told again.
///
/// # Errors
///
/// Fails if the strategy or the metric fails, the strategy proposes other structures than `task` has
/// answers to (E0813), or `sink` says stop; the state has been told then.
pub fn search(
    setup: SearchSetup<'_>,
    task: SearchTask,
    sink: &mut dyn FnMut(FromWorker) -> Control,
) -> Result<()> {
    let SearchSetup { strategy, space, metric, jobs } = setup;
    let _grad = GradGuard::save();
    let begin = Instant::now();
    let name = strategy.id().to_owned();
    let lag = u64::from(strategy.describe()?.lag.max(1));
    let workers = if metric.describe()?.parallel { jobs.clamp(1, lag as usize) } else { 1 };
    let mut known: BTreeMap<u64, Answered> = task.answered.into_iter().map(|a| (a.id, a)).collect();
    let (mut asked, mut told, mut open, mut before) = (0, 0, Vec::new(), 0.0);
    if let Some(state) = task.state {
        strategy.restore(&unpack(&state.strategy)?)?;
        told = state.told;
        asked = told + state.open.len() as u64;
        open = state.open;
        before = state.seconds;
    }
    let seconds = || before + begin.elapsed().as_secs_f64();
    let (to_workers, from_driver) = mpsc::channel::<Proposal>();
    let (to_driver, from_workers) = mpsc::channel::<Result<Answered>>();
    let from_driver = Mutex::new(from_driver);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (queue, answers) = (&from_driver, to_driver.clone());
            scope.spawn(move || work(queue, &answers, space, metric));
        }
        drop(to_driver);
        // Dropping the sender when this closure ends sends the threads home.
        let to_workers = to_workers;
        let mut finished: BTreeMap<u64, (Answered, bool)> = BTreeMap::new();
        let mut give_out = |proposal: &Proposal, finished: &mut BTreeMap<u64, (Answered, bool)>| {
            match known.remove(&proposal.id) {
                None => {
                    let _ = to_workers.send(proposal.clone());
                }
                Some(answered) if answered.spec == proposal.spec => {
                    finished.insert(answered.id, (answered, true));
                }
                Some(answered) => return Err(other_structure(&name, &answered)),
            }
            Ok(())
        };
        for proposal in &open {
            give_out(proposal, &mut finished)?;
        }
        // Where a time is measured again it is another, and so may the proposal be. Then none is made again
        // whose answer is recorded: the state that holds it is saved before.
        let every = if space.measures_time() { Duration::ZERO } else { SAVE };
        let mut saved = Instant::now();
        let mut stop = false;
        loop {
            let wanted = lag - (asked - told);
            // Nobody may stop between a question and its record, or the state would not hold it.
            let requests =
                if wanted == 0 || stop { Vec::new() } else { strategy.ask(space, wanted as u32)? };
            for request in requests {
                let Request::Score { id, spec, origin } = request;
                if id != asked {
                    return Err(broken(&name, format!("proposal {id} instead of {asked}")));
                }
                asked += 1;
                let proposal = Proposal { id, spec, origin };
                give_out(&proposal, &mut finished)?;
                open.push(proposal);
            }
            if asked - told > lag {
                return Err(broken(&name, format!("more than {wanted} proposals")));
            }
            if stop || saved.elapsed() >= every {
                let state = SearchState {
                    told,
                    open: open.clone(),
                    strategy: BASE64_STANDARD.encode(strategy.checkpoint()?),
                    seconds: seconds(),
                };
                stop |= sink(FromWorker::SearchState(Box::new(state))) == Control::Stop;
                release_freed_memory();
                saved = Instant::now();
            }
            if stop {
                return Err(Error::new(Exit::Interrupted, "E0811", "the search was stopped"));
            }
            if asked == told {
                let result: SearchResult = strategy.result()?;
                sink(FromWorker::SearchDone { result, seconds: seconds(), details: None });
                return Ok(());
            }
            while !finished.contains_key(&told) {
                let answered = from_workers.recv().map_err(|_| {
                    Error::new(Exit::Bug, "E0810", "every search thread ended without an answer")
                })??;
                finished.insert(answered.id, (answered, false));
            }
            let Some((answered, recorded)) = finished.remove(&told) else { continue };
            strategy.tell(&[Outcome::from((told, &answered.score))])?;
            open.remove(0);
            told += 1;
            stop |= !recorded && sink(FromWorker::Answered(Box::new(answered))) == Control::Stop;
        }
    })
}

fn broken(strategy: &str, what: String) -> Error {
    Error::new(Exit::Plugin, "E0422", format!("strategy `{strategy}` breaks the contract: it made {what}"))
}

fn other_structure(strategy: &str, answered: &Answered) -> Error {
    let message = format!(
        "proposal {} of strategy `{strategy}` is another structure than the record says",
        answered.id
    );
    Error::new(Exit::Identity, "E0813", message).help(
        "the strategy or the space has changed, or draws without a seed, or a budget is measured and the \
             saved state of the search is gone; start a new run",
    )
}

fn work(
    queue: &Mutex<mpsc::Receiver<Proposal>>,
    answers: &mpsc::Sender<Result<Answered>>,
    space: &Space<'_>,
    metric: &ForeignArchitectureMetric,
) {
    loop {
        let proposal = queue.lock().map(|queue| queue.recv());
        let Ok(Ok(Proposal { id, spec, origin })) = proposal else { return };
        let score = score(space, metric, &spec, id);
        if answers.send(score.map(|score| Answered { id, spec, origin, score })).is_err() {
            return;
        }
    }
}

fn score(space: &Space<'_>, metric: &ForeignArchitectureMetric, spec: &Spec, id: u64) -> Result<Score> {
    let _grad = GradGuard::save();
    space.score(metric, spec, derive_seed(space.seed(), &format!("score/{id}")))
}

fn unpack(text: &str) -> Result<Vec<u8>> {
    BASE64_STANDARD.decode(text).map_err(|why| {
        Error::new(Exit::Environment, "E0707", format!("the saved state of the search is damaged: {why}"))
            .help("delete search.state in the run's folder; the search then starts from its record")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_state_is_refused() {
        assert_eq!(unpack("AAEC/w==").unwrap(), [0, 1, 2, 255]);
        for damaged in ["A", "??", "AAEC/w"] {
            assert_eq!(unpack(damaged).unwrap_err().code, "E0707", "{damaged}");
        }
    }
}
