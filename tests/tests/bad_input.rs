//! Bad input: what is said, with which exit code, and that nothing already written is harmed.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::{fs, process::Stdio};

use nashost_tests::{Sandbox, Set, process};

/// A sandbox with an image set and a finished run, which must stay as they are.
struct Harmed {
    sandbox: Sandbox,
    runs: std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>,
}

impl Harmed {
    fn new() -> Self {
        let sandbox = Sandbox::default();
        Set::write(sandbox.path("set"));
        sandbox.run(Set::RUN);
        let runs = sandbox.contents("runs");
        Self { sandbox, runs }
    }

    /// Runs `line`, which must be refused before a run directory is made.
    fn refused(&self, line: &str, exit: i32, texts: &[&str]) {
        let output = self.sandbox.nashost(line).assert().code(exit).stdout("").get_output().stderr.clone();
        let said = String::from_utf8(output).unwrap();
        for text in texts {
            assert!(said.contains(text), "`{text}` is missing in:\n{said}");
        }
        assert!(self.sandbox.contents("runs") == self.runs, "{line} changed the runs");
    }

    /// Refuses a set that `change` spoils.
    fn spoilt(&self, change: impl FnOnce(&Set), texts: &[&str]) {
        let set = Set::write(self.sandbox.path("spoilt"));
        change(&set);
        self.refused(&Set::RUN.replace("data.root=set", "data.root=spoilt"), 2, texts);
    }
}

#[test]
fn spoilt_image_sets_are_refused_with_file_and_line() {
    let harmed = Harmed::new();
    harmed.spoilt(
        |set| fs::remove_file(set.folder.join("3.png")).unwrap(),
        &["E0300", "train.csv:5: image \"3.png\" does not exist"],
    );
    harmed.spoilt(
        |set| {
            let bytes = fs::read(set.folder.join("3.png")).unwrap();
            fs::write(set.folder.join("3.png"), &bytes[..bytes.len() / 2]).unwrap();
        },
        &["E0302", "1 image cannot be used", "train.csv:5", "3.png\" is damaged"],
    );
    harmed.spoilt(
        |set| set.csv("val", |text| text.replace("ID,", "Image,")),
        &["E0300", "val.csv:1: no column \"ID\" for the ids"],
    );
    harmed.spoilt(
        |set| set.csv("test", |_| "ID,bone,normal\n".to_owned()),
        &["E0300", "test.csv: no images, only a header"],
    );
    harmed.spoilt(
        |set| set.csv("train", |text| text.replace(",0,1", ",1,0")),
        &["E0304", "label \"bone\" has no negative image of part train", "label \"normal\" has no positive"],
    );
    // All problems of the index come at once.
    harmed.spoilt(
        |set| {
            set.csv("train", |text| text.replace("1.png,1,0", "1.png,2,0").replace("2.png,0,1", "2.png,1,1"));
            set.csv("val", |text| text.replace("25.png", "24.png"));
        },
        &[
            "train.csv:3: column \"bone\": value \"2\" is not 0, 1 or blank",
            "train.csv:4: \"normal\" and \"bone\" are both 1",
            "val.csv:3: id \"24.png\" stands already in val.csv:2",
        ],
    );
    harmed.refused(
        &format!("{} -s data.id=IDS", Set::RUN),
        2,
        &["train.csv:1: no column \"IDS\" for the ids (did you mean \"ID\"?)"],
    );
}

#[test]
fn a_split_with_an_empty_part_is_refused() {
    let harmed = Harmed::new();
    let set = Set::write(harmed.sandbox.path("set2"));
    set.csv("train", |text| text.replace('\n', ",train\n").replace("normal,train", "normal,part"));
    let line = Set::RUN.replace("data.root=set", "data.root=set2");
    harmed.refused(
        &format!("{line} -s data.csv=train.csv -s data.split=part"),
        2,
        &["E0303", "no image for the part val and the part test"],
    );
}

#[test]
fn unknown_names_are_refused_with_the_nearest_one() {
    let harmed = Harmed::new();
    for (line, exit, texts) in [
        ("run --plugin zenas", 4, ["E0401", "no plugin `zenas`", "did you mean `zennas`?"]),
        ("run --arch superes", 4, ["E0401", "no architecture `superes`", "did you mean `superres`?"]),
        (
            "run --dataset phantm --arch resnet",
            4,
            ["E0401", "no dataset `phantm`", "did you mean `phantom`?"],
        ),
        (
            "run --arch resnet -s eval.metrics=[\"hamming-los\"]",
            4,
            ["E0401", "no prediction metric `hamming-los`", "did you mean `hamming`?"],
        ),
        (
            "run --arch resnet -s train.learning_rate=1",
            2,
            ["E0203", "unknown key `train.learning_rate`", "did you mean `train.lr`?"],
        ),
        (
            "run --arch resnet -s data.regoin=neck",
            2,
            ["E0203", "unknown key `data.regoin`", "did you mean `data.region`?"],
        ),
    ] {
        harmed.refused(line, exit, &texts);
    }
}

