//! Arguments of `study`.

use std::path::PathBuf;

use clap::{Args, builder::FalseyValueParser};

/// Arguments of `study`: makes all runs of a study, or those that are left.
#[derive(Debug, Clone, Args)]
pub struct StudyArgs {
    /// The study: a TOML or JSON file.
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,
    /// Folder that studies are in.
    #[arg(long, env = "NASHOST_STUDIES", default_value = "studies", value_name = "DIR")]
    pub studies: PathBuf,
    /// Runs side by side; they share the CPU threads, and take a GPU each.
    #[arg(short, long, env = "NASHOST_JOBS", default_value_t = 1, value_name = "N")]
    pub jobs: usize,
    /// Goes on after a run has failed.
    #[arg(long, env = "NASHOST_KEEP_GOING", value_parser = FalseyValueParser::new())]
    pub keep_going: bool,
    /// Makes runs again that failed before.
    #[arg(long, env = "NASHOST_RETRY_FAILED", value_parser = FalseyValueParser::new())]
    pub retry_failed: bool,
    /// Prints the plan and what it costs, and does nothing.
    #[arg(long, env = "NASHOST_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
}

/// Arguments of `study-cell`: makes one run of a study.
#[derive(Debug, Clone, Args)]
pub struct StudyCellArgs {
    /// Folder of the study.
    pub folder: PathBuf,
    /// The cell.
    pub cell: String,
    /// Process that works on the study; this one ends with it.
    #[arg(long, env = "NASHOST_DRIVER", value_name = "PID")]
    pub driver: u32,
}
