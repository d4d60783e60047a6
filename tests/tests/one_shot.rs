//! Strategies that learn from images: the boundary with a real library, and whole searches with the
//! real binary.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    fs,
    process::{Child, Stdio},
    time::Duration,
};

use nashost::{
    device,
    plugin::{Registry, SearchPath, Trust},
};
use nashost_plugin_api::{
    abi::foreign::{CallErrorKind, ForeignStrategy},
    architecture::Geometry,
    component::PluginResult,
};
use nashost_plugin_torch::{ForeignOneShot, ONE_SHOT_V1, OneShotTask, Samples, Targets, gaussian};
use nashost_tests::{Run, SHIPPED, Sandbox, Set, library, process};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::{Value, json};
use tch::Tensor;

const IMAGES: i64 = 10;

/// Ten images, bright ones with the first finding.
struct Noise;

impl Samples for Noise {
    fn targets(&self) -> PluginResult<Targets> {
        let column = Tensor::arange(IMAGES, (tch::Kind::Float, tch::Device::Cpu)).remainder(2.0);
        let targets = Tensor::stack(&[&column, &(1.0 - &column)], 1);
        Ok(Targets { assessed: targets.ones_like(), targets })
    }

    fn images(&mut self, indices: &[i64], augment: Option<u64>) -> PluginResult<Tensor> {
        if indices.iter().any(|index| !(0..IMAGES).contains(index)) {
            return Err("there is no such image".into());
        }
        let images = gaussian(1, &[IMAGES, 3, 4, 4]).index_select(0, &Tensor::from_slice(indices));
        Ok(images + f64::from(u8::from(augment.is_some())))
    }
}

fn learner(config: &Value) -> ForeignStrategy {
    let places = SearchPath { places: vec![library("learner_plugin")] };
    Registry::new(&places, Trust::default(), device::libtorch_abi()).strategy("learner", config).unwrap()
}

fn task() -> OneShotTask {
    OneShotTask {
        geometry: Geometry { input: [3, 4, 4], outputs: 2 },
        labels: vec!["bone".to_owned(), "normal".to_owned()],
        initial: json!({"width": 8}),
        seed: 5,
        device: "cpu".to_owned(),
    }
}

fn grad_enabled() -> bool {
    let weight = Tensor::ones([1], (tch::Kind::Float, tch::Device::Cpu)).set_requires_grad(true);
    (weight * 2.0).requires_grad()
}

#[test]
fn tensors_reach_the_strategy_and_its_state_is_whole() {
    let mut strategy = learner(&json!({"steps": 4}));
    assert!(ForeignOneShot::is(&strategy));
    let mut search = ForeignOneShot::new(&mut strategy).unwrap();
    let plan = search.begin(&task(), &mut Noise).unwrap();
    assert_eq!((plan.roles.as_str(), plan.steps), ("all 10 training images train", Some(4)));
    let first = search.step(&mut Noise).unwrap();
    let start = std::f64::consts::LN_2;
    assert!((first.numbers["loss"] - start).abs() < 1e-6, "logits are 0: {first:?}");
    assert!(search.details().is_err());
    let state = search.strategy().checkpoint().unwrap();
    let rest: Vec<_> = (0..3).map(|_| search.step(&mut Noise).unwrap()).collect();
    assert!(rest[2].finished && !rest[1].finished);
    let details = search.details().unwrap();
    let result = strategy.result().unwrap();
    assert_eq!(result.ranked[0].spec, task().initial);

    let mut strategy = learner(&json!({"steps": 4}));
    let mut again = ForeignOneShot::new(&mut strategy).unwrap();
    again.begin(&task(), &mut Noise).unwrap();
    again.strategy().restore(&state).unwrap();
    for step in rest {
        assert_eq!(again.step(&mut Noise).unwrap(), step);
    }
    assert_eq!(again.details().unwrap(), details);
}

#[test]
fn failures_are_typed_and_leave_gradients_on() {
    let step = |config: Value| {
        let mut strategy = learner(&config);
        let mut search = ForeignOneShot::new(&mut strategy).unwrap();
        search.begin(&task(), &mut Noise).unwrap();
        let error = search.step(&mut Noise).unwrap_err();
        assert!(grad_enabled());
        (error, search.step(&mut Noise).map_err(|e| e.kind))
    };
    let (error, next) = step(json!({"panic_at": 1}));
    assert_eq!(error.kind, CallErrorKind::Panicked);
    assert!(error.message.contains("told to panic in step 1"), "{error}");
    assert_eq!(next.unwrap_err(), CallErrorKind::Poisoned);
    let (error, _) = step(json!({"nan_at": 1}));
    assert_eq!((error.kind, error.message.as_str()), (CallErrorKind::Malformed, "`loss` is NaN"));
    let (error, next) = step(json!({"beyond_at": 1}));
    assert_eq!((error.kind, error.message.as_str()), (CallErrorKind::Failed, "there is no such image"));
    assert_eq!(next.unwrap_err(), CallErrorKind::Failed, "an error does not poison");
}

