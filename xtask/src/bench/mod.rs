//! `cargo xtask bench`: nashost beside its references, in one run.
//!
//! Each side of a benchmark is a program that prints its measurements as JSON lines (see
//! [`measure::Measurement`]). The sides take turns, so that what slows the machine for a while slows
//! both, and the ratio of their times is what counts. Our side is the host's example `bench_<name>`;
//! the reference is a Python script in `xtask/bench`, where there is one.

mod measure;
mod report;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use self::measure::Samples;
use crate::cli::BenchOptions;
use crate::workspace::{Workspace, library_path};
use crate::{build, libtorch, process};

/// What a benchmark must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Goal {
    /// The reference's time over ours, at least.
    Ratio(f64),
    /// Our time in seconds, at most.
    Seconds(f64),
    /// Our time in seconds and our memory in MiB, at most.
    Within(f64, f64),
    /// None: the case is there to be seen.
    Open,
}

/// A program that does the same work by other means.
#[derive(Debug)]
struct Reference {
    script: &'static str,
    /// The Python package without which it cannot run.
    package: &'static str,
    /// Whether it times a checkout of the official code.
    official: bool,
}

/// One benchmark.
#[derive(Debug)]
struct Bench {
    name: &'static str,
    /// Each measurement whose name begins so, and its goal.
    goals: &'static [(&'static str, Goal)],
    reference: Option<Reference>,
    /// Files that the sides share, made or given before they run.
    input: Input,
}

/// What both sides of a benchmark are given besides the number of threads and repeats.
#[derive(Clone, Copy, Debug)]
enum Input {
    None,
    /// `--structures FILE`: the structures to score, one JSON object a line.
    Structures,
    /// `--images DIR`: radiographs, written by the reference.
    Images,
}

const BENCHES: [Bench; 9] = [
    Bench {
        name: "zen-score",
        goals: &[
            ("score ", Goal::Ratio(2.0)),
            ("equal precision, 16 images", Goal::Ratio(3.0)),
            ("equal precision", Goal::Ratio(8.0)),
            ("search step, equal precision", Goal::Ratio(2.0)),
            ("search step, ", Goal::Open),
        ],
        reference: Some(Reference { script: "zen_official.py", package: "torch", official: true }),
        input: Input::Structures,
    },
    Bench {
        name: "zennas-search",
        goals: &[("search ", Goal::Seconds(10.0)), ("metric ", Goal::Seconds(1e-3))],
        reference: None,
        input: Input::None,
    },
    // Three million evaluations of a structure in a second on the processor.
    Bench {
        name: "mad-score",
        goals: &[("", Goal::Seconds(1.0 / 3e6))],
        reference: None,
        input: Input::None,
    },
    Bench {
        name: "shapley",
        goals: &[
            ("training step", Goal::Ratio(1.5)),
            ("evaluation, ", Goal::Ratio(1.5)),
            ("half evaluation", Goal::Ratio(2.0)),
            ("evaluation of a walk", Goal::Ratio(2.0)),
            ("mask gradient", Goal::Open),
            ("share of a search", Goal::Ratio(4.0)),
        ],
        reference: Some(Reference { script: "shapley_official.py", package: "torch", official: true }),
        input: Input::None,
    },
    Bench {
        name: "train-step",
        goals: &[("", Goal::Ratio(1.0))],
        reference: Some(Reference { script: "train_step.py", package: "torch", official: false }),
        input: Input::None,
    },
    Bench {
        name: "data",
        goals: &[("png ", Goal::Ratio(2.5)), ("jpeg ", Goal::Ratio(1.8)), ("whole path ", Goal::Open)],
        reference: Some(Reference { script: "data_prep.py", package: "PIL", official: false }),
        input: Input::Images,
    },
    Bench { name: "plugin-call", goals: &[("", Goal::Seconds(2e-6))], reference: None, input: Input::None },
    // 500 MB of memory.
    Bench {
        name: "records",
        goals: &[("", Goal::Within(2.0, 500e6 / 1_048_576.0))],
        reference: None,
        input: Input::None,
    },
    // Prints both sides itself: an epoch as the host runs it, and the bare training steps of one.
    Bench { name: "host-overhead", goals: &[("", Goal::Ratio(0.99))], reference: None, input: Input::None },
];

