//! Worker processes: what a plugin breaks there costs one attempt, not the run.
//!
//! [`serve`] is the worker, [`Pool`] the driver's side. The driver alone writes the record; workers
//! write checkpoints and predictions of their trial and tell the rest. A worker never outlives its
//! driver, and while one still lives, the run stays locked.

mod limits;
mod pool;
mod postmortem;
mod process;
mod protocol;
mod serve;

pub(crate) use self::{
    pool::{Ended, Launcher, Pool, Report},
    protocol::{Answered, FromWorker, Known, Proposal, SearchState, SearchTask, Setup, TaskError, ToWorker},
    serve::{Duties, SEARCH_LOG, serve, trial_log},
};
