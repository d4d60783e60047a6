//! TinyNAS structures as a search space: networks and DeepMAD's mutations.
//!
//! The structures themselves, their files and their official counters are in [`nashost_tinynas`].

mod mutation;
mod network;

pub use mutation::{LastBlock, MutationError, Mutator, Settings, Space};
pub(crate) use network::build;
