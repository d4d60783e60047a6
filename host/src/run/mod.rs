//! Runs: their directory, their events, their trials, and everything that is derived from them.
//!
//! [`Recorder`] is the way in: it appends to `events.jsonl`, which is the truth of a run, and keeps
//! the [`State`](state::State) that the events add up to. Tables and summary are functions of that
//! state, so [`tables::rebuild`] makes them again from the events alone.

pub mod atomic;
mod claim;
pub mod compare;
pub mod digest;
mod dir;
pub mod events;
mod fault;
pub mod log;
pub mod progress;
pub mod provenance;
mod recorder;
pub mod retention;
mod shelf;
pub mod show;
pub mod state;
pub mod summary;
pub mod tables;
#[cfg(test)]
pub(crate) mod testing;
mod time;
pub mod times;
pub mod trial;

pub use self::{
    claim::{Claim, Ending, Lock, RunStatus},
    dir::{LATEST, MIN_FREE, RunDir, preflight},
    fault::io_error,
    recorder::Recorder,
    time::{ParseTimestampError, Timestamp},
};
