//! Worker processes: what a plugin breaks there costs one attempt, not the run.
//!
//! `serve` is the worker, `Pool` the driver's side. The driver alone writes the record; workers
//! write checkpoints and predictions of their trial and tell the rest. A worker never outlives its
//! driver, and while one still lives, the run stays locked.

mod limits;
mod pool;
mod postmortem;
mod process;
mod protocol;
mod serve;

pub use self::protocol::{Answered, FromWorker, OneShotTask, Proposal, SearchState, SearchTask, TaskError};
pub(crate) use self::{
    limits::follow,
    pool::{Ended, Launcher, Pool, Report},
    protocol::{Known, Setup, ToWorker, one_shot_state},
    serve::{Duties, SEARCH_LOG, serve, trial_log},
};
