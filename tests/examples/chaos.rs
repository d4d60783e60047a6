//! `cargo xtask chaos`: see [`nashost_tests::chaos`], and [`nashost_tests::memory`] for `--memory`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use nashost_tests::{
    chaos::{Chaos, unleash_on_study},
    memory,
};

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
    study: bool,
    #[arg(long)]
    memory: bool,
}

fn main() -> ExitCode {
    let Arguments { kills, seed, faults, keep, study, memory } = Arguments::parse();
    if memory {
        let growths = memory::measure(&mut |line| eprintln!("{line}"));
        println!("{}", memory::table(&growths));
        return if growths.iter().all(memory::Growth::is_flat) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let say = &mut |line: &str| eprintln!("{line}");
    let chaos = Chaos { line: Chaos::RUN.to_owned(), kills, seed, faults: faults == "on", keep };
    let tally = if study { unleash_on_study(kills, seed, chaos.faults, say) } else { chaos.unleash(say) };
    println!("{}", tally.table());
    for problem in &tally.problems {
        println!("PROBLEM: {problem}");
    }
    if tally.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
