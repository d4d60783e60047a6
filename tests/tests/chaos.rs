//! Kills and faults of the disk, with the real binary: a short form of `cargo xtask chaos`.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use nashost_tests::{
    Run, Sandbox, Set,
    chaos::{Chaos, unleash_on_study},
    library,
};
use predicates::str::contains;

#[test]
fn a_run_in_chaos_comes_out_as_in_peace() {
    let chaos = Chaos { line: Chaos::RUN.to_owned(), kills: 6, seed: 3, faults: true, keep: None };
    let tally = chaos.unleash(&mut |_| {});
    assert!(tally.problems.is_empty(), "{}", tally.problems.join("\n"));
    assert!(tally.kills() >= 6 && tally.rounds >= 1, "{}", tally.table());
}

#[test]
fn a_study_in_chaos_comes_out_as_in_peace() {
    let tally = unleash_on_study(4, 5, true, &mut |_| {});
    assert!(tally.problems.is_empty(), "{:#?}", tally.problems);
    assert!(tally.kills() >= 4, "{}", tally.table());
}

/// Takes the newest run up while files in `runs` fail: calls of the given kinds, each of them.
fn resume(sandbox: &Sandbox, kinds: &str) -> assert_cmd::Command {
    let mut command = sandbox.nashost("resume --max-trials 2");
    command
        .env("LD_PRELOAD", library("fault_injection"))
        .env("FAULTS_IN", sandbox.path("runs").canonicalize().unwrap())
        .env("FAULTS_KINDS", kinds)
        .env("FAULTS_RATE", "1000000")
        .env("FAULTS_SEED", "1");
    command
}

fn summary(run: &Run) -> String {
    let id = run.0.file_name().unwrap().to_str().unwrap();
    String::from_utf8(run.bytes("summary.json")).unwrap().replace(id, "RUN")
}

#[test]
fn each_fault_of_a_file_ends_in_its_code_and_the_run_goes_on() {
    let two = format!("{} --seeds 1..2 --device cpu -j 1", Set::RUN);
    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    let peace = summary(&sandbox.run(&two));
    let run = sandbox.run(&format!("{two} --max-trials 1"));
    let before = run.bytes("events.jsonl");
    for (kinds, code, cause) in [
        ("disk-full", "E0703", "No space left on device"),
        ("write-error", "E0704", "Input/output error"),
        ("write-error,truncate-error", "E0704", "Input/output error"),
        ("sync-error", "E0704", "Input/output error"),
        ("rename-error", "E0704", "cannot "),
    ] {
        let refused = resume(&sandbox, kinds).assert().code(3);
        refused.stderr(contains(code)).stderr(contains(cause)).stderr(contains("help:"));
        assert!(run.bytes("events.jsonl").starts_with(&before), "{kinds}");
    }
    // Writes that do less than they should, and a clock that jumps by hours, stop nobody.
    resume(&sandbox, "short-write,clock").assert().success();
    assert_eq!(summary(&run), peace);
    assert_eq!(run.column("trials.csv", "attempt"), ["1", "1"]);
}
