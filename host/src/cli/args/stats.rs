//! Commands that compare: `compare`, `stats`, `proxy-check`, `reproduce`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, builder::FalseyValueParser};
use nashost_stats::comparison::{Plan, Test};

/// What decides a comparison, the same for runs and for files.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// Compares every method with this one; each with each if left out.
    #[arg(long, env = "NASHOST_BASELINE", value_name = "METHOD")]
    pub baseline: Option<String>,
    /// Ends with status 1 unless every other method is significantly better than the baseline.
    #[arg(long, env = "NASHOST_REQUIRE_BETTER", value_parser = FalseyValueParser::new(), requires = "baseline")]
    pub require_better: bool,
    /// Level of intervals.
    #[arg(long, env = "NASHOST_LEVEL", default_value_t = 0.95)]
    pub level: f64,
    /// Level of tests.
    #[arg(long, env = "NASHOST_ALPHA", default_value_t = 0.05)]
    pub alpha: f64,
    /// Probability with which the minimum detectable difference would be seen.
    #[arg(long, env = "NASHOST_POWER", default_value_t = 0.8)]
    pub power: f64,
    /// Differences up to this count as none: tests for equivalence.
    #[arg(long, env = "NASHOST_MARGIN", value_name = "DIFFERENCE")]
    pub margin: Option<f64>,
    /// Number of tests in the declared family, if more than are made here.
    #[arg(long, env = "NASHOST_FAMILY", value_name = "TESTS")]
    pub family: Option<usize>,
    /// Which test gives p.
    #[arg(long, env = "NASHOST_TEST", value_enum, default_value_t, value_name = "TEST")]
    pub test: TestArg,
}

/// Which test gives p.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum TestArg {
    /// Wilcoxon's signed ranks for runs with equal seeds, and else Mann–Whitney.
    #[default]
    Rank,
    /// Student's t of pairs, and else Welch's.
    T,
}

impl PlanArgs {
    /// Returns the plan.
    pub fn plan(&self, higher_is_better: bool) -> Plan {
        Plan {
            baseline: self.baseline.clone(),
            level: self.level,
            alpha: self.alpha,
            power: self.power,
            margin: self.margin,
            higher_is_better,
            test: match self.test {
                TestArg::Rank => Test::Rank,
                TestArg::T => Test::T,
            },
            family: self.family,
        }
    }
}

/// Arguments of `compare`: compares methods by their runs.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Runs: folders, names, ends of names, or `latest`.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<String>,
    /// Folder that runs are in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
    /// Test metric; macro_auroc, macro_f1 or subset_accuracy, the first there is, if left out.
    #[arg(long, env = "NASHOST_METRIC", value_name = "NAME")]
    pub metric: Option<String>,
    /// What is compared.
    #[arg(long, env = "NASHOST_BY", value_enum, default_value_t, value_name = "WHAT")]
    pub by: ByArg,
    /// Resamples of the patients of the test part; 0 leaves the test part out.
    #[arg(long, env = "NASHOST_RESAMPLES", default_value_t = 2000, value_name = "N")]
    pub resamples: usize,
    /// CSV file with image_id and group: the patients of the test images, if the dataset is not at hand.
    #[arg(long, env = "NASHOST_GROUPS", value_name = "FILE")]
    pub groups: Option<PathBuf>,
    /// Seed of the resamples.
    #[arg(long, env = "NASHOST_SEED", default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// What decides the comparison.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// What `compare` takes for a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ByArg {
    /// The method, over all runs.
    #[default]
    Method,
    /// Each method of each run.
    Run,
}

/// Arguments of `stats`: compares methods by files of results.
#[derive(Debug, Clone, Args)]
pub struct StatsArgs {
    /// CSV files; of the 2023 study's layouts, one for each method.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Column of the values (`value` if left out); of the study's grids, `accuracy` or `macro_f1`.
    #[arg(long, env = "NASHOST_METRIC", value_name = "COLUMN")]
    pub metric: Option<String>,
    /// Smaller values are better.
    #[arg(long, env = "NASHOST_LOWER_IS_BETTER", value_parser = FalseyValueParser::new())]
    pub lower_is_better: bool,
    /// Only the N best values of each method, as the 2023 study did: no sound test, for the values are
    /// chosen by the result.
    #[arg(long, env = "NASHOST_TOP", value_name = "N")]
    pub top: Option<usize>,
    /// What decides the comparison.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Arguments of `proxy-check`: correlates proxies with results of training.
#[derive(Debug, Clone, Args)]
pub struct ProxyCheckArgs {
    /// Runs: folders, names, ends of names, or `latest`.
    #[arg(default_value = "latest", value_name = "RUN")]
    pub runs: Vec<String>,
    /// Folder that runs are in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
    /// Test metric; macro_auroc, macro_f1 or subset_accuracy, the first there is, if left out.
    #[arg(long, env = "NASHOST_METRIC", value_name = "NAME")]
    pub metric: Option<String>,
    /// Architecture metrics to score the trained structures by, beside those that the runs recorded: their
    /// names, divided by commas, or `all`.
    #[arg(long, env = "NASHOST_SCORE", value_delimiter = ',', value_name = "NAMES")]
    pub score: Vec<String>,
    /// Level of intervals.
    #[arg(long, env = "NASHOST_LEVEL", default_value_t = 0.95)]
    pub level: f64,
    /// Resamples of the structures, 1000 at least; 0 leaves their interval out.
    #[arg(long, env = "NASHOST_RESAMPLES", default_value_t = 2000, value_name = "N")]
    pub resamples: usize,
    /// Seed of the resamples.
    #[arg(long, env = "NASHOST_SEED", default_value_t = 0, value_name = "N")]
    pub seed: u64,
}

/// Commands under `reproduce`.
#[derive(Debug, Clone, Subcommand)]
pub enum ReproduceCommand {
    /// The 2023 study's p-values and table cells, recomputed from its own published files.
    Study(ReproduceStudyArgs),
}

/// Arguments of `reproduce study`.
#[derive(Debug, Clone, Args)]
pub struct ReproduceStudyArgs {
    /// A study of one's own, such as `examples/paper/quick.toml`: its runs that are not there yet are made, and
    /// its results stand beside the published ones.
    #[arg(value_name = "CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder that studies are in.
    #[arg(long, env = "NASHOST_STUDIES", default_value = "studies", value_name = "DIR")]
    pub studies: PathBuf,
    /// Runs side by side.
    #[arg(short, long, env = "NASHOST_JOBS", default_value_t = 1, value_name = "N")]
    pub jobs: usize,
    /// Goes on after a run has failed.
    #[arg(long, env = "NASHOST_KEEP_GOING", value_parser = FalseyValueParser::new())]
    pub keep_going: bool,
}
