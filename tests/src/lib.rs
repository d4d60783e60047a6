//! What the tests of the real binary share.

use std::path::PathBuf;

use assert_cmd::Command;

/// Returns the `nashost` binary that was built with these tests, or the one that `NASHOST_BIN` names.
///
/// # Panics
///
/// Panics if there is none: cargo does not build the binaries of another package for tests.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("NASHOST_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("a running test has a file");
    let profile = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps");
    let path = profile.join("nashost");
    assert!(path.exists(), "{} is missing: run `cargo build -p nashost` first", path.display());
    path
}

/// Starts a command line of `nashost` that no setting of the machine can change: no variables of
/// its own, no user file, no colours.
pub fn nashost() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NASHOST_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent").env_remove("NO_COLOR");
    command
}
