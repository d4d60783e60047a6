//! The host's side of a search: the space with its budgets, the loop between strategy and workers,
//! and the steps of one-shot searches with the images they see.

mod driver;
mod one_shot;
mod samples;
mod space;

pub use driver::{SearchSetup, search};
pub(crate) use one_shot::{OneShotSetup, one_shot};
pub(crate) use samples::TrainingSamples;
pub use space::{Budget, Space, is_exact};
