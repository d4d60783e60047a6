//! `nashost run` from its command line to its files, with the real binary.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::Path,
    process::Child,
    time::Duration,
};

use nashost::run::{RunDir, tables};
use nashost_tests::{Run, SHIPPED, Sandbox, Set, library, process};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::Value;

/// A whole method on synthetic necks, as small as it gets.
const ZENNAS: &str = "run --plugin zennas -s data.region=neck -s data.size=48 -s search.evaluations=12 \
                      -s train.resolution=32 -s train.epochs=1 -s eval.bootstrap=50 --device cpu";

/// A small fixed network on synthetic images.
const SMALL: &str = "run -s arch.plugin=superres -s data.size=48 -s train.resolution=16 \
                     -s train.epochs=1 -s eval.bootstrap=20 --device cpu";

const FILES: [&str; 22] = [
    "run.toml",
    "run.lock.toml",
    "provenance.json",
    "events.jsonl",
    "trials.csv",
    "epochs.csv",
    "search.csv",
    "results.csv",
    "summary.json",
    "archs/T0001.json",
    "ckpt/T0001/best-macro-f1-0001.safetensors",
    "ckpt/T0001/best-subset-accuracy-0001.safetensors",
    "ckpt/T0001/last.safetensors",
    "predictions/T0001_test.csv",
    "predictions/T0001_saliency.json",
    "digest.json",
    "split.json",
    "times.json",
    "attributes.csv",
    "report.html",
    "log/host.log",
    "DONE",
];

/// File of the newest checkpoint of a kind, as the events tell it.
fn checkpoint(run: &Run, kind: &str) -> String {
    let events = String::from_utf8(run.bytes("events.jsonl")).unwrap();
    let mut reports = events.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        Some(line["event"]["report"].clone()).filter(|report| report["kind"] == kind)
    });
    reports.next_back().unwrap()["path"].as_str().unwrap().to_owned()
}

fn names(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["method"].as_str().unwrap()).collect()
}

/// Test metric of a method or baseline in `summary.json`, rounded to five digits.
fn metric(summary: &Value, rows: &str, method: &str, metric: &str) -> f64 {
    let row = summary[rows].as_array().unwrap().iter().find(|row| row["method"] == method).unwrap();
    let mean = row["test"][metric]["mean"].as_f64().unwrap();
    (mean * 1e5).round() / 1e5
}

#[test]
fn what_stands_under_a_metrics_name_is_its_value_and_a_short_list_is_told() {
    let sandbox = Sandbox::default();
    // The search ranks by the closed form of the Zen-Score; the run's metric is another.
    let line = format!(
        "{ZENNAS} -s search.score=analytic -s search.rescore=2 -s search.top=3 -s score.plugin=params"
    );
    let short = "`search.top` is 3, but the search recommends only 2 different networks";
    sandbox.nashost(&line).assert().success().stderr(contains(short));
    let run = sandbox.latest();
    let trials = run.table("trials.csv");
    assert_eq!(trials.len(), 2);
    for trial in trials {
        assert_eq!(trial["score.params"].parse::<f64>(), trial["params"].parse::<f64>(), "{trial:?}");
    }
    let events = String::from_utf8(run.bytes("events.jsonl")).unwrap();
    assert_eq!(events.matches(short).count(), 1, "the warning is recorded");
}

/// Checks that `best_so_far` is the running maximum of `value`, and returns the values.
fn values(run: &Run) -> Vec<String> {
    let mut best = f64::NEG_INFINITY;
    for row in run.table("search.csv") {
        if let Ok(value) = row["value"].parse::<f64>() {
            best = best.max(value);
        }
        assert_eq!(row["best_so_far"].parse::<f64>().unwrap(), best, "{row:?}");
    }
    run.column("search.csv", "value")
}

