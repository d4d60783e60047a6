//! Training: batches, loss, optimizers, schedules, checkpoints.
//!
//! Images stay on the device in their stored type and batches are gathered there
//! ([`batches`]). All learnt values lie in one buffer, of which the network's weights are views
//! ([`parameters`]), so that an optimizer step is a handful of operations, whatever the network
//! ([`optimizer`]). Within an epoch nothing is read back from the device ([`fit`]).

pub mod augment;
pub mod batches;
pub mod checkpoint;
mod error;
pub mod fit;
pub mod loss;
pub mod optimizer;
pub mod parameters;
pub mod predict;
pub mod schedule;
pub mod trainer;

pub use checkpoint::{BEST_MACRO_F1, BEST_SUBSET_ACCURACY, LAST};
pub use fit::{Job, Outcome, Trained, train};
pub use predict::predict;
pub use trainer::Trainer;

#[cfg(test)]
mod tests;
