//! The chores of the checkout: install libtorch, build, test, measure, bundle.
//!
//! `cargo nashost …` and `cargo xtask …` both start here (see `.cargo/config.toml`). This crate never
//! depends on libtorch, directly or not: it is what fetches libtorch in the first place, and it has
//! to compile in seconds on a fresh machine.
//!
//! Exit codes: 0 done, 1 a step failed, 2 wrong usage, 3 the machine lacks something. `cargo nashost`
//! replaces itself with the host, so its code is the host's.
#![forbid(unsafe_code)]

mod bench;
mod build;
mod bundle;
mod chaos;
mod checks;
mod cli;
mod fresh;
mod fuzz;
mod guide;
mod libtorch;
mod machine;
mod process;
mod workspace;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::workspace::Workspace;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process::say(&format!("error: {error:#}"));
            ExitCode::from(if error.is::<machine::Missing>() { 3 } else { 1 })
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let workspace = Workspace::of_this_checkout()?;
    match command {
        Command::Setup { libtorch } => {
            let dir = libtorch::ensure(&workspace, libtorch)?;
            process::say(&format!("libtorch {} is ready in {}", libtorch::VERSION, dir.display()));
            Ok(())
        }
        Command::Build { libtorch } => {
            let host = build::build(&workspace, &libtorch::ensure(&workspace, libtorch)?)?;
            process::say(&format!("built {}", host.display()));
            Ok(())
        }
        Command::Nashost { libtorch, args } => build::exec(&workspace, libtorch, &args),
        Command::Test { libtorch, long, args } => checks::test(&workspace, libtorch, long, &args),
        Command::Ci { libtorch } => checks::ci(&workspace, libtorch),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Chaos(options) => chaos::run(&workspace, &options),
        Command::Fuzz(options) => fuzz::run(&workspace, &options),
        Command::Guide { libtorch } => guide::run(&workspace, libtorch),
        Command::GpuBundle { libtorch, out } => bundle::run(&workspace, libtorch, out),
    }
}