#[test]
fn a_method_leaves_a_complete_run_that_repeats_exactly() {
    let sandbox = Sandbox::default();
    sandbox.nashost(&format!("{ZENNAS} -j 2")).assert().success().stderr(contains("synthetic"));
    let run = sandbox.latest();
    for file in FILES {
        assert!(!run.bytes(file).is_empty(), "{file} is empty");
    }
    let mut kept =
        ["best-macro-f1", "best-subset-accuracy", "last"].map(|kind| run.file(&checkpoint(&run, kind)));
    kept.sort();
    let mut files: Vec<_> =
        fs::read_dir(run.file("ckpt/T0001")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files, kept, "neither superseded checkpoints nor a state are left");
    assert_eq!(fs::metadata(&run.0).unwrap().permissions().mode() & 0o777, 0o700);

    let summary = run.json("summary.json");
    assert_eq!(summary["status"], "done");
    assert_eq!(summary["run_id"], run.0.file_name().unwrap().to_str().unwrap());
    assert_eq!(summary["n"], serde_json::json!({"train": 746, "val": 93, "test": 94}));
    assert_eq!(summary["labels"].as_array().unwrap().len(), 8);
    assert_eq!(summary["search"]["uses_data"], false);
    assert_eq!(names(&summary["methods"]), ["zennas"]);
    assert_eq!(summary["methods"][0]["trials"], serde_json::json!({"done": 1, "failed": 0}));
    assert!(names(&summary["baselines"]).contains(&"prevalence-random"));
    assert_eq!(metric(&summary, "baselines", "commonest-finding", "subset_accuracy"), 0.37234);
    assert_eq!(metric(&summary, "baselines", "all-positive", "macro_f1"), 0.30414);

    let searched = values(&run);
    assert!(searched.len() >= 12, "{} candidates", searched.len());
    assert_eq!(run.table("predictions/T0001_test.csv").len(), 94 * 8);
    it_can_be_shown(&sandbox, &run);

    // The run's own configuration, on one thread instead of two.
    let again = sandbox.run(&format!("run -c {} -j 1", run.file("run.toml").display()));
    assert_ne!(again, run);
    assert_eq!(values(&again), searched);
    for file in ["predictions/T0001_test.csv", "ckpt/T0001/last.safetensors"] {
        assert!(again.bytes(file) == run.bytes(file), "{file} differs");
    }
    tables_are_functions_of_the_events(&run);
}

fn tables_are_functions_of_the_events(run: &Run) {
    let files = ["trials.csv", "epochs.csv", "search.csv", "results.csv", "summary.json", "archs/T0001.json"];
    let before = files.map(|file| run.bytes(file));
    for file in files {
        fs::remove_file(run.file(file)).unwrap();
    }
    tables::rebuild(&RunDir::open(run.0.to_str().unwrap(), Path::new(".")).unwrap()).unwrap();
    for (file, before) in files.into_iter().zip(before) {
        assert!(run.bytes(file) == before, "{file} is rebuilt with other bytes");
    }
}

fn it_can_be_shown(sandbox: &Sandbox, run: &Run) {
    let id = run.0.file_name().unwrap().to_str().unwrap();
    let short = &id[id.len() - 4..];
    let shown = sandbox.json(&format!("show {short} --format json"));
    assert_eq!(shown["run"]["run_id"], id);
    assert_eq!(shown["trials"][0]["state"], "done");
    let text = sandbox.output("show");
    for part in ["zennas on superres", "reads no images", "all-positive", "T0001"] {
        assert!(text.contains(part), "{text}");
    }
    let runs = sandbox.json("runs --format json");
    assert_eq!((&runs[0]["id"], &runs[0]["status"]), (&Value::from(short), &Value::from("done")));
    assert!(sandbox.output("runs").contains(id));
}

#[test]
fn a_solver_counts_for_the_resolution_that_the_user_chooses() {
    let sandbox = Sandbox::default();
    let run = sandbox.run(
        "run --plugin deepmad -s data.size=48 -s search.anneal.restarts=1 -s search.anneal.steps=20000 \
         -s train.resolution=48 -s train.epochs=1 -s eval.bootstrap=20 --device cpu --seeds 1",
    );
    assert_eq!(run.column("trials.csv", "state"), ["done"]);
}

#[test]
fn seeds_are_trials_and_json_is_one_document() {
    let sandbox = Sandbox::default();
    let summary = sandbox.json(&format!("{SMALL} -s data.region=elbow --seeds 1..2 --format json"));
    assert_eq!(metric(&summary, "baselines", "commonest-finding", "subset_accuracy"), 0.27811);
    assert_eq!(metric(&summary, "baselines", "all-positive", "macro_f1"), 0.17707);
    assert_eq!(summary["methods"][0]["seeds"], 2);
    let run = sandbox.latest();
    assert_eq!(run.json("summary.json"), summary);
    assert_eq!(run.column("trials.csv", "seed"), ["1", "2"]);
    assert!(run.bytes("predictions/T0001_test.csv") != run.bytes("predictions/T0002_test.csv"));
}

