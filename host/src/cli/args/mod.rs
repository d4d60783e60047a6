//! What can be written on the command line.

mod config;
mod data;
mod export;
mod global;
mod plugin;
mod report;
mod run;
mod stats;
mod study;

pub use config::{ConfigArgs, ConfigCommand};
pub use data::DataCommand;
pub use export::{ExportArgs, ExportFormat, ExportInput, PredictArgs};
pub use global::{Color, Format, GlobalArgs};
pub use plugin::{PluginArgs, PluginCommand, PluginNewArgs, PluginTestArgs};
pub use report::{ReportArgs, ReportKind};
pub use run::{
    CleanArgs, RebuildArgs, RepeatArgs, ResumeArgs, RunArgs, RunsArgs, ScoreArgs, ShowArgs, WorkerArgs,
};

pub use stats::{
    ByArg, CompareArgs, PlanArgs, ProxyCheckArgs, ReproduceCommand, ReproduceStudyArgs, StatsArgs, TestArg,
};
pub use study::{StudyArgs, StudyCellArgs};

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};

/// nashost: neural architecture search with plugins.
#[derive(Debug, Clone, Parser)]
#[command(name = "nashost", version, propagate_version = true, infer_long_args = false)]
#[command(after_help = "Exit status: 0 done, 1 the answer is no, 2 usage or configuration, 3 environment, \
                        4 plugin. See docs/cli.md.")]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Searches, trains and evaluates.
    Run(RunArgs),
    /// Goes on with a run that was stopped, killed, or ran out of its budget.
    Resume(ResumeArgs),
    /// Makes a run again and tells whether it comes out the same.
    Repeat(RepeatArgs),
    /// Makes the runs of a study: methods × datasets × grid × folds × seeds.
    Study(StudyArgs),
    /// Makes one run of a study; started by `study`.
    #[command(hide = true)]
    StudyCell(StudyCellArgs),
    /// Scores given structures with architecture metrics.
    Score(ScoreArgs),
    /// Works for a run; started by `run` and `resume`.
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// Lists, inspects, checks and pins plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Checks, splits and fetches datasets.
    #[command(subcommand)]
    Data(DataCommand),
    /// Proves that host, plugins and device work together.
    #[command(hide = true)]
    SelfCheck(SelfCheckArgs),
    /// Tells what a run did.
    Show(ShowArgs),
    /// Lists runs.
    Runs(RunsArgs),
    /// Writes a page about runs, or its tables.
    Report(ReportArgs),
    /// Compares methods by the runs of one or more run folders.
    Compare(CompareArgs),
    /// Compares methods by a CSV file of results.
    Stats(StatsArgs),
    /// Correlates proxies with results of training, and with size.
    ProxyCheck(ProxyCheckArgs),
    /// Recomputes what was published.
    #[command(subcommand)]
    Reproduce(ReproduceCommand),
    /// Writes a trained network for other programs.
    Export(ExportArgs),
    /// Scores images with a trained network.
    Predict(PredictArgs),
    /// Writes the tables and the summary of a run again, from its events.
    Rebuild(RebuildArgs),
    /// Removes files of runs that nothing needs any more.
    Clean(CleanArgs),
    /// Shows, checks and writes configurations.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Shows what this machine offers, and what to repair.
    Doctor(DoctorArgs),
    /// Explains an error code.
    Explain {
        /// The code, such as E0203; all codes if left out.
        code: Option<String>,
    },
    /// Writes a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// `nashost foo` runs the program `nashost-foo`.
    #[command(external_subcommand)]
    External(Vec<OsString>),
}

/// Arguments of `self-check`.
#[derive(Debug, Clone, Args)]
pub struct SelfCheckArgs {
    /// Device to check: auto, cpu, cuda or cuda:N.
    #[arg(long, env = "NASHOST_DEVICE", default_value = "auto")]
    pub device: String,
}

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Device that must be usable: auto, cpu, cuda or cuda:N.
    #[arg(long, env = "NASHOST_DEVICE", default_value = "auto")]
    pub device: String,
    /// Folder that runs are to be written to.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
}
