//! `nashost plugin test` and `nashost plugin new`, with real plugin files.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{path::Path, process::Command};

use nashost_tests::{SHIPPED, Sandbox, library, target_dir};
use serde_json::Value;

/// Tries the rules on a plugin file, and returns its exit code and its verdicts.
fn verdicts(file: &Path, settings: &[&str]) -> (i32, Value) {
    let sandbox = Sandbox::default();
    let mut command = sandbox.nashost("plugin test --format json");
    command.arg(file);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let json = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), json)
}

/// The judgements with a verdict, as `component/rule: detail`.
fn with(verdict: &str, json: &Value) -> Vec<String> {
    let judgements = json["judgements"].as_array().unwrap().iter();
    let some = judgements.filter(|judgement| judgement["verdict"] == verdict);
    let line = |j: &Value| {
        let text = |key: &str| j[key].as_str().unwrap_or("-").to_owned();
        format!("{}/{}: {}", text("component"), text("rule"), text("detail"))
    };
    some.map(line).collect()
}

#[test]
fn shipped_plugins_keep_every_rule() {
    for name in SHIPPED {
        let (code, json) = verdicts(&library(name), &[]);
        assert_eq!(with("failed", &json), [""; 0], "{name}");
        assert_eq!((code, &json["passed"]), (0, &Value::Bool(true)), "{name}");
        // A dataset that needs files is not created, so only the rules of the whole plugin are tried.
        let least = if name == "nashost_dicom" { 4 } else { 11 };
        assert!(with("passed", &json).len() >= least, "{name}: {json}");
    }
}

#[test]
fn what_only_a_process_shows_is_found() {
    let file = library("wrong_plugin");
    // Each is one component; the others of the plugin have nothing wrong with them.
    let cases = [
        ("wrong-dataset", "stdout", "stdout", "hello from a plugin"),
        ("wrong-architecture", "memory", "leaks", "memory"),
        ("wrong-prediction-metric", "threads-stay", "leaks", "threads"),
        ("wrong-architecture-metric", "files", "leaks", "open files"),
        ("wrong-strategy", "crash", "proposals", "signal 6"),
    ];
    let settings = cases.map(|(component, wrong, ..)| format!("{component}.wrong={wrong}"));
    let (code, json) = verdicts(&file, &settings.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 1);
    let failed = with("failed", &json);
    for (component, _, rule, words) in cases {
        let start = format!("{component}/{rule}: ");
        let found = failed.iter().find(|line| line.starts_with(&start));
        assert!(found.is_some_and(|line| line.contains(words)), "{start}{words}: {failed:?}");
    }
    // The one that takes any settings cannot be told to be right.
    assert!(failed.iter().any(|line| line.starts_with("lax-metric/settings: ")), "{failed:?}");
    assert_eq!(failed.len(), cases.len() + 1, "{failed:?}");
}

#[test]
fn a_plugin_that_is_deaf_is_ended() {
    let (code, json) = verdicts(&library("wrong_plugin"), &["wrong-dataset.wrong=cancel"]);
    let failed = with("failed", &json);
    assert_eq!(code, 1);
    let deaf = "wrong-dataset/cancel: it was still working 10 s after it was asked to stop";
    assert!(failed.contains(&deaf.to_owned()), "{failed:?}");
}

#[test]
fn broken_rules_are_errors_that_name_them() {
    let sandbox = Sandbox::default();
    let mut command = sandbox.nashost("plugin test --set wrong-dataset.wrong=records");
    let output = command.arg(library("wrong_plugin")).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(out.contains("two images have the id of image 1"), "{out}");
    assert!(
        err.contains("error[E0431]") && err.contains("`wrong-dataset` breaks the rule `records`"),
        "{err}"
    );
}

#[test]
fn files_that_are_no_plugins_or_bring_nothing_are_judged_too() {
    let (code, json) = verdicts(&library("crasher_plugin"), &[]);
    assert_eq!(code, 1);
    assert_eq!(with("failed", &json), ["-/manifest: it lists no component"]);
    let sandbox = Sandbox::default();
    std::fs::write(sandbox.path("x.so"), "not a library").unwrap();
    let (code, json) = verdicts(&sandbox.path("x.so"), &[]);
    assert_eq!(code, 1);
    assert!(with("failed", &json)[0].starts_with("-/manifest: "), "{json}");
}

const KINDS: [&str; 5] = ["strategy", "architecture", "dataset", "metric", "prediction-metric"];

fn api() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("plugin-api")
}

#[test]
fn a_plugin_is_begun_once() {
    let sandbox = Sandbox::default();
    let begin = |name: &str| {
        let mut command = sandbox.nashost("plugin new --kind strategy --api-path");
        command.arg(api()).arg(name);
        command
    };
    begin("my-search").assert().success();
    for file in ["Cargo.toml", "manifest.json", "README.md", ".gitignore", "src/lib.rs"] {
        assert!(sandbox.path("my-search").join(file).is_file(), "{file}");
    }
    begin("my-search").assert().code(2);
    begin("My Search").assert().code(2);
    let mut command = sandbox.nashost("plugin new x --kind metric --api-path nowhere");
    command.assert().code(2);
}

#[test]
#[ignore = "long: cargo xtask test --long"]
fn every_kind_of_new_plugin_builds_passes_its_tests_and_keeps_the_rules() {
    let sandbox = Sandbox::default();
    let target = target_dir().parent().unwrap().join("scaffold");
    for kind in KINDS {
        let name = format!("new-{kind}");
        let mut command = sandbox.nashost("plugin new --kind");
        command.args([kind, &name, "--api-path"]).arg(api()).assert().success();
        let folder = sandbox.path(&name);
        // The versions of the workspace, so that nothing needs to be fetched.
        std::fs::copy(api().parent().unwrap().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        for verb in ["test", "build"] {
            let status = Command::new(env!("CARGO"))
                .args([verb, "--quiet", "--offline", "--target-dir"])
                .arg(&target)
                .current_dir(&folder)
                .status()
                .unwrap();
            assert!(status.success(), "cargo {verb} of a new {kind}");
        }
        let file = target.join("debug").join(format!("lib{}.so", name.replace('-', "_")));
        let (code, json) = verdicts(&file, &[]);
        assert_eq!((code, with("failed", &json)), (0, vec![]), "{kind}");
    }
}
