//! The tests, and everything else that continuous integration checks.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::build;
use crate::cli::LibtorchChoice;
use crate::machine::Machine;
use crate::workspace::Workspace;
use crate::{guide, libtorch, process};

/// Runs format check, lints, documentation, tests and the guide, and stops at the first that fails.
///
/// # Errors
///
/// Fails if a step fails.
pub(crate) fn ci(workspace: &Workspace, choice: LibtorchChoice) -> anyhow::Result<()> {
    let libtorch = &libtorch::ensure(workspace, choice)?;
    step("format", || {
        process::run(workspace.cargo(libtorch, "fmt").args(["--all", "--check"]))?;
        outside(workspace, "fmt", libtorch, |fmt| fmt.arg("--check"))
    })?;
    step("lints", || {
        let all = ["--all-targets", "--", "-D", "warnings"];
        process::run(workspace.cargo(libtorch, "clippy").arg("--workspace").args(all))?;
        outside(workspace, "clippy", libtorch, |clippy| clippy.args(all))
    })?;
    step("documentation", || {
        let mut doc = workspace.cargo(libtorch, "doc");
        process::run(doc.args(["--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    if Machine::this().find(&["cargo-deny"]).is_some() {
        step("licences and advisories", || process::run(workspace.cargo(libtorch, "deny").arg("check")))?;
    } else {
        process::say("==> licences and advisories: skipped, cargo-deny is not installed");
    }
    test(workspace, choice, false, &[])?;
    step("guide", || guide::follow(workspace, libtorch, &build::build(workspace, libtorch)?))
}

/// Runs the tests; with `args`, only those of the workspace, and with these arguments of the runner.
///
/// # Errors
///
/// Fails if a build or a test fails.
pub(crate) fn test(
    workspace: &Workspace,
    choice: LibtorchChoice,
    long: bool,
    args: &[OsString],
) -> anyhow::Result<()> {
    let libtorch = &libtorch::ensure(workspace, choice)?;
    // Before the tests: they load the plugins' files, which a test build alone does not bring up to date.
    let host = step("build", || build::build(workspace, libtorch))?;
    if args.is_empty() {
        step("documentation tests", || {
            let mut tests = workspace.cargo(libtorch, "test");
            process::run(settings(tests.args(["--workspace", "--doc"]), &host))
        })?;
        step("examples", || {
            outside(workspace, "build", libtorch, |build| build)?;
            outside(workspace, "test", libtorch, |tests| settings(tests, &host))
        })?;
    }
    // Last, so that the summary of the many tests closes the output.
    step("tests", || process::run(&mut runner(workspace, libtorch, &host, long, args)))
}

/// Returns the runner of the workspace's tests: nextest where it is installed, else cargo's own.
fn runner(workspace: &Workspace, libtorch: &Path, host: &Path, long: bool, args: &[OsString]) -> Command {
    let nextest = Machine::this().find(&["cargo-nextest"]).is_some();
    let mut tests = workspace.cargo(libtorch, if nextest { "nextest" } else { "test" });
    if nextest {
        tests.arg("run");
    }
    if args.is_empty() {
        tests.arg("--workspace");
        if !nextest {
            // Documentation tests are a step of their own.
            tests.arg("--all-targets");
        }
    }
    tests.args(args);
    match (long, nextest) {
        (true, true) => drop(tests.arg("--run-ignored=all")),
        (true, false) => drop(tests.args(["--", "--include-ignored"])),
        (false, _) => {}
    }
    settings(&mut tests, host);
    tests
}

/// Tells tests where the built host is, and keeps each of them to one thread.
fn settings<'a>(tests: &'a mut Command, host: &Path) -> &'a mut Command {
    tests.env("NASHOST_BIN", host);
    // Tests run side by side: a thread pool in each would only have them wait for one another, and
    // busily at that.
    for (name, value) in [("OMP_NUM_THREADS", "1"), ("OMP_WAIT_POLICY", "passive")] {
        if env::var_os(name).is_none() {
            tests.env(name, value);
        }
    }
    tests
}

/// Runs a cargo command in each example, which is its own workspace as a third party's plugin is.
fn outside(
    workspace: &Workspace,
    subcommand: &str,
    libtorch: &Path,
    arguments: impl Fn(&mut Command) -> &mut Command,
) -> anyhow::Result<()> {
    for manifest in workspace.manifests_in("examples")? {
        let mut cargo = workspace.cargo(libtorch, subcommand);
        cargo.arg("--manifest-path").arg(manifest);
        cargo.env("CARGO_TARGET_DIR", workspace.target().join("examples"));
        process::run(arguments(&mut cargo))?;
    }
    Ok(())
}

/// Announces a step, runs it, and says how long it took.
fn step<T>(name: &str, run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    process::say(&format!("==> {name}"));
    let begun = Instant::now();
    let result = run()?;
    process::say(&format!("==> {name}: done in {:.0} s", begun.elapsed().as_secs_f64()));
    Ok(result)
}
