//! Studies: killed, continued, changed, with the real binary.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fs, process::Stdio, time::Duration};

use nashost_tests::{Row, Run, Sandbox, Set, process};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::{Value, json};

/// Two methods and two controls on a small set, with a grid: twelve short runs.
const STUDY: &str = r#"
name = "small"
seeds = [1]

[all.train]
resolution = 16
epochs = 1

[all.eval]
bootstrap = 20

[all.run]
device = "cpu"

[[datasets]]
name = "set"
set = { data = { plugin = "csv-images", root = "set" } }

[[methods]]
name = "zennas"
plugin = "zennas"
set = { search = { iterations = 200, rescore = 2 } }

[[methods]]
name = "plain"
set = { arch = { plugin = "superres" } }

[grid]
"train.lr" = [1e-3, 2e-3]

[controls]
params = false
"#;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    fs::write(sandbox.path("small.toml"), STUDY).unwrap();
    sandbox
}

fn change(sandbox: &Sandbox, from: &str, to: &str) {
    let text = fs::read_to_string(sandbox.path("small.toml")).unwrap();
    assert!(text.contains(from));
    fs::write(sandbox.path("small.toml"), text.replace(from, to)).unwrap();
}

fn finished(sandbox: &Sandbox) -> usize {
    let runs = fs::read_dir(sandbox.path("studies/small/runs")).into_iter().flatten().flatten();
    // `latest` is a link to one of them.
    runs.filter(|run| !run.path().is_symlink() && run.path().join("DONE").exists()).count()
}

#[test]
fn a_study_that_is_killed_goes_on_and_comes_out_the_same() {
    let undisturbed = sandbox();
    undisturbed.nashost("study small.toml -j 2").assert().success();
    let sandbox = sandbox();
    for runs in [1, 4] {
        let mut command = process();
        command.current_dir(sandbox.path("")).args(["study", "small.toml", "-j", "2"]);
        let mut study = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while finished(&sandbox) < runs {
            assert!(study.try_wait().unwrap().is_none(), "the study ended too early");
            std::thread::sleep(Duration::from_millis(10));
        }
        study.kill().unwrap();
        study.wait().unwrap();
    }
    let before = sandbox.contents("studies/small/runs");
    let kept: Vec<_> = before.keys().filter(|path| path.ends_with("DONE")).collect();
    assert!(kept.len() >= 4);
    sandbox
        .nashost("study small.toml -j 1")
        .assert()
        .success()
        .stderr(contains("runs are there already"))
        .stdout(contains("zennas").and(contains("random-zennas (control)")).and(contains("all-positive")));
    let after = sandbox.contents("studies/small/runs");
    for marker in kept {
        let run = marker.parent().unwrap();
        for (path, content) in before.iter().filter(|(path, _)| path.starts_with(run)) {
            assert!(after[path] == *content, "{} was written again", path.display());
        }
    }
    // One finished run per cell, and the same numbers.
    assert_eq!(finished(&sandbox), 8);
    let table = |sandbox: &Sandbox| Run(sandbox.path("studies/small")).bytes("results.csv");
    assert!(table(&sandbox) == table(&undisturbed), "the results differ");
    let trials = Run(sandbox.path("studies/small")).table("trials.csv");
    assert_eq!(trials.len(), 8);
    let value = |row: &Row, column: &str| row[column].parse::<f64>().unwrap();
    assert!(trials.iter().all(|row| value(row, "selecting") == value(row, "val.macro_auroc")));
    let again = sandbox.nashost("study small.toml").assert().success();
    let errors = String::from_utf8(again.get_output().stderr.clone()).unwrap();
    assert!(errors.contains("8 of 8 runs are there already"), "{errors}");
}

