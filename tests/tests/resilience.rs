//! Nothing is lost: runs whose processes are killed, hang or starve, with the real binary.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nashost_tests::{Run, Sandbox, library, process};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::Value;

/// A search and several trainings on synthetic images, in about a second each.
const RUN: &str = "run --plugin zennas -s data.region=neck -s data.size=48 -s search.evaluations=40 \
                   -s search.rescore=2 -s search.population=11 -s search.top=2 --seeds 1..2 \
                   -s train.resolution=16 -s train.epochs=3 -s eval.bootstrap=20 --device cpu -j 1";

/// One small training.
const SMALL: &str = "run -s arch.plugin=superres -s data.region=neck -s data.size=48 -s train.resolution=16 \
                     -s train.epochs=1 -s eval.bootstrap=20 --device cpu";

/// One small training whose plugin is the evil one.
const EVIL: &str = "run -s arch.plugin=evil-architecture -s arch.die_in=graph -s data.size=48 \
                    -s train.resolution=16 -s train.epochs=1 -s eval.bootstrap=20 --device cpu";

fn spawn(sandbox: &Sandbox, line: &str) -> Child {
    start(sandbox, line, &mut process())
}

/// Starts `line` with the shipped plugins and `file` as the plugin `name`, in place of a shipped one.
fn spawn_with(sandbox: &Sandbox, line: &str, name: &str, file: &Path) -> Child {
    let shipped = nashost_tests::SHIPPED.into_iter().filter(|shipped| *shipped != name).map(library);
    let plugins = std::env::join_paths(shipped.chain([file.to_owned()])).unwrap();
    start(sandbox, line, process().env("NASHOST_PLUGIN_PATH", plugins))
}

