//! The nashost toolkit: everything behind the `nashost` binary.

pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod error;
pub mod evaluate;
mod export;
mod pipeline;
pub mod plugin;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod search;
pub mod statistics;
mod study;
pub mod train;
pub mod worker;
