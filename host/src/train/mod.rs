//! Training: batches, loss, optimizers, schedules, checkpoints.
//!
//! Images stay on the device in their stored type and batches are gathered there
//! ([`batches`]). All learnt values lie in one buffer, of which the network's weights are views
//! ([`parameters`]), so that an optimizer step is a handful of operations, whatever the network
//! ([`optimizer`]). Within an epoch nothing is read back from the device ([`fit`]), but for a state
//! to resume from (see [`Resume`]) once a minute.

pub mod augment;
pub mod batches;
pub mod checkpoint;
mod error;
pub mod fit;
mod job;
pub mod loss;
pub mod optimizer;
pub mod parameters;
pub mod predict;
pub mod schedule;
mod state;
pub mod trainer;

pub use checkpoint::{BEST_MACRO_F1, BEST_SUBSET_ACCURACY, LAST};
pub use error::{OUT_OF_MEMORY, is_out_of_memory};
pub use fit::train;
pub use job::{Job, Outcome, Resume, SAVE_EVERY, Score, Trained};
pub use predict::{images, predict};
pub use state::{STATE, forget_state};
pub use trainer::Trainer;

#[cfg(test)]
pub(crate) mod tests;