#[test]
fn a_study_can_grow_but_not_become_another() {
    let sandbox = sandbox();
    change(&sandbox, "\"train.lr\" = [1e-3, 2e-3]", "\"train.lr\" = [1e-3]");
    change(&sandbox, "name = \"set\"", "name = \"neck\"");
    sandbox.nashost("study small.toml").assert().success();
    change(&sandbox, "seeds = [1]", "seeds = [1, 2]");
    // The published cells stand beside those of a study, whose runs that are left are made first.
    let beside = sandbox.nashost("reproduce study small.toml --format json").assert().success();
    assert!(String::from_utf8_lossy(&beside.get_output().stderr).contains("4 of 8 runs are there already"));
    let beside: Value = serde_json::from_slice(&beside.get_output().stdout).unwrap();
    let cells = beside["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 126);
    let ours = cells.iter().find(|cell| {
        (&cell["site"], &cell["row"], &cell["column"])
            == (&json!("Neck"), &json!("ZenNAS (1)"), &json!("accuracy"))
    });
    let study = Run(sandbox.path("studies/small"));
    let results = study.table("results.csv");
    let is_it = |row: &&Row| row["method"] == "zennas" && row["metric"] == "subset_accuracy";
    let mean: f64 = results.iter().find(is_it).unwrap()["mean"].parse().unwrap();
    assert!((ours.unwrap()["ours"].as_f64().unwrap() - 100.0 * mean).abs() < 1e-9);
    let made = |cell: &&Value| cell["verdict"] != "not made";
    assert!(cells.iter().filter(made).all(|cell| cell["row"].as_str().unwrap().starts_with("ZenNAS")));
    let tables = fs::read_to_string(study.file("tables.md")).unwrap();
    assert!(tables.contains("### Mean accuracy and mean F1 (as in Tables 5 and 6 of the 2023 study)"));
    assert!(fs::read_to_string(study.file("tables.tex")).unwrap().contains("\\toprule"));
    change(&sandbox, "epochs = 1", "epochs = 2");
    sandbox
        .nashost("study small.toml")
        .assert()
        .code(5)
        .stderr(contains("E0912").and(contains("neck.zennas.p0.s1: train.epochs: 1 → 2")));
    assert_eq!(finished(&sandbox), 8);
}

#[test]
fn a_run_that_fails_stops_the_study_unless_it_shall_go_on() {
    let sandbox = sandbox();
    // A weight file that is no weight file: the run fails, its neighbours do not.
    fs::write(sandbox.path("weights.safetensors"), "none").unwrap();
    change(
        &sandbox,
        "set = { arch = { plugin = \"superres\" } }",
        "set = { arch = { plugin = \"resnet\", depth = 18 }, train = { pretrained = \"weights.safetensors\" } }",
    );
    change(&sandbox, "\"train.lr\" = [1e-3, 2e-3]", "\"train.lr\" = [1e-3]");
    let reason = contains("set plain train.lr=0.001 seed 1 FAILED").and(contains("E0916"));
    sandbox.nashost("study small.toml").assert().code(1).stderr(reason);
    assert_eq!(finished(&sandbox), 1, "nothing was started after the failure");
    sandbox.nashost("study small.toml --keep-going").assert().code(1).stderr(contains("1 of 4 runs failed"));
    assert_eq!(finished(&sandbox), 3);
    let summary = Run(sandbox.path("studies/small")).json("summary.json");
    assert_eq!((&summary["done"], &summary["planned"]), (&3.into(), &4.into()));
    assert_eq!(summary["failures"][0]["cell"], "set.plain.p0.s1");
}

#[test]
fn everything_that_is_wrong_is_said_before_anything_starts() {
    let sandbox = sandbox();
    change(&sandbox, "[controls]", "[select]\non = \"test\"\n\n[controls]");
    change(&sandbox, "name = \"plain\"", "name = \"plain method\"");
    let refused = sandbox.nashost("study small.toml").assert().code(2);
    refused.stderr(contains("select.on").and(contains("plain method")).and(contains("2 errors")));
    change(&sandbox, "name = \"plain method\"", "name = \"plain\"");
    change(&sandbox, "name = \"small\"", "name = \"small\"\nmode = \"study\"");
    change(&sandbox, "epochs = 1", "epoch = 1");
    sandbox
        .nashost("study small.toml")
        .assert()
        .code(2)
        .stderr(contains("train.epoch").and(contains("train.epochs")));
    assert!(!sandbox.path("studies").exists());
}

#[test]
fn choosing_by_the_test_part_is_written_on_every_table() {
    let sandbox = sandbox();
    change(&sandbox, "name = \"small\"", "name = \"small\"\nmode = \"study\"");
    change(
        &sandbox,
        "[controls]",
        "[select]\non = \"test\"\n\n[controls]\nrandom = false\nsmall_cnn = false",
    );
    sandbox.nashost("study small.toml").assert().success().stderr(contains("SELECTION ON TEST"));
    let study = Run(sandbox.path("studies/small"));
    for table in ["results.csv", "trials.csv"] {
        assert!(study.column(table, "selected_by").iter().all(|by| by == "test macro_auroc"), "{table}");
    }
    let tables = fs::read_to_string(study.file("tables.md")).unwrap();
    assert_eq!(tables.matches("\nSELECTION ON TEST").count(), tables.matches("### ").count());
    let page = fs::read_to_string(study.file("report.html")).unwrap();
    assert!(page.contains("the test images that their settings were chosen on"));
    assert!(!page.contains("nothing was chosen on"));
}

/// Each fold chooses by its own validation part alone, and what rests on the split alone is averaged over folds.
#[test]
fn folds_choose_for_themselves() {
    let sandbox = sandbox();
    change(&sandbox, "name = \"small\"\nseeds = [1]", "name = \"small\"\nfolds = 3\nseeds = [1, 2]");
    change(&sandbox, "[controls]", "[controls]\nrandom = false\nsmall_cnn = false");
    change(
        &sandbox,
        "[[methods]]\nname = \"zennas\"\nplugin = \"zennas\"\nset = { search = { iterations = 200, rescore = 2 } }\n",
        "",
    );
    sandbox.nashost("study small.toml").assert().success().stderr(contains("runs are not independent"));
    let study = Run(sandbox.path("studies/small"));
    let trials = study.table("trials.csv");
    assert_eq!(trials.len(), 12);
    let number = |row: &Row, column: &str| row[column].parse::<f64>().unwrap();
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let mut tested = Vec::new();
    for fold in ["1", "2", "3"] {
        let of_point = |settings: &str| -> Vec<&Row> {
            trials.iter().filter(|row| row["fold"] == fold && row["settings"] == settings).collect()
        };
        let points = [r#"{"train.lr":0.001}"#, r#"{"train.lr":0.002}"#].map(of_point);
        let values = [0, 1].map(|at| mean(points[at].iter().map(|row| number(row, "selecting")).collect()));
        let chosen = &points[usize::from(values[1] > values[0])];
        tested.extend(chosen.iter().map(|row| number(row, "test.macro_auroc")));
    }
    let results = study.table("results.csv");
    let row = |method: &str, metric: &str| {
        results.iter().find(|row| row["method"] == method && row["metric"] == metric).unwrap().clone()
    };
    let plain = row("plain", "macro_auroc");
    assert!((number(&plain, "mean") - mean(tested)).abs() < 1e-12, "{plain:?}");
    let of_fold = |name: &str| {
        let run = Run(study.file(&format!("runs/{name}")));
        let summary = run.json("summary.json");
        let baselines = summary["baselines"].as_array().unwrap();
        let found = baselines.iter().find(|baseline| baseline["method"] == "all-positive").unwrap();
        found["test"]["macro_f1"]["mean"].as_f64().unwrap()
    };
    let one_of = |fold: &str| &trials.iter().find(|row| row["fold"] == fold).unwrap()["run"];
    let trivial = row("all-positive", "macro_f1");
    assert_eq!(trivial["n"], "3");
    let expected = mean(["1", "2", "3"].map(|fold| of_fold(one_of(fold))).into());
    assert!((number(&trivial, "mean") - expected).abs() < 1e-12, "{trivial:?}");
    // The runs carry the study's names, each point its own, so that nothing is compared with itself.
    let runs: Vec<&str> = trials.iter().map(|row| row["run"].as_str()).collect();
    let compare = sandbox.nashost(&format!("compare --out studies/small/runs {}", runs.join(" "))).assert();
    compare.success().stdout(contains("plain train.lr=0.001").and(contains("plain train.lr=0.002")));
}

#[test]
fn what_would_be_counted_twice_is_refused() {
    let sandbox = sandbox();
    change(&sandbox, "seeds = [1]", "seeds = [1, 2, 1]");
    change(&sandbox, "[1e-3, 2e-3]", "[1e-3, 1e-3]");
    let refused = sandbox.nashost("study small.toml").assert().code(2);
    refused.stderr(contains("`seeds` has 1 twice").and(contains("the grid has the point")));
    change(&sandbox, "seeds = [1, 2, 1]", "seeds = [1]");
    change(&sandbox, "[1e-3, 1e-3]", "[1e-3]");
    change(&sandbox, "name = \"plain\"", "name = \"small-cnn\"");
    let refused = sandbox.nashost("study small.toml").assert().code(2);
    refused.stderr(contains("E0911").and(contains("the name of a method and of a control")));
    assert!(!sandbox.path("studies").exists());
}

#[test]
fn folds_test_every_image_once_and_part_no_patient() {
    let sandbox = sandbox();
    change(&sandbox, "name = \"small\"", "name = \"small\"\nfolds = 4");
    change(&sandbox, "\"train.lr\" = [1e-3, 2e-3]", "\"train.lr\" = [1e-3]");
    change(&sandbox, "[controls]", "[controls]\nrandom = false\nsmall_cnn = false");
    change(
        &sandbox,
        "[[methods]]\nname = \"zennas\"\nplugin = \"zennas\"\nset = { search = { iterations = 200, rescore = 2 } }\n",
        "",
    );
    sandbox.nashost("study small.toml").assert().success();
    let study = Run(sandbox.path("studies/small"));
    let mut tested: Vec<String> = Vec::new();
    for run in fs::read_dir(study.file("runs")).unwrap() {
        let path = run.unwrap().path();
        if path.is_symlink() {
            continue;
        }
        tested.extend(Run(path).column("predictions/T0001_test.csv", "image_id"));
    }
    tested.sort();
    tested.dedup();
    // Two labels make two rows of each image; all 40 images are there.
    assert_eq!(tested.len(), 40);
}

/// Nothing leaks from the test part into training: labels that mean nothing stay unlearnt there.
#[test]
fn shuffled_labels_are_learnt_no_better_than_by_chance() {
    let sandbox = Sandbox::default();
    let line = |labels: &str| {
        format!(
            "run -s arch.plugin=small-cnn -s arch.stages=3 --dataset csv-images -s data.root={labels} \
             -s train.resolution=16 -s train.epochs=12 -s eval.bootstrap=0 --device cpu"
        )
    };
    let auroc = |folder: &str| {
        let run = sandbox.run(&line(folder));
        let test = &run.json("summary.json")["methods"][0]["test"];
        test["macro_auroc"]["mean"].as_f64().unwrap()
    };
    Set::write_many(sandbox.path("honest"), [160, 40, 200], |number| number % 2 == 0);
    // Parity of the number of bits: half of the images, and nothing that shows in them.
    Set::write_many(sandbox.path("shuffled"), [160, 40, 200], |number| number.count_ones() % 2 == 0);
    assert!(auroc("honest") > 0.95);
    // The standard error of an AUROC of 100 against 100 images that are alike is 0.041 (Hanley and
    // McNeil 1982); four of them on either side.
    let shuffled = auroc("shuffled");
    assert!((shuffled - 0.5).abs() < 0.165, "{shuffled}");
}
