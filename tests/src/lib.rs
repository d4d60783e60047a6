//! Helpers for tests that drive the real binary and load real shared libraries.

pub mod browser;
pub mod chaos;
pub mod memory;
mod sandbox;

use std::{path::PathBuf, process::Command};

pub use sandbox::{Row, Run, Sandbox, Set};

/// Plugins that nashost ships, as library names.
pub const SHIPPED: [&str; 13] = [
    "nashost_benchmarks",
    "nashost_controls",
    "nashost_costs",
    "nashost_datasets",
    "nashost_deepmad",
    "nashost_dicom",
    "nashost_metrics",
    "nashost_proxies",
    "nashost_resnet50",
    "nashost_shapleynas",
    "nashost_strategies",
    "nashost_superres",
    "nashost_zennas",
];

/// Returns the folder of built binaries and libraries: the parent of the test's own folder.
///
/// # Panics
///
/// Panics if the test runs from an unusual place.
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a test knows its own file");
    exe.parent().and_then(|deps| deps.parent()).expect("tests lie in target/PROFILE/deps").to_owned()
}

/// Returns the shared library of a workspace member, `lib<name>.so`.
///
/// # Panics
///
/// Panics if it was not built.
pub fn library(name: &str) -> PathBuf {
    let file = target_dir().join(format!("lib{name}.so"));
    assert!(file.exists(), "{} is missing: run `cargo xtask test`, which builds it", file.display());
    file
}

/// Returns the `nashost` binary.
///
/// # Panics
///
/// Panics if it was not built: cargo does not build the binaries of another package for tests.
pub fn binary() -> PathBuf {
    let file = target_dir().join("nashost");
    assert!(file.exists(), "{} is missing: run `cargo xtask test`, which builds it", file.display());
    file
}

/// Returns a command that runs the real binary with the shipped plugins and nothing of the user's.
pub fn process() -> Command {
    let mut command = Command::new(binary());
    let plugins = std::env::join_paths(SHIPPED.map(library)).expect("target paths have no colon");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NASHOST_") {
            command.env_remove(name);
        }
    }
    let nowhere = std::env::temp_dir().join("nashost-tests-have-no-home");
    command
        .env("NASHOST_PLUGIN_PATH", plugins)
        .env("XDG_CONFIG_HOME", &nowhere)
        .env("XDG_DATA_HOME", &nowhere)
        .env("XDG_CACHE_HOME", target_dir().join("test-cache"))
        .env_remove("NO_COLOR");
    command
}

/// Returns [`process`] ready for assertions.
pub fn nashost() -> assert_cmd::Command {
    assert_cmd::Command::from_std(process())
}
