//! The command line of `cargo xtask`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use crate::bench;

/// Builds, tests and measures nashost.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One chore.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Install libtorch into the checkout; does nothing where it is installed.
    Setup {
        #[command(flatten)]
        libtorch: LibtorchChoice,
    },
    /// Build the host and its plugins, and lay them out in target/nashost.
    Build {
        #[command(flatten)]
        libtorch: LibtorchChoice,
    },
    /// Set up and build what is missing, then become the host (`cargo nashost` for short).
    #[command(disable_help_flag = true)]
    Nashost {
        #[command(flatten)]
        libtorch: LibtorchChoice,
        /// Arguments of the host, the first one being its verb.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run every test: workspace, documentation, examples.
    Test {
        #[command(flatten)]
        libtorch: LibtorchChoice,
        /// Run the tests marked as ignored, too (slow ones, and ones that need a GPU).
        #[arg(long)]
        long: bool,
        /// Arguments of the test runner, such as a filter or `-p CRATE`; with any, only the
        /// workspace's tests run.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run what continuous integration runs: format, lints, documentation, tests, the guide.
    Ci {
        #[command(flatten)]
        libtorch: LibtorchChoice,
    },
    /// Measure nashost against its references, side by side.
    Bench(BenchOptions),
    /// Kill a run's processes and fail its files again and again, and check that nothing is lost.
    Chaos(ChaosOptions),
    /// Feed the readers of untrusted input with changed and random bytes.
    Fuzz(FuzzOptions),
    /// Follow the plugin author's guide to the letter, each journey in a fresh folder.
    Guide {
        #[command(flatten)]
        libtorch: LibtorchChoice,
    },
    /// Make a relocatable folder for a machine that has a GPU and PyTorch.
    GpuBundle {
        #[command(flatten)]
        libtorch: LibtorchChoice,
        /// Folder to make; an existing one is replaced if it is a bundle.
        #[arg(long, value_name = "DIR", default_value = "target/gpu-bundle")]
        out: PathBuf,
    },
}

/// Which build of libtorch to install; without a flag, the installed one, else what suits the machine.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct LibtorchChoice {
    /// Install only what libtorch needs on a CPU (1.2 GB).
    #[arg(long, conflicts_with = "cuda")]
    pub(crate) cpu: bool,
    /// Install libtorch with all its CUDA libraries (5 GB).
    #[arg(long)]
    pub(crate) cuda: bool,
}

/// Options of `cargo xtask bench`.
#[derive(Args, Debug)]
pub(crate) struct BenchOptions {
    #[command(flatten)]
    pub(crate) libtorch: LibtorchChoice,
    /// Benchmarks to run; all of them if none is named.
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(bench::names()))]
    pub(crate) names: Vec<String>,
    /// Python that has the reference packages (torch, Pillow).
    #[arg(long, value_name = "PYTHON")]
    pub(crate) python: Option<PathBuf>,
    /// Checkout of the official code of ZenNAS or Shapley-NAS.
    #[arg(long, value_name = "DIR")]
    pub(crate) official: Option<PathBuf>,
    /// Folder with at least four radiographs as PNG and four as JPEG, for `data`; drawn if left out.
    #[arg(long, value_name = "DIR")]
    pub(crate) radiographs: Option<PathBuf>,
    /// Threads of either side.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// How often the two sides take turns.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Measurements of each case in one turn.
    #[arg(long, default_value_t = 5)]
    pub(crate) repeats: usize,
}

/// Options of `cargo xtask chaos`.
#[derive(Args, Debug)]
pub(crate) struct ChaosOptions {
    #[command(flatten)]
    pub(crate) libtorch: LibtorchChoice,
    /// Processes to kill, drivers and workers together.
    #[arg(long, default_value_t = 200)]
    pub(crate) kills: u32,
    /// What moments, victims and faults follow from.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Whether files fail, too: short writes, full disks, errors of write, sync and rename, jumps of the
    /// clock.
    #[arg(long, default_value = "on", value_parser = ["on", "off"])]
    pub(crate) faults: String,
    /// Folder to work in; runs that went wrong stay there.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Disturb a study, and the processes of its runs, instead of a run.
    #[arg(long, conflicts_with = "keep")]
    pub(crate) study: bool,
    /// Instead, measure whether the memory of long runs grows.
    #[arg(long, conflicts_with_all = ["kills", "seed", "faults", "keep", "study"])]
    pub(crate) memory: bool,
}

/// Options of `cargo xtask fuzz`.
#[derive(Args, Debug)]
pub(crate) struct FuzzOptions {
    #[command(flatten)]
    pub(crate) libtorch: LibtorchChoice,
    /// Targets, of fuzz/fuzz_targets; all of them if none is named.
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// How long each runs.
    #[arg(long, value_name = "N", default_value_t = 600)]
    pub(crate) seconds: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_after_the_first_argument_is_the_hosts() {
        for (line, cpu, host) in [
            (&["x", "nashost", "run", "--cpu", "--help"][..], false, &["run", "--cpu", "--help"][..]),
            (&["x", "nashost", "--cpu", "run", "-s", "a=1"], true, &["run", "-s", "a=1"]),
            (&["x", "nashost", "--version"], false, &["--version"]),
            (&["x", "nashost", "--help"], false, &["--help"]),
            (&["x", "nashost"], false, &[]),
        ] {
            match Cli::parse_from(line).command {
                Command::Nashost { libtorch, args } => {
                    assert_eq!(args, host, "{line:?}");
                    assert_eq!(libtorch.cpu, cpu, "{line:?}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn wrong_usage_exits_with_2() {
        for line in [&["x", "setup", "--cpu", "--cuda"][..], &["x", "bench", "zen"], &["x", "tset"]] {
            assert_eq!(Cli::try_parse_from(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }
}