fn start(sandbox: &Sandbox, line: &str, command: &mut Command) -> Child {
    command.current_dir(sandbox.path("")).args(line.split_whitespace());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until the run in `runs` has recorded what `seen` looks for.
fn wait_for(sandbox: &Sandbox, child: &mut Child, seen: impl Fn(&str) -> bool) {
    for _ in 0..6000 {
        let events = fs::read_to_string(sandbox.path("runs/latest/events.jsonl")).unwrap_or_default();
        if seen(&events) {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "the run ended too early: {events}");
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nothing was recorded in a minute");
}

/// `summary.json` without the run's identity.
fn summary(run: &Run) -> String {
    let id = run.0.file_name().unwrap().to_str().unwrap();
    String::from_utf8(run.bytes("summary.json")).unwrap().replace(id, "RUN")
}

/// The events of a run.
fn events(run: &Run) -> Vec<Value> {
    let text = String::from_utf8(run.bytes("events.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn evil(sandbox: &Sandbox, line: &str) -> assert_cmd::Command {
    let mut command = sandbox.nashost(line);
    command.args(["--plugin-path", library("evil_plugin").to_str().unwrap()]);
    // The flag hides the variable, so the shipped ones are named again.
    for shipped in nashost_tests::SHIPPED {
        command.args(["--plugin-path", library(shipped).to_str().unwrap()]);
    }
    command
}

#[test]
fn a_run_killed_again_and_again_comes_out_the_same_and_nothing_is_made_twice() {
    let undisturbed = Sandbox::default();
    let whole = Whole::of(&undisturbed.run(RUN));
    let sandbox = Sandbox::default();
    let moments: [fn(&str) -> bool; 4] = [
        |events| events.contains("\"candidate\""),
        |events| events.contains("search-finished"),
        |events| events.contains("\"event\":\"epoch\""),
        |events| events.matches("\"event\":\"finished\"").count() >= 2,
    ];
    let mut line = RUN.to_owned();
    for moment in moments {
        let mut child = spawn(&sandbox, &line);
        wait_for(&sandbox, &mut child, moment);
        child.kill().unwrap();
        child.wait().unwrap();
        line = "resume".to_owned();
    }
    sandbox.nashost("resume").assert().success();
    let run = sandbox.latest();
    assert_eq!(summary(&run), whole.summary);
    assert_eq!(run.column("search.csv", "value"), whole.candidates);
    let weights = weights(&run);
    assert_eq!(weights.keys().collect::<Vec<_>>(), whole.weights.keys().collect::<Vec<_>>());
    assert!(weights == whole.weights, "the same files hold other bytes");
    // Each trial has one result, each proposal one answer.
    let events = events(&run);
    let count = |name: &str| events.iter().filter(|e| e["event"]["report"]["event"] == name).count();
    assert_eq!(count("finished"), 4);
    let mut ids: Vec<u64> = events.iter().filter_map(|e| e["event"]["id"].as_u64()).collect();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all);
    sandbox.nashost("resume").assert().success().stderr(contains("nothing is left to do"));
}

/// What is compared of an undisturbed run.
struct Whole {
    summary: String,
    candidates: Vec<String>,
    weights: BTreeMap<String, Vec<u8>>,
}

impl Whole {
    fn of(run: &Run) -> Self {
        Self { summary: summary(run), candidates: run.column("search.csv", "value"), weights: weights(run) }
    }
}

/// All files of the four trials' checkpoints.
fn weights(run: &Run) -> BTreeMap<String, Vec<u8>> {
    let folders = (1..=4).map(|trial| run.file(&format!("ckpt/T{trial:04}")));
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    files
        .map(|path| (path.strip_prefix(&run.0).unwrap().display().to_string(), fs::read(&path).unwrap()))
        .collect()
}

/// Sends the worker of `driver` a signal.
fn signal_worker(driver: &Child, signal: &str) {
    let driver = driver.id().to_string();
    let worker = fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.to_owned();
        (parent == driver).then(|| entry.file_name().to_str().unwrap().to_owned())
    });
    assert_cmd::Command::new("kill").args([signal, &worker.unwrap()]).assert().success();
}

/// What the failed attempts of a run say.
fn failures(run: &Run) -> Vec<String> {
    let events = events(run).into_iter().map(|event| event["event"]["report"].clone());
    let failed = events.filter(|report| report["event"] == "failed");
    failed.map(|report| report["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_worker_that_is_sent_a_signal_costs_one_attempt() {
    for (signal, words) in [("-KILL", "SIGKILL"), ("-TERM", "had not asked it to")] {
        let sandbox = Sandbox::default();
        let mut child = spawn(&sandbox, RUN);
        wait_for(&sandbox, &mut child, |events| events.contains("\"event\":\"epoch\""));
        signal_worker(&child, signal);
        assert!(child.wait().unwrap().success(), "{signal}");
        let run = sandbox.latest();
        assert_eq!(run.column("trials.csv", "state"), ["done"; 4], "{signal}");
        let attempts = run.column("trials.csv", "attempt").into_iter().map(|n| n.parse::<u32>().unwrap());
        assert_eq!(attempts.sum::<u32>(), 5, "{signal}: one attempt was lost");
        let failures = failures(&run);
        assert!(failures.len() == 1 && failures[0].contains(words), "{signal}: {failures:?}");
    }
}

#[test]
fn a_second_driver_is_refused_and_a_copied_run_goes_on_elsewhere() {
    let sandbox = Sandbox::default();
    let mut child = spawn(&sandbox, RUN);
    wait_for(&sandbox, &mut child, |events| events.contains("\"event\":\"epoch\""));
    sandbox.nashost("resume").assert().code(3).stderr(contains("E0706").and(contains("in use")));
    child.kill().unwrap();
    child.wait().unwrap();
    let elsewhere = Sandbox::default();
    let run = sandbox.latest();
    let copy = elsewhere.path("moved").join(run.0.file_name().unwrap());
    copy_folder(&run.0, &copy);
    elsewhere.nashost(&format!("resume {}", copy.display())).assert().success();
    assert_eq!(Run(copy).column("trials.csv", "state"), ["done"; 4]);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn what_a_plugin_breaks_ends_in_its_own_state_with_its_last_words() {
    for (death, more, state, words) in [
        ("segfault", "", "crashed", "SIGSEGV"),
        ("garbage", "", "crashed", "what nobody can read"),
        ("hang", "-s run.stall=2s", "timeout", "made no progress for 2s"),
        ("allocate", "-s run.worker_memory=1GiB", "oom", "could not allocate memory"),
    ] {
        let sandbox = Sandbox::default();
        let line = format!("{EVIL} -s arch.death={death} -s run.attempts=2 {more}");
        evil(&sandbox, &line).assert().code(7).stderr(contains(words));
        let run = sandbox.latest();
        let row = &run.table("trials.csv")[0];
        assert_eq!((row["state"].as_str(), row["attempt"].as_str()), (state, "2"), "{death}");
        let failure = events(&run).into_iter().rfind(|e| e["event"]["report"]["event"] == "failed").unwrap();
        let message = failure["event"]["report"]["message"].as_str().unwrap();
        assert!(message.contains("a worker is about to end in graph"), "{death}: {message}");
        let halved = events(&run).iter().any(|e| e["event"]["request"]["train"]["micro_batches"] == 2);
        assert_eq!(halved, death == "allocate", "{death}");
    }
}

#[test]
fn a_plugin_in_a_long_call_is_not_stuck_while_it_tells_of_progress_and_stops_when_it_is_asked() {
    let sandbox = Sandbox::default();
    let line = "run -s arch.plugin=superres -s search.plugin=evil-strategy -s search.wait_for_cancel=true \
                -s score.plugin=params -s data.size=48 -s train.resolution=16 -s eval.bootstrap=20 \
                -s run.stall=6s -s run.attempts=1 --device cpu";
    let mut child = spawn_with(&sandbox, line, "evil_plugin", &library("evil_plugin"));
    wait_for(&sandbox, &mut child, |events| events.contains("search-started"));
    // Twice as long as it may make no progress.
    std::thread::sleep(Duration::from_secs(13));
    assert!(child.try_wait().unwrap().is_none(), "it was taken to be stuck");
    assert_cmd::Command::new("kill").args(["-INT", &child.id().to_string()]).assert().success();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let log = String::from_utf8(sandbox.latest().bytes("log/search.log")).unwrap();
    assert!(log.contains("asked to stop in ask"), "{log}");
}

#[test]
fn a_plugin_that_was_rebuilt_stops_the_run_and_fails_no_trial() {
    let sandbox = Sandbox::default();
    let (file, other) = (sandbox.path("libnashost_superres.so"), sandbox.path("other"));
    fs::copy(library("nashost_superres"), &file).unwrap();
    let original = fs::read(&file).unwrap();
    // What is mapped stays as it is.
    let rebuild = || fs::rename(&other, &file).unwrap();
    fs::write(&other, [&original[..], b"x"].concat()).unwrap();
    let mut child = spawn_with(&sandbox, RUN, "nashost_superres", &file);
    wait_for(&sandbox, &mut child, |events| events.contains("\"event\":\"epoch\""));
    rebuild();
    signal_worker(&child, "-KILL");
    assert_eq!(child.wait().unwrap().code(), Some(5));
    let run = sandbox.latest();
    let failures = failures(&run);
    assert!(failures.len() == 1 && failures[0].contains("SIGKILL"), "{failures:?}");
    assert!(run.file("RUNNING").exists());
    fs::write(&other, &original).unwrap();
    rebuild();
    assert!(spawn_with(&sandbox, "resume", "nashost_superres", &file).wait().unwrap().success());
    assert_eq!(run.column("trials.csv", "state"), ["done"; 4]);
}

#[test]
fn what_changed_is_named_and_refused_unless_it_is_allowed() {
    let sandbox = Sandbox::default();
    let mut child = spawn(&sandbox, RUN);
    wait_for(&sandbox, &mut child, |events| events.contains("\"event\":\"epoch\""));
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = sandbox.nashost("resume -s train.lr=0.5 -s run.jobs=2").assert().code(5);
    refused.stderr(contains("E0805").and(contains("train.lr: ")).and(contains("run.jobs").not()));
    let data = sandbox.nashost("resume -s data.size=56").assert().code(5);
    data.stderr(contains("data.size: 48 → 56").and(contains("data: ")));
    sandbox.nashost("resume -s eval.bootstrap=10 --allow-change eval.bootstrap").assert().success();
    let resumed =
        events(&sandbox.latest()).into_iter().find(|e| e["event"]["type"] == "run-resumed").unwrap();
    assert_eq!(resumed["event"]["changes"], serde_json::json!(["eval.bootstrap: 20 → 10"]));
}

#[test]
fn a_resume_that_is_refused_changes_nothing_and_a_retry_belongs_to_the_new_session() {
    let sandbox = Sandbox::default();
    let segfault = format!("{EVIL} -s arch.death=segfault -s run.attempts=1");
    evil(&sandbox, &segfault).assert().code(7);
    let run = sandbox.latest();
    let (failed, record) = (run.bytes("FAILED"), run.bytes("events.jsonl"));
    let unknown_key = evil(&sandbox, "resume --retry-failed -s bogus=1");
    let changed = evil(&sandbox, "resume --retry-failed -s train.lr=0.5");
    let missing_plugin = sandbox.nashost("resume --retry-failed");
    for (mut command, code) in [(unknown_key, "E0203"), (changed, "E0805"), (missing_plugin, "E0401")] {
        command.assert().failure().stderr(contains(code));
        assert_eq!(run.bytes("FAILED"), failed, "{code}");
        assert!(!run.file("RUNNING").exists() && run.bytes("events.jsonl") == record, "{code}");
    }
    evil(&sandbox, "resume --retry-failed").assert().code(7);
    let kinds: Vec<Value> = events(&run)
        .into_iter()
        .skip(record.split(|byte| *byte == b'\n').count() - 1)
        .map(|event| event["event"]["type"].clone())
        .collect();
    assert_eq!(kinds[..2], ["run-resumed", "trial-queued"], "{kinds:?}");
    assert_eq!(run.column("trials.csv", "attempt"), ["2"]);
}

#[test]
fn budgets_stop_a_run_that_can_go_on() {
    let sandbox = Sandbox::default();
    sandbox.nashost(&format!("{RUN} --max-trials 2")).assert().success().stderr(contains("run.max_trials"));
    let run = sandbox.latest();
    assert_eq!(run.column("trials.csv", "state"), ["done", "done", "queued", "queued"]);
    sandbox.nashost("resume --max-time 1ms").assert().success().stderr(contains("run.max_time"));
    assert_eq!(run.column("trials.csv", "state"), ["done", "done", "queued", "queued"]);
    sandbox.nashost("resume --max-trials 9 --max-time 1h").assert().success();
    assert_eq!(run.column("trials.csv", "state"), ["done"; 4]);
    sandbox.nashost(&format!("{RUN} --max-time 1ms")).assert().code(6).stderr(contains("E0820"));
}

#[test]
fn a_run_repeats_and_rebuilds_and_is_tidied() {
    let sandbox = Sandbox::default();
    let run = sandbox.run(&format!("{RUN} --deterministic"));
    let same = sandbox.json("repeat --format json");
    assert_eq!(same["same"], true, "{same}");
    let before = run.bytes("summary.json");
    for file in ["summary.json", "trials.csv", "times.json"] {
        fs::remove_file(run.file(file)).unwrap();
    }
    let id = run.0.file_name().unwrap().to_str().unwrap().to_owned();
    sandbox.nashost(&format!("rebuild {id}")).assert().success();
    assert_eq!(run.bytes("summary.json"), before);
    fs::write(run.file("ckpt/T0001/.nashost-x.tmp"), "12345").unwrap();
    let listed = sandbox.output(&format!("clean {id} --dry-run"));
    assert!(listed.contains(".nashost-x.tmp"), "{listed}");
    assert!(run.file("ckpt/T0001/.nashost-x.tmp").exists());
    sandbox.nashost(&format!("clean {id} --keep 1")).assert().success();
    let kept = (1..=4).filter(|t| fs::read_dir(run.file(&format!("ckpt/T{t:04}"))).unwrap().next().is_some());
    assert_eq!(kept.count(), 1);
}

#[test]
fn a_run_that_died_before_its_record_began_is_no_trouble() {
    let sandbox = Sandbox::default();
    let folder = sandbox.path("runs/2026-01-01T00-00-00_dead_0001");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("RUNNING"), "").unwrap();
    for events in [false, true] {
        if events {
            fs::write(folder.join("events.jsonl"), "").unwrap();
        }
        sandbox.nashost("resume 0001").assert().code(2).stderr(contains("E0705"));
        sandbox.nashost("clean --dry-run").assert().success();
        assert!(sandbox.output("runs").contains("interrupted"));
    }
}

#[test]
fn a_run_that_died_before_its_tables_were_written_has_them_after_resume() {
    let sandbox = Sandbox::default();
    let run = sandbox.run(SMALL);
    let before = run.bytes("summary.json");
    fs::remove_file(run.file("summary.json")).unwrap();
    fs::rename(run.file("DONE"), run.file("RUNNING")).unwrap();
    sandbox.nashost("resume").assert().success().stderr(contains("nothing is left to do"));
    assert_eq!(run.bytes("summary.json"), before);
    assert!(run.file("DONE").exists() && !run.file("RUNNING").exists());
}
