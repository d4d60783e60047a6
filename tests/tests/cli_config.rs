//! Configuration and environment, as users meet them: the real binary, its streams, its exit codes.

use std::{fs, io::Read, path::Path, process::Stdio};

use nashost_tests::{binary, nashost};
use predicates::{prelude::PredicateBooleanExt, str::contains};
use serde_json::Value;
use tempfile::TempDir;

fn folder(project: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    fs::write(folder.path().join("neck.toml"), project).expect("the folder is writable");
    folder
}

fn json(command: &mut assert_cmd::Command) -> Value {
    let output = command.assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).expect("exactly one JSON document on standard output")
}

fn origin_of(table: &Value, key: &str) -> (Value, String) {
    let row = table.as_array().expect("a list of rows").iter().find(|row| row["key"] == key).expect(key);
    (row["value"].clone(), row["origin"].as_str().expect("text").to_owned())
}

#[test]
fn flags_beat_set_beats_environment_beats_files() {
    let folder = folder("[run]\nseed = 1\nout = \"a\"\njobs = 1\ndevice = \"cpu\"\n");
    let user = folder.path().join("nashost");
    fs::create_dir(&user).unwrap();
    fs::write(user.join("config.toml"), "[run]\nseed = 9\ncache_dir = \"kept\"\n").unwrap();
    let mut command = nashost();
    command.current_dir(&folder).env("XDG_CONFIG_HOME", folder.path());
    command.env("NASHOST_SEED", "2").env("NASHOST_OUT", "b").env("NASHOST_JOBS", "2");
    command.args(["config", "show", "--origin", "--format", "json", "-c", "neck.toml"]);
    command.args(["--set", "run.out=c", "--set", "run.jobs=3", "--jobs", "4"]);
    let table = json(&mut command);
    assert_eq!(origin_of(&table, "run.device"), ("cpu".into(), "neck.toml:5".into()));
    assert_eq!(origin_of(&table, "run.seed"), (2.into(), "NASHOST_SEED".into()));
    assert_eq!(origin_of(&table, "run.out"), ("c".into(), "--set run.out=c".into()));
    assert_eq!(origin_of(&table, "run.jobs"), (4.into(), "--jobs".into()));
    assert_eq!(origin_of(&table, "train.lr").1, "built-in");
    let (kept, origin) = origin_of(&table, "run.cache_dir");
    assert!(kept == "kept" && origin.ends_with("nashost/config.toml:3"), "{kept} from {origin}");
}

#[test]
fn all_errors_come_at_once_on_standard_error_with_exit_code_2() {
    let folder = folder("[train]\nlearning_rate = 1e-3\n[eval]\nselect_on = \"test\"\n");
    nashost()
        .current_dir(&folder)
        .args(["config", "check", "-c", "neck.toml", "-s", "train.optimizer=adma"])
        .assert()
        .code(2)
        .stdout("")
        .stderr(contains(
            "error[E0203]: neck.toml:2: unknown key `train.learning_rate`\n  help: did you mean `train.lr`?",
        ))
        .stderr(contains("error[E0207]: neck.toml:4: `eval.select_on = \"test\"`"))
        .stderr(contains("error[E0204]: --set train.optimizer=adma:").and(contains("did you mean \"adam\"?")))
        .stderr(contains("3 errors;"))
        .stderr(contains('\u{1b}').not());
}

#[test]
fn the_project_file_is_found_and_a_named_one_must_exist() {
    let folder = folder("");
    fs::write(folder.path().join("nashost.toml"), "name = \"found\"\n").unwrap();
    nashost()
        .current_dir(&folder)
        .args(["config", "show"])
        .assert()
        .success()
        .stdout(contains("name = \"found\""));
    nashost()
        .current_dir(&folder)
        .args(["config", "show", "-c", "absent.toml"])
        .assert()
        .code(2)
        .stderr(contains("error[E0201]: cannot read absent.toml"));
}

