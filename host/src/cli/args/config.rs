//! Flags that change the configuration, and the commands that show it.

use std::{collections::BTreeSet, path::PathBuf};

use clap::{Args, Subcommand, builder::FalseyValueParser};
use serde_json::{Value, json};

use crate::{
    config::{Layer, Origin, Sources, assignment, user_file},
    error::{Error, Result},
};

/// Where the configuration comes from, for every command that needs one.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// Configuration file, TOML or JSON; ./nashost.toml if there is one.
    #[arg(short, long, env = "NASHOST_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one key, such as `train.lr=1e-3`; repeatable.
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Plugin whose recipe says what to do.
    #[arg(long, env = "NASHOST_PLUGIN", value_name = "NAME")]
    pub plugin: Option<String>,
    /// Dataset (data.plugin).
    #[arg(long, env = "NASHOST_DATASET", value_name = "NAME")]
    pub dataset: Option<String>,
    /// Architecture or search space (arch.plugin).
    #[arg(long, env = "NASHOST_ARCH", value_name = "NAME")]
    pub arch: Option<String>,
    /// Master seed (run.seed).
    #[arg(long, env = "NASHOST_SEED", value_name = "N")]
    pub seed: Option<u64>,
    /// Seeds to train with, such as 1..5 or 1,4,7 (run.seeds).
    #[arg(long, env = "NASHOST_SEEDS", value_name = "SEEDS")]
    pub seeds: Option<String>,
    /// auto, cpu, cuda or cuda:N (run.device).
    #[arg(long, env = "NASHOST_DEVICE", value_name = "DEVICE")]
    pub device: Option<String>,
    /// Structures scored, and networks trained, side by side (run.jobs).
    #[arg(short, long, env = "NASHOST_JOBS", value_name = "N")]
    pub jobs: Option<usize>,
    /// Refuses operations that may answer differently each time (run.deterministic).
    #[arg(long, env = "NASHOST_DETERMINISTIC", value_parser = FalseyValueParser::new())]
    pub deterministic: bool,
    /// Time the run may take, such as 2h (run.max_time).
    #[arg(long, env = "NASHOST_MAX_TIME", value_name = "TIME")]
    pub max_time: Option<String>,
    /// Most trials that are trained (run.max_trials).
    #[arg(long, env = "NASHOST_MAX_TRIALS", value_name = "N")]
    pub max_trials: Option<u32>,
    /// Hours of GPU time that trainings may take together (run.max_gpu_hours).
    #[arg(long, env = "NASHOST_MAX_GPU_HOURS", value_name = "HOURS")]
    pub max_gpu_hours: Option<f64>,
    /// Disk space the run's folder may take, such as 20GB (run.max_disk).
    #[arg(long, env = "NASHOST_MAX_DISK", value_name = "SIZE")]
    pub max_disk: Option<String>,
    /// Folder for runs (run.out).
    #[arg(long, env = "NASHOST_OUT", value_name = "DIR")]
    pub out: Option<String>,
    /// Name of the run (name).
    #[arg(long, env = "NASHOST_NAME", value_name = "NAME")]
    pub name: Option<String>,
    /// Folder for decoded images (run.cache_dir).
    #[arg(long, env = "NASHOST_CACHE_DIR", value_name = "DIR")]
    pub cache_dir: Option<String>,
    /// Keeps no decoded images (run.cache = false).
    #[arg(long, env = "NASHOST_NO_CACHE", value_parser = FalseyValueParser::new())]
    pub no_cache: bool,
}

/// The project's file, if no other is named.
const PROJECT_FILE: &str = "nashost.toml";

