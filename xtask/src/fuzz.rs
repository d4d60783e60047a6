//! `cargo xtask fuzz`: the fuzz targets in `fuzz/`, one after the other.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::cli::FuzzOptions;
use crate::machine::{Machine, Missing};
use crate::workspace::{Workspace, library_path};
use crate::{libtorch, process};

/// Targets whose readers are parts of crates that link libtorch.
const WITH_LIBTORCH: [&str; 4] = ["config", "library", "lock", "safetensors"];

/// Runs the targets, each for the given time, and stops at the first that finds something.
///
/// # Errors
///
/// Fails if a target crashes, hangs or takes too much memory, if there is no such target, or if the machine lacks
/// what it takes.
pub(crate) fn run(workspace: &Workspace, options: &FuzzOptions) -> anyhow::Result<()> {
    let targets = choose(&targets(workspace)?, &options.targets)?;
    check(&Machine::this())?;
    for target in targets {
        process::say(&format!("==> {target}: {} s", options.seconds));
        let mut fuzz = Command::new("rustup");
        fuzz.current_dir(workspace.root()).args(["run", "nightly", "cargo", "fuzz", "run"]);
        // Our code is safe Rust: a sanitizer would find what cannot be there, and costs half the speed.
        fuzz.args(["--fuzz-dir", "fuzz", "--release", "--sanitizer", "none"]);
        if WITH_LIBTORCH.contains(&target.as_str()) {
            let libtorch = libtorch::ensure(workspace, options.libtorch)?;
            fuzz.args(["--features", "host"]);
            fuzz.env("LIBTORCH", &libtorch).env("LD_LIBRARY_PATH", library_path(&libtorch));
        }
        fuzz.args([&target, "--", "-rss_limit_mb=1024", "-timeout=10", "-max_len=65536"]);
        fuzz.args(["-print_final_stats=1", &format!("-max_total_time={}", options.seconds)]);
        process::pass_through(&mut fuzz)?;
    }
    Ok(())
}

/// Lists all targets.
fn targets(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let folder = workspace.root().join("fuzz/fuzz_targets");
    let mut targets = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        if let Some(name) = entry?.path().file_stem() {
            targets.push(name.to_string_lossy().into_owned());
        }
    }
    targets.sort();
    Ok(targets)
}

/// Returns the targets that are named, or all of them if none is.
fn choose(all: &[String], named: &[String]) -> anyhow::Result<Vec<String>> {
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        bail!("no fuzz target `{unknown}`; there are {}", all.join(", "));
    }
    Ok(if named.is_empty() { all.to_vec() } else { named.to_vec() })
}

/// Checks that the machine has the tools.
fn check(machine: &Machine) -> Result<(), Missing> {
    let mut missing = Vec::new();
    let rustup = machine.find(&["rustup"]);
    let nightly = rustup.as_ref().is_some_and(|rustup| {
        let installed = Command::new(rustup).args(["toolchain", "list"]).output();
        installed.is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).lines().any(|line| line.starts_with("nightly-"))
        })
    });
    if rustup.is_none() {
        missing.push("rustup not found: it runs the nightly compiler; see https://rustup.rs".to_owned());
    } else if !nightly {
        missing.push("no nightly compiler: install it with `rustup toolchain install nightly`".to_owned());
    }
    if machine.find(&["cargo-fuzz"]).is_none() {
        missing.push("cargo-fuzz not found: install it with `cargo install cargo-fuzz`".to_owned());
    }
    if missing.is_empty() { Ok(()) } else { Err(Missing(missing)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_tool_is_named_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let lines = |programs: &[(&str, &str)]| check(&Machine::with_programs(dir.path(), programs));
        let Missing(none) = lines(&[]).unwrap_err();
        assert!(none[0].starts_with("rustup not found") && none[1].contains("`cargo install cargo-fuzz`"));
        let Missing(stable) = lines(&[("rustup", "echo stable-x86_64-unknown-linux-gnu")]).unwrap_err();
        assert!(stable[0].contains("`rustup toolchain install nightly`"), "{stable:?}");
        let all = [("rustup", "echo nightly-x86_64-unknown-linux-gnu"), ("cargo-fuzz", "")];
        assert_eq!(lines(&all), Ok(()));
    }

    #[test]
    fn targets_are_those_of_the_folder() {
        let all = ["a".to_owned(), "b".to_owned()];
        assert_eq!(choose(&all, &[]).unwrap(), all);
        assert_eq!(choose(&all, &all[1..]).unwrap(), ["b"]);
        let error = choose(&all, &["c".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "no fuzz target `c`; there are a, b");
    }
}
