//! Runs: their directory, their events, their trials.

pub mod trial;