#[test]
fn other_strategies_are_not_one_shot() {
    let places = SearchPath { places: vec![library("evil_plugin")] };
    let registry = Registry::new(&places, Trust::default(), device::libtorch_abi());
    let mut strategy = registry.strategy("evil-strategy", &json!({})).unwrap();
    assert!(!ForeignOneShot::is(&strategy));
    let error = ForeignOneShot::new(&mut strategy).err().unwrap();
    assert_eq!(error.kind, CallErrorKind::Unsupported);
    assert!(error.message.contains(ONE_SHOT_V1));
}

/// A search by the test's own strategy, and a small training.
const SEARCH: &str =
    "-s search.plugin=learner -s search.steps=40 --device cpu -s train.augmentation.shift=0.1";

fn command(sandbox: &Sandbox, line: &str) -> assert_cmd::Command {
    let mut command = sandbox.nashost(line);
    command.env("NASHOST_PLUGIN_PATH", plugins());
    command
}

fn plugins() -> std::ffi::OsString {
    let names = SHIPPED.into_iter().chain(["learner_plugin"]);
    std::env::join_paths(names.map(library)).unwrap()
}

fn spawn(sandbox: &Sandbox, line: &str) -> Child {
    let mut command = process();
    command.current_dir(sandbox.path("")).args(line.split_whitespace());
    command.env("NASHOST_PLUGIN_PATH", plugins());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn steps(sandbox: &Sandbox) -> usize {
    let events = fs::read_to_string(sandbox.path("runs/latest/events.jsonl")).unwrap_or_default();
    events.matches("\"one-shot-step\"").count()
}

/// Waits until `count` steps are recorded.
fn wait_for(sandbox: &Sandbox, child: &mut Child, count: usize) {
    for _ in 0..6000 {
        if steps(sandbox) >= count {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "the run ended after {} steps", steps(sandbox));
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("no {count} steps in half a minute");
}

fn details(run: &Run) -> (Value, Vec<String>) {
    (run.json("one-shot.json")["details"].clone(), run.column("steps.csv", "loss"))
}

#[test]
fn a_search_that_is_killed_and_stopped_comes_to_the_same_bits() {
    let undisturbed = Sandbox::default();
    Set::write(undisturbed.path("set"));
    command(&undisturbed, &format!("{} {SEARCH}", Set::RUN))
        .assert()
        .success()
        .stderr(contains("note: the search reads images: all 24 training images train"));
    let whole = undisturbed.latest();
    let summary = whole.json("summary.json");
    assert_eq!((&summary["search"]["steps"], &summary["search"]["uses_data"]), (&json!(40), &json!(true)));
    assert_eq!(summary["search"]["metric"], "learner");

    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    // Killed in the middle, before anything is saved; then stopped, which saves; then killed again.
    let mut child = spawn(&sandbox, &format!("{} {SEARCH} -s search.pause=20", Set::RUN));
    wait_for(&sandbox, &mut child, 5);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = spawn(&sandbox, "resume");
    wait_for(&sandbox, &mut child, 15);
    let stop = ["-INT", &child.id().to_string()];
    assert_cmd::Command::new("kill").args(stop).assert().success();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let made = steps(&sandbox);
    assert!((15..40).contains(&made), "{made}");
    let saved = sandbox.latest().file(&format!("search.{made}.state"));
    assert!(saved.is_file(), "stopping saves");
    let mut child = spawn(&sandbox, "resume");
    wait_for(&sandbox, &mut child, made + 2);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(saved.is_file());
    command(&sandbox, "resume").assert().success();
    let run = sandbox.latest();
    assert_eq!(details(&run), details(&whole));
    assert_eq!(run.table("steps.csv").len(), 40, "no step is recorded twice");
    assert!(!saved.exists(), "a state that has served is removed");
    assert_eq!(run.bytes("predictions/T0001_test.csv"), whole.bytes("predictions/T0001_test.csv"));
}

#[test]
fn signals_of_one_moment_are_one_request_and_a_later_one_stops_at_once() {
    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    let mut child = spawn(&sandbox, &format!("{} {SEARCH} -s search.pause=5000", Set::RUN));
    wait_for(&sandbox, &mut child, 1);
    let stop = ["-TERM", &child.id().to_string()];
    let signal = || drop(assert_cmd::Command::new("kill").args(stop).assert().success());
    // From the batch system, and passed on by the process that started this one.
    signal();
    std::thread::sleep(Duration::from_millis(50));
    signal();
    std::thread::sleep(Duration::from_millis(1200));
    assert!(child.try_wait().unwrap().is_none(), "it was stopped in its step");
    let made = steps(&sandbox);
    signal();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(steps(&sandbox), made, "nothing waits for the step");
}

#[test]
fn what_cannot_be_searched_is_refused_in_words() {
    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    let run = |more: &str| command(&sandbox, &format!("{} {SEARCH} {more}", Set::RUN));
    run("-s score.plugin=params").assert().code(2).stderr(contains("E0222").and(contains("has no use")));
    run("-s search.resolution=8")
        .assert()
        .code(2)
        .stderr(contains("E0221").and(contains("search.resolution")));
    run("-s search.least=25")
        .assert()
        .failure()
        .stderr(contains("`learner` failed to begin the search: 24 images are too few"));
    assert_eq!(steps(&sandbox), 0);
    run("-s search.panic_at=3").assert().failure().stderr(contains("told to panic in step 3"));
    assert_eq!(steps(&sandbox), 2);
    let budget = "--set search.budget=[{kind=\"params\",max=1.0}]";
    run(budget).assert().failure().stderr(contains("E0812").and(contains("breaks a budget")));
}

/// A whole run of Shapley-NAS, as small as it can be.
const SHAPLEY: &str = "run --plugin shapleynas --dataset csv-images -s data.root=set --device cpu \
                       -s run.threads=1 -s arch.channels=4 -s arch.layers=3 -s search.channels=4 \
                       -s search.layers=3 -s search.image_size=0 -s search.epochs=3 -s search.warm_up=1 \
                       -s search.batch=8 -s search.value_images=6 -s search.samples=2 -s search.strata=1 \
                       -s search.folds=3 -s search.epoch_images=16 -s train.resolution=16 -s train.epochs=1 \
                       -s eval.bootstrap=20";

#[test]
fn shapley_nas_derives_and_trains_a_network_and_survives_a_kill() {
    let undisturbed = Sandbox::default();
    Set::write(undisturbed.path("set"));
    let whole = undisturbed.run(SHAPLEY);
    let found = whole.json("one-shot.json");
    let summary = whole.json("summary.json");
    assert_eq!(found["details"]["genotype"], summary["search"]["best"]["spec"]["genotype"]);
    assert!(summary["search"]["roles"].as_str().unwrap().starts_with("24 training images in 3 folds"));
    let tables = found["details"]["search"]["alphas"].as_array().unwrap();
    assert_eq!((tables.len(), tables[1].as_array().unwrap().len()), (2, 14));
    assert_eq!(found["details"]["search"]["values"]["error"].as_array().unwrap().len(), 196);
    let page = fs::read_to_string(whole.file("report.html")).unwrap();
    assert_eq!(page.matches("Derived: ").count(), 2, "both cells are drawn");
    assert_eq!(page.matches("In the derived network: ").count(), 16, "two edges for each node of both cells");
    assert!(
        page.contains("Work of the search, by kind of step") && page.contains("Images to value operations")
    );
    let fold: Vec<usize> = found["plan"]["folds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fold| fold.as_array().unwrap().len())
        .collect();
    assert_eq!(fold.iter().sum::<usize>(), 24, "the validation part has no role");

    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    let mut child = spawn(&sandbox, SHAPLEY);
    wait_for(&sandbox, &mut child, 2);
    let stop = ["-INT", &child.id().to_string()];
    assert_cmd::Command::new("kill").args(stop).assert().success();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut child = spawn(&sandbox, "resume");
    wait_for(&sandbox, &mut child, 4);
    child.kill().unwrap();
    child.wait().unwrap();
    command(&sandbox, "resume").assert().success();
    let run = sandbox.latest();
    assert_eq!(details(&run), details(&whole));
    assert_eq!(run.bytes("predictions/T0001_test.csv"), whole.bytes("predictions/T0001_test.csv"));
}

#[test]
fn geometry_that_the_supernet_cannot_have_is_refused_before_the_first_epoch() {
    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    let refuse = |more: &str, why: &str| {
        command(&sandbox, &format!("{SHAPLEY} {more}")).assert().failure().stderr(contains(why));
        assert_eq!(steps(&sandbox), 0);
    };
    refuse("-s train.resolution=18", "multiples of 4");
    refuse("-s search.channels=6", "not divisible");
    refuse("-s search.folds=40", "24 images are too few for 40 folds");
    let dry = format!("{SHAPLEY} --dry-run");
    assert!(sandbox.output(&dry).contains("search on the training images, then train 1 trial(s)"));
}
