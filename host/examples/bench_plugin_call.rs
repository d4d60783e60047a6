//! Times an empty call of a plugin and back: a strategy is told no outcomes.

mod bench;

use bench::Bench;
use clap::Parser;
use serde_json::json;

/// Calls of one measurement.
const CALLS: usize = 100_000;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    bench: Bench,
}

fn main() -> anyhow::Result<()> {
    let Options { bench } = Options::parse();
    let mut strategy = bench.start()?.strategy("zennas", &json!({}))?;
    bench.measure("empty call", CALLS, || {
        for _ in 0..CALLS {
            strategy.tell(&[])?;
        }
        Ok(())
    })
}
