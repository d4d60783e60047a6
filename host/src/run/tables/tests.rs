use std::{collections::BTreeSet, fs, path::Path};

use super::*;
use crate::run::{
    Ending, Recorder, RunStatus,
    events::{EventLog, RunEvent},
    testing,
};

/// A finished run in `out` with the events of [`testing::run`].
fn finished(out: &Path) -> RunDir {
    let mut recorder = Recorder::create(RunDir::create(out, "neck").unwrap()).unwrap();
    let dir = recorder.dir().clone();
    let mut events = testing::run();
    events.pop();
    for event in events {
        recorder.record(event).unwrap();
    }
    recorder.finish(Ending::Done, None).unwrap();
    dir
}

const DERIVED: [&str; 8] = [
    "archs/T0001.json",
    "archs/T0002.json",
    "digest.json",
    "epochs.csv",
    "results.csv",
    "search.csv",
    "summary.json",
    "trials.csv",
];

fn csv(run: &RunDir, name: &str) -> Vec<csv::StringRecord> {
    csv::Reader::from_path(run.file(name)).unwrap().records().map(|row| row.unwrap()).collect()
}

fn header(run: &RunDir, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(run.file(name)).unwrap();
    reader.headers().unwrap().iter().map(str::to_owned).collect()
}

fn column(run: &RunDir, name: &str, column: &str) -> Vec<String> {
    let index = header(run, name).iter().position(|c| c == column).expect(column);
    csv(run, name).iter().map(|row| row[index].to_owned()).collect()
}

#[test]
fn every_derived_file_is_rebuilt_byte_for_byte() {
    let out = tempfile::tempdir().unwrap();
    let run = finished(out.path());
    let before: Vec<_> = DERIVED.map(|name| fs::read(run.file(name)).unwrap()).into();
    for name in DERIVED {
        fs::remove_file(run.file(name)).unwrap();
    }
    rebuild(&run).unwrap();
    for (name, before) in DERIVED.iter().zip(&before) {
        assert!(fs::read(run.file(name)).unwrap() == *before, "{name} differs");
    }
    assert_eq!(RunStatus::of(&run).unwrap(), RunStatus::Done, "rebuilding does not change the state");
}

#[test]
fn a_live_run_is_not_rebuilt() {
    let out = tempfile::tempdir().unwrap();
    let recorder = Recorder::create(RunDir::create(out.path(), "neck").unwrap()).unwrap();
    assert_eq!(rebuild(recorder.dir()).unwrap_err().code, "E0706");
}

#[test]
fn every_prefix_of_a_run_has_tables() {
    let out = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::create(RunDir::create(out.path(), "neck").unwrap()).unwrap();
    recorder.write_tables().unwrap();
    for event in testing::run() {
        recorder.record(event).unwrap();
        recorder.write_tables().unwrap();
    }
}

#[test]
fn a_killed_run_is_taken_up_where_it_was() {
    let out = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::create(RunDir::create(out.path(), "neck").unwrap()).unwrap();
    for event in testing::run().into_iter().take(15) {
        recorder.record(event).unwrap();
    }
    let (dir, state) = (recorder.dir().clone(), recorder.state().clone());
    drop(recorder);
    assert_eq!(RunStatus::of(&dir).unwrap(), RunStatus::Interrupted);
    let mut recorder = Recorder::reopen(dir.claim().unwrap()).unwrap();
    assert_eq!(*recorder.state(), state);
    for event in testing::run().into_iter().skip(15) {
        recorder.record(event).unwrap();
    }
    assert_eq!(read(recorder.dir()).unwrap(), *recorder.state());
}

#[test]
fn steps_and_contradictions_are_not_recorded() {
    let out = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::create(RunDir::create(out.path(), "neck").unwrap()).unwrap();
    let mut events = testing::run();
    events.truncate(11);
    for event in events {
        recorder.record(event).unwrap();
    }
    let log = recorder.dir().file(events::FILE);
    let before = fs::read(&log).unwrap();
    let step = crate::run::trial::TrialEvent::Step { epoch: 1, step: 1, steps: 2 };
    recorder.record_trial(1, 1, step).unwrap();
    assert_eq!(recorder.record(testing::queued(1, 7)).unwrap_err().code, "E0710");
    let repeated = vec![testing::candidate(5, 1.0), testing::candidate(5, 1.0)];
    assert_eq!(recorder.record_candidates(repeated).unwrap_err().code, "E0710");
    assert_eq!(fs::read(&log).unwrap(), before);
    recorder.record_candidates(vec![testing::candidate(5, 1.0), testing::candidate(6, 1.0)]).unwrap();
    assert_eq!(recorder.state().search.as_ref().unwrap().candidates, 5);
}

#[test]
fn tables_follow_the_rules() {
    let out = tempfile::tempdir().unwrap();
    let run = finished(out.path());
    for name in ["trials.csv", "epochs.csv", "search.csv", "results.csv"] {
        let text = fs::read_to_string(run.file(name)).unwrap();
        assert!(!text.contains('\r') && text.ends_with('\n'), "{name}");
        assert!(!text.to_lowercase().contains("nan") && !text.contains("inf"), "{name}");
        let header = header(&run, name);
        assert_eq!(header.iter().collect::<BTreeSet<_>>().len(), header.len(), "{name}: {header:?}");
        let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
        assert!(header.iter().all(|c| c.chars().all(snake)), "{name}: {header:?}");
        assert!(csv(&run, name).iter().all(|row| row.len() == header.len()), "{name}");
    }
}

