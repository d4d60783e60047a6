//! Version skew: an older and a newer host each load an older and a newer build of one plugin.
//!
//! "Newer" is a build with `--cfg nashost_next_abi`, which appends a field to the host's table and
//! teaches plugins one more extension, as a later release would.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Builds host and plugin of one release; returns the folder they lie in.
fn build(release: &str, rustflags: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = nashost_tests::target_dir().parent().unwrap().join(format!("skew-{release}"));
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "skew", "-p", "skew-host", "-p", "skew-plugin"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(root)
        .env("RUSTFLAGS", rustflags)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .unwrap();
    assert!(status.success());
    target.join("skew")
}

fn run(host: &Path, plugin: &Path) -> String {
    let output = Command::new(host.join("skew-host")).arg(plugin.join("libskew_plugin.so")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn all_pairs_of_old_and_new_work() {
    let (old, new) = (build("old", ""), build("new", "--cfg nashost_next_abi"));
    assert_eq!(run(&old, &old), "next extension: false; released plugin\n");
    assert_eq!(run(&new, &old), "next extension: false; released plugin\n");
    // A newer plugin sees that the older host's table ends before the new field.
    assert_eq!(run(&old, &new), "next extension: true; host generation None\n");
    assert_eq!(run(&new, &new), "next extension: true; host generation Some(2)\n");
}