impl ConfigArgs {
    /// Returns the layers of the configuration; `from_environment` holds the names of the flags
    /// that an environment variable gave.
    ///
    /// # Errors
    ///
    /// Fails with all malformed `--set` flags.
    pub fn sources(&self, from_environment: &BTreeSet<String>) -> Result<Sources> {
        let (environment, flags): (Vec<_>, Vec<_>) =
            self.assignments().into_iter().partition(|(flag, ..)| from_environment.contains(*flag));
        let layer = |(flag, keys, value): (&str, &[&str], Value), environment: bool| {
            let dashed = flag.replace('_', "-");
            let origin = match environment {
                true => Origin::Environment(format!("NASHOST_{}", flag.to_uppercase())),
                false => Origin::Flag(format!("--{dashed}")),
            };
            Layer::single(keys, value, origin)
        };
        let (set, errors): (Vec<_>, Vec<_>) =
            self.set.iter().map(|text| assignment(text)).partition(std::result::Result::is_ok);
        if let Some(error) = Error::all(errors.into_iter().filter_map(Result::err)) {
            return Err(error);
        }
        let mut overrides: Vec<Layer> = environment.into_iter().map(|one| layer(one, true)).collect();
        overrides.extend(set.into_iter().flatten());
        overrides.extend(flags.into_iter().map(|one| layer(one, false)));
        let project = PathBuf::from(PROJECT_FILE);
        Ok(Sources {
            plugin: self.plugin.clone(),
            user: user_file().filter(|path| path.exists()),
            project: self.config.clone().or_else(|| project.exists().then_some(project)),
            overrides,
        })
    }

    /// The flags that were given: name, key, value.
    fn assignments(&self) -> Vec<(&'static str, &'static [&'static str], Value)> {
        let text = |value: &Option<String>| value.clone().map(Value::String);
        let flags: [(&str, &[&str], Option<Value>); 15] = [
            ("dataset", &["data", "plugin"], text(&self.dataset)),
            ("arch", &["arch", "plugin"], text(&self.arch)),
            ("seed", &["run", "seed"], self.seed.map(Value::from)),
            ("seeds", &["run", "seeds"], self.seeds.as_deref().map(seeds)),
            ("device", &["run", "device"], text(&self.device)),
            ("jobs", &["run", "jobs"], self.jobs.map(Value::from)),
            ("deterministic", &["run", "deterministic"], self.deterministic.then(|| json!(true))),
            ("max_time", &["run", "max_time"], text(&self.max_time)),
            ("max_trials", &["run", "max_trials"], self.max_trials.map(Value::from)),
            ("max_gpu_hours", &["run", "max_gpu_hours"], self.max_gpu_hours.map(Value::from)),
            ("max_disk", &["run", "max_disk"], text(&self.max_disk)),
            ("out", &["run", "out"], text(&self.out)),
            ("name", &["name"], text(&self.name)),
            ("cache_dir", &["run", "cache_dir"], text(&self.cache_dir)),
            ("no_cache", &["run", "cache"], self.no_cache.then(|| json!(false))),
        ];
        flags.into_iter().filter_map(|(flag, keys, value)| Some((flag, keys, value?))).collect()
    }
}

/// `1,4,7` is a list; everything else is for the configuration to judge.
fn seeds(text: &str) -> Value {
    let list: Option<Vec<u64>> = text.split(',').map(|seed| seed.trim().parse().ok()).collect();
    list.map_or_else(|| json!(text), |list| json!(list))
}

/// `nashost config`.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Prints the configuration, every default filled in.
    Show {
        /// Where the configuration comes from.
        #[command(flatten)]
        config: Box<ConfigArgs>,
        /// Says for every key where its value comes from.
        #[arg(long)]
        origin: bool,
    },
    /// Checks the configuration and reports all problems at once.
    Check {
        /// Where the configuration comes from.
        #[command(flatten)]
        config: Box<ConfigArgs>,
    },
    /// Prints the JSON Schema of the configuration.
    Schema,
    /// Writes a configuration file with every key explained.
    Init {
        /// The file to write; `-` is standard output.
        #[arg(default_value = PROJECT_FILE)]
        file: PathBuf,
        /// What the file starts from.
        #[command(flatten)]
        config: Box<ConfigArgs>,
    },
}