#[test]
fn trials_have_a_row_each_with_configuration_and_result() {
    let out = tempfile::tempdir().unwrap();
    let run = finished(out.path());
    let trials = |name| column(&run, "trials.csv", name);
    assert_eq!(trials("trial"), ["T0001", "T0002"]);
    assert_eq!(trials("run_id"), [testing::RUN_ID; 2], "the recorded identity, not the folder's name");
    assert_eq!(trials("state"), ["done", "failed"]);
    assert_eq!(trials("plugin_version"), ["0.3.0"; 2]);
    assert_eq!(trials("cfg.train.lr"), ["0.001"; 2]);
    assert_eq!(trials("cfg.arch.plugin"), ["superres"; 2]);
    assert_eq!(trials("cfg.search.evaluations"), ["3"; 2]);
    assert_eq!(trials("cfg.train.pretrained"), ["", ""]);
    assert_eq!(trials("score.zen-score"), ["2.5"; 2]);
    assert_eq!(trials("epochs_done"), ["2", "0"]);
    assert_eq!(trials("best_epoch"), ["2", ""]);
    assert_eq!(trials("val.macro_f1"), ["0.5", ""]);
    assert_eq!(trials("test.macro_f1"), ["0.25", ""]);
    assert_eq!(trials("test.macro_auroc"), ["", ""], "undefined is empty");
    assert_eq!(trials("n_test"), ["20"; 2]);
    assert_eq!(trials("train_s"), ["3.0", "0.0"]);
    assert_eq!(trials("gpu_h"), ["", ""]);
    assert_eq!(trials("error_code"), ["", "E0601"]);
}

#[test]
fn epochs_have_a_row_per_part_and_label() {
    let out = tempfile::tempdir().unwrap();
    let run = finished(out.path());
    let epochs = |name| column(&run, "epochs.csv", name);
    let label = "Dislocation, \"old\"";
    assert_eq!(
        epochs("split"),
        ["train", "val", "val", "val", "train", "val", "val", "val", "test", "test", "test"]
    );
    assert_eq!(epochs("label")[..4], ["", "", "Fracture", label]);
    assert_eq!(epochs("support")[..4], ["100", "20", "9", "1"], "images, or positives of the label");
    assert_eq!(epochs("loss")[..4], ["0.7", "0.30000000000000004", "", ""]);
    assert_eq!(epochs("macro_f1")[1], "0.25");
    assert_eq!(epochs("f1")[2..4], ["0.25", "0.125"]);
    assert_eq!(epochs("auroc")[2..4], ["0.75", ""]);
    assert_eq!(epochs("threshold")[8..], ["", "0.5", "0.25"]);
    assert_eq!(epochs("epoch")[8..], ["2"; 3], "the epoch of the checkpoint");
}

#[test]
fn a_metric_named_as_a_column_steps_aside() {
    let mut events = testing::run();
    for event in &mut events {
        if let RunEvent::Trial { report: crate::run::trial::TrialEvent::Epoch(epoch), .. } = event {
            epoch.val.overall.insert("loss".to_owned(), nashost_plugin_api::metric::MetricValue::new(0.9, 1));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let records = EventLog::create(&folder.path().join("e")).unwrap().append(events).unwrap();
    let text = epochs::table(&State::fold(&records).unwrap()).to_csv();
    let mut reader = csv::Reader::from_reader(&text[..]);
    let header = reader.headers().unwrap().clone();
    assert_eq!(header.iter().filter(|c| *c == "loss").count(), 1);
    assert!(header.iter().any(|c| c == "metric.loss"));
}

#[test]
fn searches_have_a_row_per_candidate() {
    let out = tempfile::tempdir().unwrap();
    let run = finished(out.path());
    let search = |name| column(&run, "search.csv", name);
    assert_eq!(search("candidate"), ["0", "1", "2"]);
    assert_eq!(search("value"), ["1e-7", "2.5", ""]);
    assert_eq!(search("best_so_far"), ["1e-7", "2.5", "2.5"]);
    assert_eq!(search("rejected_by"), ["", "", "params"]);
    assert_eq!(search("cost.params"), ["1000.0"; 3]);
    let spec: serde_json::Value = serde_json::from_str(&search("spec")[1]).unwrap();
    assert_eq!(spec, testing::candidate(1, 0.0).spec);
}

#[test]
fn results_put_baselines_beside_methods() {
    let out = tempfile::tempdir().unwrap();
    let run = finished(out.path());
    let results = |name| column(&run, "results.csv", name);
    let rows: Vec<_> = results("kind").into_iter().zip(results("label")).zip(results("metric")).collect();
    assert_eq!(rows.len(), 12, "two overall and two per label, for one method and one baseline: {rows:?}");
    assert_eq!(results("metric")[..2], ["macro_auroc", "macro_f1"]);
    assert_eq!(results("mean")[..2], ["", "0.25"]);
    assert_eq!(results("ci95_low")[..2], ["", "0.125"]);
    assert_eq!(results("why")[0], "one class");
    assert_eq!(results("kind")[6..], ["baseline"; 6]);
    assert_eq!(results("method")[6], "all-positive");
}

#[test]
fn structures_can_be_used_elsewhere() {
    let out = tempfile::tempdir().unwrap();
    let run = finished(out.path());
    let text = fs::read_to_string(run.file("archs/T0001.json")).unwrap();
    let read: events::PortableArchitecture = serde_json::from_str(&text).unwrap();
    let state = super::read(&run).unwrap();
    assert_eq!(read, state.architectures["a1b2"]);
}
