//! Commands that work on runs.

use std::path::PathBuf;

use clap::{Args, builder::FalseyValueParser};

use super::ConfigArgs;

/// Arguments of `run`: searches, trains and evaluates.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Configuration file, as `--config`.
    #[arg(value_name = "CONFIG", conflicts_with = "config")]
    pub file: Option<PathBuf>,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Prints what would be done, and does nothing.
    #[arg(long, env = "NASHOST_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
}

impl RunArgs {
    /// Returns the configuration's flags with the file, wherever it was named.
    pub fn config(&self) -> ConfigArgs {
        ConfigArgs { config: self.file.clone().or_else(|| self.config.config.clone()), ..self.config.clone() }
    }
}

/// Arguments of `show`: tells what a run did.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// A run: its folder, its name, the end of its name, or `latest`.
    #[arg(default_value = "latest")]
    pub run: String,
    /// Folder that runs are in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `runs`: lists runs.
#[derive(Debug, Clone, Args)]
pub struct RunsArgs {
    /// Folder that runs are in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `resume`: goes on with a run.
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// A run: its folder, its name, the end of its name, or `latest`.
    #[arg(default_value = "latest")]
    pub run: String,
    /// Folder that runs are in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
    /// Sets one key anew, such as `run.max_time=4h`; repeatable.
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Lets a key of the configuration, `data`, `split`, `device`, `nashost`, `libtorch` or
    /// `plugin.NAME` differ from what it was; repeatable.
    #[arg(long, env = "NASHOST_ALLOW_CHANGE", value_delimiter = ',', value_name = "KEY")]
    pub allow_change: Vec<String>,
    /// Gives trials that failed one more attempt.
    #[arg(long, env = "NASHOST_RETRY_FAILED", value_parser = FalseyValueParser::new())]
    pub retry_failed: bool,
    /// auto, cpu, cuda or cuda:N (run.device).
    #[arg(long, env = "NASHOST_DEVICE", value_name = "DEVICE")]
    pub device: Option<String>,
    /// Structures scored, and networks trained, side by side (run.jobs).
    #[arg(short, long, env = "NASHOST_JOBS", value_name = "N")]
    pub jobs: Option<usize>,
    /// Time the run may take, all its sessions together (run.max_time).
    #[arg(long, env = "NASHOST_MAX_TIME", value_name = "TIME")]
    pub max_time: Option<String>,
    /// Most trials that are trained (run.max_trials).
    #[arg(long, env = "NASHOST_MAX_TRIALS", value_name = "N")]
    pub max_trials: Option<u32>,
    /// Hours of GPU time that trainings may take together (run.max_gpu_hours).
    #[arg(long, env = "NASHOST_MAX_GPU_HOURS", value_name = "HOURS")]
    pub max_gpu_hours: Option<f64>,
    /// Disk space the run's folder may take (run.max_disk).
    #[arg(long, env = "NASHOST_MAX_DISK", value_name = "SIZE")]
    pub max_disk: Option<String>,
}

impl ResumeArgs {
    /// Returns the flags that change the configuration.
    pub fn config(&self) -> ConfigArgs {
        ConfigArgs {
            set: self.set.clone(),
            device: self.device.clone(),
            jobs: self.jobs,
            max_time: self.max_time.clone(),
            max_trials: self.max_trials,
            max_gpu_hours: self.max_gpu_hours,
            max_disk: self.max_disk.clone(),
            ..ConfigArgs::default()
        }
    }
}

/// Arguments of `repeat`: makes a run again and compares.
#[derive(Debug, Clone, Args)]
pub struct RepeatArgs {
    /// A run: its folder, its name, the end of its name, or `latest`.
    #[arg(default_value = "latest")]
    pub run: String,
    /// Folder that runs are in, and that the new one is made in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `rebuild`: writes derived files anew.
#[derive(Debug, Clone, Args)]
pub struct RebuildArgs {
    /// A run: its folder, its name, the end of its name, or `latest`.
    #[arg(default_value = "latest")]
    pub run: String,
    /// Folder that runs are in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `clean`: removes what nothing needs any more.
#[derive(Debug, Clone, Args)]
pub struct CleanArgs {
    /// Runs; all of them if none is named.
    pub runs: Vec<String>,
    /// Folder that runs are in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
    /// Keeps checkpoints of this many trials, the best by validation; of all if left out.
    #[arg(long, env = "NASHOST_KEEP", value_name = "N")]
    pub keep: Option<usize>,
    /// Lists what would be removed, and removes nothing.
    #[arg(long, env = "NASHOST_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
}

/// Arguments of `score`: scores given structures.
#[derive(Debug, Clone, Args)]
pub struct ScoreArgs {
    /// Structures: files, or their text, as the space's JSON, a run's `archs/T0001.json`, or a PlainNet
    /// or TinyNAS structure.
    #[arg(required = true, value_name = "SPEC")]
    pub specs: Vec<String>,
    /// Architecture metrics, divided by commas; those of the configuration, or else all, if left out.
    #[arg(long, env = "NASHOST_METRIC", value_delimiter = ',', value_name = "NAMES")]
    pub metric: Vec<String>,
    /// Outputs of the networks; the dataset's number of labels if left out.
    #[arg(long, env = "NASHOST_OUTPUTS", value_name = "N")]
    pub outputs: Option<usize>,
    /// Where the configuration comes from: the space is `arch`.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `worker`.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    /// Process that the worker belongs to.
    #[arg(long, env = "NASHOST_DRIVER", value_name = "PID")]
    pub driver: u32,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    #[expect(clippy::large_enum_variant, reason = "clap builds one value per test")]
    enum Commands {
        Run(RunArgs),
        Show(ShowArgs),
        Runs(RunsArgs),
    }

    fn parse(line: &str) -> clap::error::Result<Commands> {
        let words = line.split_whitespace();
        Commands::from_arg_matches(&Commands::command().try_get_matches_from(words)?)
    }

    #[test]
    fn a_run_takes_its_file_by_position_or_by_flag() {
        for line in ["nashost run neck.toml --dry-run", "nashost run -c neck.toml --dry-run"] {
            let Ok(Commands::Run(run)) = parse(line) else { panic!("{line}") };
            assert_eq!(run.config().config, Some("neck.toml".into()));
            assert!(run.dry_run);
        }
        assert!(parse("nashost run a.toml -c b.toml").is_err(), "two files are one too many");
    }

    #[test]
    fn the_other_commands_have_their_defaults() {
        let Ok(Commands::Show(show)) = parse("nashost show") else { panic!() };
        assert_eq!((show.run.as_str(), show.out), ("latest", "runs".into()));
        let Ok(Commands::Runs(runs)) = parse("nashost runs --out elsewhere") else { panic!() };
        assert_eq!(runs.out, PathBuf::from("elsewhere"));
    }
}
