//! `cargo xtask chaos`: see [`nashost_tests::chaos`], and [`nashost_tests::memory`] for `--memory`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use nashost_tests::{chaos::Chaos, memory};

/// Disturbs a run in every way, and checks that nothing is lost.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value_t = 200)]
    kills: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value = "on", value_parser = ["on", "off"])]
    faults: String,
    #[arg(long)]
    keep: Option<PathBuf>,
    #[arg(long)]
    memory: bool,
}

fn main() -> ExitCode {
    let Arguments { kills, seed, faults, keep, memory } = Arguments::parse();
    if memory {
        let growths = memory::measure(&mut |line| eprintln!("{line}"));
        println!("{}", memory::table(&growths));
        return if growths.iter().all(memory::Growth::is_flat) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let chaos = Chaos { line: Chaos::RUN.to_owned(), kills, seed, faults: faults == "on", keep };
    let tally = chaos.unleash(&mut |line| eprintln!("{line}"));
    println!("{}", tally.table());
    for problem in &tally.problems {
        println!("PROBLEM: {problem}");
    }
    if tally.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