#[test]
fn files_that_are_something_else_are_refused() {
    let harmed = Harmed::new();
    fs::write(harmed.sandbox.path("x.npz"), "not a zip file").unwrap();
    harmed.refused(
        "run --dataset medmnist -s data.path=x.npz --arch resnet",
        2,
        &["E0223", "\"x.npz\" is not an npz file"],
    );
    fs::write(harmed.sandbox.path("split.json"), "{").unwrap();
    harmed.refused(&format!("{} -s split.file=split.json", Set::RUN), 2, &["split.json"]);
    fs::write(harmed.sandbox.path("x.so"), "not a library").unwrap();
    harmed.refused("run --plugin ./x.so", 4, &["E0411", "not a shared library"]);
}

#[test]
fn places_that_cannot_hold_a_run_are_refused() {
    let harmed = Harmed::new();
    fs::write(harmed.sandbox.path("file"), "").unwrap();
    for place in ["file", "file/runs", "/proc/runs"] {
        harmed.refused(
            &format!("{} --out {place}", Set::RUN),
            3,
            &["error[E070", "cannot create the folder"],
        );
    }
}

#[test]
fn asking_for_a_gpu_never_ends_on_the_cpu() {
    if !nashost::device::facts().models.is_empty() {
        println!("skipped: this machine has a GPU");
        return;
    }
    let harmed = Harmed::new();
    let line = format!("{} --device cuda", Set::RUN);
    harmed.refused(&line, 3, &["E0451", "the device `cuda` cannot be used: ", "help: "]);
}

#[test]
fn a_training_that_diverges_fails_its_trial_and_spares_the_rest() {
    let harmed = Harmed::new();
    let line = format!("{} -s train.optimizer=sgd -s train.lr=1e30", Set::RUN);
    let trial = failed_trial(&harmed, &line);
    assert!(trial["failure"].as_str().unwrap().starts_with("E0501: the "), "{trial}");
}

#[test]
fn a_checkpoint_with_other_tensors_is_refused_with_all_of_them() {
    let harmed = Harmed::new();
    let checkpoint = harmed.sandbox.latest().file("ckpt/T0001/last.safetensors");
    let line = Set::RUN.replace("superres", "resnet") + " -s arch.depth=18";
    let trial = failed_trial(&harmed, &format!("{line} -s train.pretrained={}", checkpoint.display()));
    let failure = trial["failure"].as_str().unwrap();
    for text in ["E0802", "conv1.weight", "layer4.1.bn2.weight"] {
        assert!(failure.contains(text), "{failure}");
    }
}

/// Runs `line`, whose only trial must fail, and returns that trial. Its baselines are there all
/// the same, and the earlier run is untouched.
fn failed_trial(harmed: &Harmed, line: &str) -> serde_json::Value {
    harmed.sandbox.nashost(line).assert().code(7);
    let shown = harmed.sandbox.json("show --format json");
    assert_eq!(shown["run"]["status"], "failed");
    assert_eq!(shown["summary"]["failure"]["code"], "E0804");
    assert!(!shown["summary"]["baselines"].as_array().unwrap().is_empty());
    assert_eq!(shown["trials"][0]["state"], "failed");
    let now = harmed.sandbox.contents("runs");
    assert!(harmed.runs.iter().all(|(path, bytes)| now.get(path) == Some(bytes)));
    shown["trials"][0].clone()
}

#[test]
fn a_full_disk_under_standard_output_is_an_error_and_the_run_is_kept() {
    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = process();
    command.current_dir(sandbox.path(".")).args(Set::RUN.split_whitespace());
    let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("error[E0454]: cannot write to standard output"), "{said}");
    assert!(said.contains("is the disk full?"), "{said}");
    assert_eq!(sandbox.latest().json("summary.json")["status"], "done");
}

#[test]
fn text_that_is_nested_without_end_is_refused() {
    let harmed = Harmed::new();
    let nested = |open: &str, close: &str| open.repeat(200_000) + &close.repeat(200_000);
    for (name, text) in [
        ("lists.toml", format!("a = {}\n", nested("[", "]"))),
        ("tables.toml", format!("a = {}\n", nested("{a=", "}"))),
        ("keys.toml", format!("{}a = 1\n", "a.".repeat(200_000))),
        ("lists.json", format!("{{\"a\": {}}}", nested("[", "]"))),
    ] {
        fs::write(harmed.sandbox.path(name), text).unwrap();
        harmed.refused(&format!("{} -c {name}", Set::RUN), 2, &["E0202", "recurs"]);
    }
    fs::write(harmed.sandbox.path("split.json"), nested("[", "]")).unwrap();
    harmed.refused(&format!("{} -s split.file=split.json", Set::RUN), 2, &["split.json"]);
    fs::write(harmed.sandbox.path("nashost-plugins.lock"), format!("plugin = {}", nested("[", "]"))).unwrap();
    harmed.refused("plugin verify", 4, &["E0408", "damaged lock file"]);
}
