//! Estimators of Shapley values.
//!
//! Each works on any [`Game`](crate::game::Game), and draws from generators that it is given.

mod correction;
mod gradient;
mod memory;
pub mod official;
mod sampled;
mod walk;

pub use correction::Residuals;
pub use gradient::gradient_group;
pub use memory::Memory;
pub use sampled::Sampled;
pub use walk::{Walk, order, walk};

#[cfg(test)]
mod tests;