#[test]
fn a_dry_run_writes_nothing() {
    let sandbox = Sandbox::default();
    assert!(sandbox.output(&format!("{ZENNAS} --dry-run")).contains("zennas"));
    sandbox.json(&format!("{ZENNAS} --dry-run --format json"));
    assert!(sandbox.contents(".").is_empty());
}

#[test]
fn locked_runs_take_pinned_plugins_only() {
    let sandbox = Sandbox::default();
    let line = format!("{ZENNAS} --dry-run --locked");
    sandbox.nashost(&line).assert().code(4).stderr(contains("E0401").and(contains("nashost plugin trust")));
    sandbox.output("plugin trust");
    sandbox.output(&line);
    let lock = fs::read_to_string(sandbox.path("nashost-plugins.lock")).unwrap();
    let other = lock.replace("sha256 = \"", "sha256 = \"0").replace("0\"\nsize", "\"\nsize");
    fs::write(sandbox.path("nashost-plugins.lock"), other).unwrap();
    sandbox.nashost(&line).assert().code(4).stderr(contains("is not the pinned"));
}

#[test]
fn checkpoints_carry_torchvisions_names_and_start_other_runs() {
    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    let line = Set::RUN.replace("superres", "resnet") + " -s arch.depth=18";
    let run = sandbox.run(&line);
    let tensors = run.tensors("ckpt/T0001/last.safetensors");
    // 20 convolutions, 20 normalisations of five tensors, one classifier of two.
    assert_eq!(tensors.len(), 122);
    assert_eq!(tensors["conv1.weight"], [64, 3, 7, 7]);
    assert_eq!(tensors["layer2.0.downsample.0.weight"], [128, 64, 1, 1]);
    assert_eq!(tensors["layer4.1.bn2.running_var"], [512]);
    assert_eq!(tensors["fc.weight"], [2, 512]);
    let pretrained = run.file("ckpt/T0001/last.safetensors");
    let tuned = sandbox.run(&format!("{line} -s train.pretrained={}", pretrained.display()));
    assert!(
        tuned.bytes("predictions/T0001_test.csv") != run.bytes("predictions/T0001_test.csv"),
        "the second training starts elsewhere"
    );
}

#[test]
fn a_path_that_is_not_utf_8_goes_into_the_record_as_far_as_it_can() {
    let sandbox = Sandbox::default();
    let mut command = sandbox.nashost(SMALL);
    for plugin in SHIPPED.map(library) {
        command.arg("--plugin-path").arg(plugin);
    }
    command.arg("--plugin-path").arg(OsStr::from_bytes(b"more\xff")).assert().success();
    let provenance = sandbox.latest().json("provenance.json");
    let words = provenance["command"].as_array().unwrap();
    assert_eq!(words.last().unwrap(), "more\u{fffd}", "{provenance}");
}

/// Starts a training that would take very long, and waits until its first epoch is on disk.
fn long_run(sandbox: &Sandbox) -> Child {
    Set::write(sandbox.path("set"));
    let line = Set::RUN.replace("train.epochs=1", "train.epochs=1000000");
    let mut command = process();
    command.current_dir(sandbox.path(".")).args(line.split_whitespace());
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let epochs = sandbox.path("runs/latest/epochs.csv");
    while !fs::read_to_string(&epochs).is_ok_and(|text| text.lines().count() > 1) {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

#[test]
fn a_stopped_run_keeps_what_it_has_and_reads_as_interrupted() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("USR1", 143)] {
        let sandbox = Sandbox::default();
        let mut child = long_run(&sandbox);
        assert_eq!(sandbox.json("runs --format json")[0]["status"], "running");
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(code), "SIG{name}");
        assert_eq!(sandbox.json("runs --format json")[0]["status"], "interrupted");
        let run = sandbox.latest();
        let kept = fs::read_dir(run.file("ckpt/T0001")).unwrap().map(|entry| entry.unwrap().file_name());
        let best =
            kept.map(|name| name.into_string().unwrap()).find(|name| name.starts_with("best-macro-f1-"));
        assert!(!run.tensors(&format!("ckpt/T0001/{}", best.unwrap())).is_empty());
        tables_are_functions_of_the_events_so_far(&run);
        assert!(sandbox.output("show").contains("interrupted"));
    }
}

fn tables_are_functions_of_the_events_so_far(run: &Run) {
    let before = run.bytes("epochs.csv");
    tables::rebuild(&RunDir::open(run.0.to_str().unwrap(), Path::new(".")).unwrap()).unwrap();
    assert!(run.bytes("epochs.csv") == before);
}
