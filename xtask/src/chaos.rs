//! `cargo xtask chaos`: the example `chaos` of the tests, with everything that it needs built.

use std::process::Command;

use crate::cli::ChaosOptions;
use crate::workspace::{Workspace, library_path};
use crate::{build, libtorch, process};

/// Builds everything and disturbs a run, or measures the memory of long runs.
///
/// # Errors
///
/// Fails if a build fails, if something was lost, or if memory grew.
pub(crate) fn run(workspace: &Workspace, options: &ChaosOptions) -> anyhow::Result<()> {
    let libtorch = libtorch::ensure(workspace, options.libtorch)?;
    build::build(workspace, &libtorch)?;
    let mut chaos = Command::new(build::host_example(workspace, &libtorch, "chaos")?);
    chaos.env("LD_LIBRARY_PATH", library_path(&libtorch));
    if options.memory {
        chaos.arg("--memory");
    } else {
        chaos.args(["--kills", &options.kills.to_string(), "--seed", &options.seed.to_string()]);
        chaos.args(["--faults", &options.faults]);
        if options.study {
            chaos.arg("--study");
        }
        if let Some(folder) = &options.keep {
            chaos.arg("--keep").arg(folder);
        }
    }
    process::pass_through(&mut chaos)
}