/// Runs the benchmarks that were asked for, prints their table, and tells whether the goals were met.
///
/// # Errors
///
/// Fails if a side fails or if a goal was missed.
pub(crate) fn run(workspace: &Workspace, options: &BenchOptions) -> anyhow::Result<()> {
    let libtorch = libtorch::ensure(workspace, options.libtorch)?;
    let host = build::build(workspace, &libtorch)?;
    let mut rows = Vec::new();
    let chosen =
        |bench: &&Bench| options.names.is_empty() || options.names.iter().any(|name| name == bench.name);
    for bench in BENCHES.iter().filter(chosen) {
        let reference = bench.reference.as_ref().map(|reference| command(workspace, reference, options));
        if let Some(Err(why)) = &reference {
            process::say(&format!("==> {}: no reference: {why}", bench.name));
        }
        let reference = reference.and_then(Result::ok);
        if reference.is_none() && matches!(bench.input, Input::Images) {
            process::say(&format!("==> {}: skipped, the reference writes the images", bench.name));
            continue;
        }
        let program =
            build::host_example(workspace, &libtorch, &format!("bench_{}", bench.name.replace('-', "_")))?;
        let arguments = arguments(workspace, bench, reference.as_ref(), options)?;
        let mut samples = Samples::default();
        for round in 1..=options.rounds {
            process::say(&format!("==> {}: round {round} of {}", bench.name, options.rounds));
            if let Some(reference) = &reference {
                let mut theirs = Command::new(&reference[0]);
                // Python's torch brings its own libtorch.
                theirs.args(&reference[1..]).args(&arguments).env_remove("LD_LIBRARY_PATH");
                samples.read(&process::output(threads(&mut theirs, options))?)?;
            }
            let mut ours = Command::new(&program);
            ours.args(&arguments).env("LD_LIBRARY_PATH", library_path(&libtorch)).env("NASHOST_BIN", &host);
            samples.read(&process::output(threads(&mut ours, options))?)?;
        }
        rows.extend(report::rows(bench, &samples)?);
    }
    if !rows.is_empty() {
        report::print(&rows)?;
    }
    let missed = rows.iter().filter(|row| row.met == Some(false)).count();
    if missed > 0 {
        bail!("{missed} of {} goals missed", rows.len());
    }
    Ok(())
}

/// Returns the names of all benchmarks.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BENCHES.iter().map(|bench| bench.name)
}

/// Returns the command line of a reference, or why it cannot run.
fn command(
    workspace: &Workspace,
    reference: &Reference,
    options: &BenchOptions,
) -> Result<Vec<OsString>, String> {
    let package = reference.package;
    let python = options.python.as_ref().ok_or(format!("name a Python that has {package} with --python"))?;
    let import = Command::new(python).args(["-c", &format!("import {package}")]).output();
    if !import.is_ok_and(|import| import.status.success()) {
        return Err(format!("{} cannot import {package}", python.display()));
    }
    let script = workspace.root().join("xtask/bench").join(reference.script);
    let mut command = vec![python.into(), script.into_os_string()];
    if reference.official {
        let Some(official) = &options.official else {
            return Err("name a checkout of the official code with --official".into());
        };
        command.extend(["--official".into(), official.into()]);
    }
    Ok(command)
}

/// Returns the arguments that both sides are given, making what they name.
fn arguments(
    workspace: &Workspace,
    bench: &Bench,
    reference: Option<&Vec<OsString>>,
    options: &BenchOptions,
) -> anyhow::Result<Vec<OsString>> {
    let number = |number: usize| OsString::from(number.to_string());
    let mut arguments =
        vec!["--threads".into(), number(options.threads), "--repeats".into(), number(options.repeats)];
    let (flag, path): (&str, PathBuf) = match (bench.input, &options.radiographs) {
        (Input::None, _) => return Ok(arguments),
        (Input::Structures, _) => ("--structures", workspace.root().join("xtask/bench/structures.jsonl")),
        (Input::Images, Some(dir)) => {
            ("--images", fs::canonicalize(dir).with_context(|| format!("find {}", dir.display()))?)
        }
        (Input::Images, None) => {
            let dir = workspace.target().join("bench-images");
            let reference = reference.context("the images are written by the reference")?;
            make_images(reference, &dir)?;
            ("--images", dir)
        }
    };
    arguments.extend([flag.into(), path.into_os_string()]);
    Ok(arguments)
}

/// Has the reference write the images that both sides read.
fn make_images(reference: &[OsString], dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    process::run(Command::new(&reference[0]).args(&reference[1..]).arg("--write").arg(dir))
}

/// Gives a side its threads.
fn threads<'a>(side: &'a mut Command, options: &BenchOptions) -> &'a mut Command {
    let threads = options.threads.to_string();
    side.env("OMP_NUM_THREADS", &threads).env("MKL_NUM_THREADS", threads)
}
