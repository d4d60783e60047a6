//! The run configuration.

pub mod train;
