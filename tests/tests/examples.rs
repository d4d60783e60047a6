//! The example plugins, built as third parties would build them, in real runs.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{path::Path, process::Command};

use nashost_tests::{SHIPPED, Sandbox, library, target_dir};
use predicates::str::contains;

/// Builds `examples/<name>` and returns the value of `NASHOST_PLUGIN_PATH` that adds it.
fn plugins_with(name: &str) -> std::ffi::OsString {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = target_dir().parent().unwrap().join("examples");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--manifest-path"])
        .arg(root.join("examples").join(name).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .unwrap();
    assert!(status.success(), "examples/{name} does not build");
    let file = target.join("debug").join(format!("lib{}.so", name.replace('-', "_")));
    std::env::join_paths(SHIPPED.map(library).into_iter().chain([file])).unwrap()
}

#[test]
fn random_search_runs_as_a_method() {
    let sandbox = Sandbox::default();
    let line = "run --plugin random-search -s data.size=48 -s search.evaluations=6 -s train.resolution=32 \
                -s train.epochs=1 -s eval.bootstrap=20 --device cpu";
    sandbox.nashost(line).env("NASHOST_PLUGIN_PATH", plugins_with("random-search")).assert().success();
    let run = sandbox.latest();
    assert_eq!(run.column("search.csv", "origin"), ["random"; 6]);
    assert_eq!(run.json("summary.json")["methods"][0]["method"], "random-search");
}

#[test]
fn stripes_are_a_dataset() {
    let sandbox = Sandbox::default();
    let line = "run --dataset stripes -s arch.plugin=superres -s train.resolution=16 -s train.epochs=1 \
                -s eval.bootstrap=20 --device cpu";
    sandbox.nashost(line).env("NASHOST_PLUGIN_PATH", plugins_with("stripes-dataset")).assert().success();
    let summary = sandbox.latest().json("summary.json");
    assert_eq!(summary["data"]["dataset"], "stripes");
    assert_eq!(summary["labels"], serde_json::json!(["horizontal", "vertical"]));
}

#[test]
fn the_archive_of_a_hospital_is_a_dataset_of_every_method() {
    let sandbox = Sandbox::default();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hospital-loader/make_store.py");
    let made = Command::new("python3").arg(script).arg(sandbox.path("store")).status().unwrap();
    assert!(made.success(), "make_store.py failed");
    let data = "--dataset hospital -s data.path=store";
    let plugins = plugins_with("hospital-loader");
    let nashost = |line: &str| {
        let mut command = sandbox.nashost(&format!("{line} {data}"));
        command.env("NASHOST_PLUGIN_PATH", &plugins);
        command
    };
    nashost("data check").assert().success().stdout(contains("240 images, 2 labels, 120 groups"));
    let line = "run --plugin zennas -s search.evaluations=4 -s train.resolution=32 -s train.epochs=1 \
                -s eval.bootstrap=20 --device cpu";
    nashost(line).assert().success();
    let run = sandbox.latest();
    let summary = run.json("summary.json");
    assert_eq!(summary["data"]["dataset"], "hospital");
    assert_eq!(summary["labels"], serde_json::json!(["Fracture", "Implant"]));
    for (file, bytes) in sandbox.contents("runs") {
        assert!(!String::from_utf8_lossy(&bytes).contains("Doe, Jane"), "{} names a patient", file.display());
    }
}