#[test]
fn a_shown_configuration_shows_itself_again() {
    let folder =
        folder("name = \"x\"\n[run]\nseeds = \"1..3\"\n[[search.budget]]\nkind = \"params\"\nmax = 1e6\n");
    let show = |file: &str| {
        let mut command = nashost();
        command.current_dir(&folder).args(["config", "show", "-s", "search.plugin=zennas", "-c", file]);
        String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
    };
    let first = show("neck.toml");
    fs::write(folder.path().join("run.toml"), &first).unwrap();
    assert_eq!(show("run.toml"), first);
    assert!(first.contains("seeds = [1, 2, 3]") || first.contains("seeds = [\n"), "{first}");
}

#[test]
fn init_writes_a_template_that_checks_and_overwrites_nothing() {
    let folder = folder("");
    let init = || {
        let mut command = nashost();
        command.current_dir(&folder).args(["config", "init", "--seed", "7"]);
        command
    };
    init().assert().success().stderr(contains("wrote nashost.toml"));
    nashost().current_dir(&folder).args(["config", "check"]).assert().success();
    let text = fs::read_to_string(folder.path().join("nashost.toml")).unwrap();
    assert!(text.contains("\nseed = 7\n") && text.contains("\n# epochs = 15\n"), "{text}");
    init().assert().code(2).stderr(contains("error[E0210]"));
    init().arg("-y").assert().success();
    init().arg("-").assert().success().stdout(text);
}

#[test]
fn the_schema_is_the_committed_one() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/config.schema.json");
    let committed: Value = serde_json::from_str(&fs::read_to_string(committed).unwrap()).unwrap();
    assert_eq!(json(nashost().args(["config", "schema"])), committed);
}

#[test]
fn doctor_tells_the_facts_and_fails_for_a_gpu_that_is_not_there() {
    let folder = folder("");
    let doctor = |arguments: &[&str]| {
        let mut command = nashost();
        command.current_dir(&folder).arg("doctor").args(arguments);
        command
    };
    let facts = json(&mut doctor(&["--format", "json", "--device", "cpu"]));
    let libtorch = facts.as_array().unwrap().iter().find(|fact| fact["name"] == "libtorch").unwrap();
    assert!(libtorch["detail"].as_str().unwrap().starts_with("2.11.0 in "), "{libtorch}");
    doctor(&["--device", "cpu"]).assert().success().stdout(contains("✓ libtorch copies 1 mapped"));
    doctor(&["--device", "cuda:99"]).assert().code(3).stdout(contains("✗ device").and(contains("→")));
    doctor(&["--out", "/proc/nashost"]).assert().code(3).stdout(contains("✗ run folder"));
}

#[test]
fn explain_knows_its_codes() {
    nashost()
        .args(["explain", "e0207"])
        .assert()
        .success()
        .stdout(contains("E0207: selection on the test part"));
    nashost().args(["explain", "E9207"]).assert().code(2).stderr(contains("did you mean `E0207`?"));
    nashost().arg("explain").assert().success().stdout(contains("E0451"));
}

#[test]
fn misspelt_words_are_corrected() {
    nashost().arg("docter").assert().code(2).stderr(contains("did you mean `doctor`?"));
    nashost().args(["config", "shwo"]).assert().code(2).stderr(contains("show"));
    nashost().args(["doctor", "--formt", "json"]).assert().code(2).stderr(contains("--format"));
}

#[test]
fn a_program_on_the_path_is_a_command() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder("");
    let program = folder.path().join("nashost-hello");
    fs::write(&program, "#!/bin/sh\necho \"hello $1\"\nexit 5\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    nashost().env("PATH", path).args(["hello", "you"]).assert().code(5).stdout("hello you\n");
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        nashost().args(["completions", shell]).assert().success().stdout(contains("nashost"));
    }
}

#[test]
fn colours_follow_the_flag() {
    nashost().args(["explain", "E0207", "--color", "always"]).assert().stdout(contains("\u{1b}[1mE0207"));
    nashost().args(["explain", "E0207"]).assert().stdout(contains('\u{1b}').not());
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    let mut command = std::process::Command::new(binary());
    let mut child =
        command.args(["config", "schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(status.success(), "{status}: {errors}");
    assert_eq!(errors, "");
}

#[test]
fn a_full_disk_under_standard_output_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(binary());
    let output = command.args(["config", "schema"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[E0454]"));
}
