//! The smallest host: loads the plugin named on the command line and prints what it answers.

use std::{io::Write as _, path::Path};

use nashost_plugin_api::abi::{
    foreign::{ForeignArchitectureMetric, open},
    host::{CancelState, HostServices, LogRecord},
};

struct Quiet;

impl HostServices for Quiet {
    fn log(&self, _: &LogRecord<'_>) {}

    fn log_max_level(&self) -> u8 {
        0
    }

    fn cancel_state(&self) -> CancelState {
        CancelState::Go
    }

    fn progress(&self, _: u64, _: u64) {}

    fn metric(&self, _: &str, _: u64, _: f64) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: skew-host PLUGIN")?;
    let plugin = open(Path::new(&path), None)?;
    plugin.init("skew", Quiet)?;
    let instance = plugin.create("skew", "{}")?;
    let next = !instance.query("nashost.draft.next/1").is_null();
    let metric = ForeignArchitectureMetric::new(instance)?;
    writeln!(std::io::stdout(), "next extension: {next}; {}", metric.describe()?.unit)?;
    Ok(())
}
