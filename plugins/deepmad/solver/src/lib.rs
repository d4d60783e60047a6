//! The DeepMAD program, solved: annealing in seconds, and branch and bound with a certificate.
//!
//! DeepMAD (Shen et al., *DeepMAD: Mathematical Architecture Design for Deep Convolutional Neural
//! Network*, CVPR 2023) chooses widths and depths of a chain of blocks such that a weighted entropy is
//! largest under budgets. [`Program`] states this over the discrete space that the official search
//! moves in. [`anneal`] finds good structures; [`exact`] finds the best one and proves it; [`verify`]
//! re-checks what they claim by another route. `docs/deepmad-exact.md` explains the method.

#![forbid(unsafe_code)]

pub mod anneal;
pub mod chain;
mod cost;
pub mod design;
pub mod exact;
pub mod penalty;
pub mod preset;
pub mod program;
pub mod verify;

pub use chain::{Chain, Evaluation};
pub use design::{Choice, Design};
pub use penalty::Objective;
pub use program::Program;
