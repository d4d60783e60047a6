//! The plugin boundary, with real shared libraries: panics, errors, logs, and files that must be
//! refused.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
};

use nashost::{
    error::Error,
    plugin::{Registry, SearchPath, Status, Trust, probe},
};
use nashost_plugin_api::{
    abi::foreign::{CallError, CallErrorKind},
    architecture::Geometry,
    component::{Kind, PluginResult},
    dataset::Target,
    metric::{Direction, Predictions, ScoreContext},
    strategy::SearchContext,
};
use nashost_tests::library;
use serde_json::{Value, json};

const LIBTORCH: Option<u64> = Some(0x020b_0000_0000_0000);

fn registry(places: impl IntoIterator<Item = PathBuf>) -> Registry {
    Registry::new(&SearchPath { places: places.into_iter().collect() }, Trust::default(), LIBTORCH)
}

fn evil() -> Registry {
    registry([library("evil_plugin")])
}

struct Space;

impl SearchContext for Space {
    fn initial(&self) -> PluginResult<Value> {
        Ok(json!({"depth": 1}))
    }

    fn sample(&self, _: u64) -> PluginResult<Value> {
        self.initial()
    }

    fn mutate(&self, spec: &Value, strength: u32, seed: u64) -> PluginResult<Value> {
        Ok(json!({"of": spec, "strength": strength, "seed": seed}))
    }

    fn violation(&self, _: &Value) -> PluginResult<Option<String>> {
        Ok(None)
    }

    fn direction(&self) -> Direction {
        Direction::Lower
    }

    fn seed(&self) -> u64 {
        7
    }
}

const GEOMETRY: Geometry = Geometry { input: [1, 8, 8], outputs: 2 };

/// Calls every function of every kind of component; `config` decides what goes wrong.
fn call(registry: &Registry, function: &str, config: &Value) -> Vec<Result<(), CallError>> {
    let strategy = || registry.strategy("evil-strategy", config).unwrap();
    let architecture = || registry.architecture("evil-architecture", config).unwrap();
    let dataset = || registry.dataset("evil-dataset", config).unwrap();
    let spec = json!({"width": 4});
    macro_rules! twice {
        ($make:ident, |$c:ident| $call:expr) => {{
            #[allow(unused_mut, reason = "only strategies are called through `&mut`")]
            let mut $c = $make();
            vec![$call.map(drop), $call.map(drop)]
        }};
    }
    match function {
        "ask" => twice!(strategy, |s| s.ask(&Space, 1)),
        "tell" => twice!(strategy, |s| s.tell(&[])),
        "checkpoint" => twice!(strategy, |s| s.checkpoint()),
        "restore" => twice!(strategy, |s| s.restore(&[1, 2, 3])),
        "result" => twice!(strategy, |s| s.result()),
        "initial" => twice!(architecture, |a| a.initial()),
        "sample" => twice!(architecture, |a| a.sample(1)),
        "mutate" => twice!(architecture, |a| a.mutate(&spec, 1, 1)),
        "graph" => twice!(architecture, |a| a.graph(&spec, &GEOMETRY)),
        "counters" => twice!(architecture, |a| a.counters(&spec, &GEOMETRY)),
        "describe" => twice!(dataset, |d| d.describe()),
        "records" => twice!(dataset, |d| d.records()),
        "stamp" => twice!(dataset, |d| d.stamp()),
        "pixels" => twice!(dataset, |d| d.pixels(3)),
        "mask" => twice!(dataset, |d| d.mask(3, 0)),
        "evaluate" => {
            let metric = || registry.prediction_metric("evil-prediction-metric", config).unwrap();
            let predictions =
                Predictions { labels: 1, scores: &[0.5], targets: &[Target::Positive], thresholds: &[0.5] };
            twice!(metric, |m| m.evaluate(&predictions))
        }
        "score" => {
            let metric = || registry.architecture_metric("evil-architecture-metric", config).unwrap();
            let context = ScoreContext { geometry: GEOMETRY, device: "cpu".to_owned() };
            twice!(metric, |m| m.score(&[], &context))
        }
        other => panic!("no function {other}"),
    }
}

const FUNCTIONS: [&str; 17] = [
    "ask",
    "tell",
    "checkpoint",
    "restore",
    "result",
    "initial",
    "sample",
    "mutate",
    "graph",
    "counters",
    "describe",
    "records",
    "stamp",
    "pixels",
    "mask",
    "evaluate",
    "score",
];

#[test]
fn a_healthy_plugin_answers_everything() {
    let evil = evil();
    for function in FUNCTIONS {
        for answer in call(&evil, function, &json!({})) {
            answer.unwrap_or_else(|e| panic!("{e}"));
        }
    }
    let request = evil.strategy("evil-strategy", &json!({})).unwrap().ask(&Space, 1).unwrap().remove(0);
    assert_eq!(*request.spec(), json!({"of": {"depth": 1}, "strength": 1, "seed": 7}));
    let image = evil.dataset("evil-dataset", &json!({})).unwrap().pixels(9).unwrap();
    assert_eq!((image.height, image.width, image.data), (2, 3, vec![9; 6]));
}

#[test]
fn a_panic_in_any_function_is_an_error_and_poisons_that_instance_alone() {
    let evil = evil();
    for function in FUNCTIONS {
        let errors = call(&evil, function, &json!({"panic_in": function}));
        let first = errors[0].clone().unwrap_err();
        assert_eq!(first.kind, CallErrorKind::Panicked, "{function}: {first}");
        assert!(first.message.contains(&format!("told to panic in {function}")), "{first}");
        assert!(first.message.contains("lib.rs:"), "the place of the panic is told: {first}");
        assert_eq!(errors[1].clone().unwrap_err().kind, CallErrorKind::Poisoned, "{function}");
        assert!(call(&evil, function, &json!({})).iter().all(Result::is_ok), "{function}");
    }
    let error = evil.dataset("evil-dataset", &json!({"panic_in": "create"})).err().unwrap();
    assert!(error.message.contains("told to panic in create"), "{error}");
    // A panicking destructor must not end the process either.
    drop(evil.dataset("evil-dataset", &json!({"panic_in_drop": true})).unwrap());
}

#[test]
fn an_error_keeps_its_causes_and_does_not_poison() {
    let evil = evil();
    for function in FUNCTIONS {
        let errors = call(&evil, function, &json!({"fail_in": function}));
        for error in errors {
            let error = error.unwrap_err();
            assert_eq!(error.kind, CallErrorKind::Failed);
            assert_eq!(error.message, "this was asked for");
            assert_eq!(error.chain, ["invalid digit found in string"]);
        }
    }
}

#[test]
fn a_wrong_configuration_is_a_usage_error() {
    let error = evil().strategy("evil-strategy", &json!({"panic_at": 1})).err().unwrap();
    assert_eq!((error.code, error.exit as u8), ("E0223", 2));
    assert!(error.message.contains("panic_at"), "{error}");
}

#[test]
fn unknown_components_are_refused_with_the_nearest_name() {
    let error = evil().dataset("evil-datset", &json!({})).err().unwrap();
    assert_eq!((error.code, error.exit as u8), ("E0401", 4));
    assert_eq!(error.help.unwrap(), "did you mean `evil-dataset`?");
}

/// What the host's subscriber saw of plugins: plugin, span, message, fields.
fn log() -> &'static Mutex<Vec<String>> {
    static LOG: OnceLock<Mutex<Vec<String>>> = OnceLock::new();
    LOG.get_or_init(Mutex::default)
}

struct Collect;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Collect {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        #[derive(Default)]
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{}={value:?};", field.name());
            }
        }
        if event.metadata().target() == "plugin" {
            let mut line = Line::default();
            event.record(&mut line);
            log().lock().unwrap().push(line.0);
        }
    }
}

#[test]
fn logs_and_panics_reach_the_hosts_subscriber_with_spans() {
    use tracing_subscriber::prelude::*;
    let subscriber =
        tracing_subscriber::registry().with(Collect).with(tracing::level_filters::LevelFilter::INFO);
    // The level that plugins see is that of the subscriber at the time they are loaded.
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        panic!("another test of this process set a subscriber");
    }
    // A copy has statics of its own, so it is initialised now, whatever other tests loaded.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("libevil.so");
    std::fs::copy(library("evil_plugin"), &file).unwrap();
    let evil = registry([file]);
    let _ = call(&evil, "stamp", &json!({"panic_in": "stamp"}));
    let log = log().lock().unwrap().join("\n");
    assert!(log.contains(r#"plugin="evil""#), "{log}");
    assert!(log.contains(r#"span="evil""#) && log.contains("entering stamp"), "{log}");
    assert!(log.contains(r#"\"answer\":42"#), "{log}");
    assert!(log.contains("told to panic in stamp"), "{log}");
}

/// Writes a copy of the evil plugin with changed bytes and returns what the host says of it.
fn refusal(change: impl FnOnce(&mut Vec<u8>)) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("libpatched.so");
    let mut bytes = std::fs::read(library("evil_plugin")).unwrap();
    change(&mut bytes);
    std::fs::write(&file, bytes).unwrap();
    registry([file]).dataset("evil-dataset", &json!({})).err().expect("the file must be refused")
}

/// Overwrites a field of the boot record, which starts with its magic and its size.
fn boot(offset: usize, value: &[u8]) -> impl FnOnce(&mut Vec<u8>) {
    move |bytes| {
        let record = b"NASHOST\x01\x30\x00\x00\x00";
        let at = bytes.windows(record.len()).position(|w| w == record).expect("the boot record");
        bytes[at + offset..][..value.len()].copy_from_slice(value);
    }
}

fn text(from: &str, to: &str) -> impl FnOnce(&mut Vec<u8>) {
    let (from, to) = (from.as_bytes().to_vec(), to.as_bytes().to_vec());
    assert_eq!(from.len(), to.len());
    move |bytes| {
        let at = bytes.windows(from.len()).position(|w| w == from).expect("the manifest");
        bytes[at..][..to.len()].copy_from_slice(&to);
    }
}

#[test]
fn files_that_do_not_fit_are_refused_in_one_line_with_a_remedy() {
    let cases: [(Error, &str, &str); 6] = [
        (refusal(boot(0, b"MASHOST")), "E0411", "not a nashost one: rebuild it"),
        (refusal(boot(12, &2_u32.to_le_bytes())), "E0412", "has ABI 2, this host has ABI 1: rebuild it"),
        (refusal(boot(16, &0_u32.to_le_bytes())), "E0414", "panic=abort"),
        (refusal(boot(24, &9_u64.to_le_bytes())), "E0413", "built for libtorch ABI 0x0000000000000009"),
        (refusal(text("\"evil-dataset\"", "\"evil-datasex\"")), "E0401", "no dataset `evil-dataset`"),
        (refusal(text("\"abi_major\":1", "\"abi_major\":2")), "E0401", "no dataset `evil-dataset`"),
    ];
    for (error, code, text) in cases {
        assert_eq!((error.code, error.exit as u8), (code, 4), "{error}");
        assert!(error.message.contains(text), "{error}");
        assert_eq!(error.message.lines().count(), 1, "{error}");
    }
}

#[test]
fn the_manifest_tells_why_before_anything_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(library("evil_plugin")).unwrap();
    let write = |name: &str, from: &str, to: &str| {
        let mut bytes = bytes.clone();
        text(from, to)(&mut bytes);
        std::fs::write(dir.path().join(name), bytes).unwrap();
    };
    write("a.so", "\"abi_major\":1", "\"abi_major\":7");
    write("b.so", "\"libtorch\":null,", "\"libtorch\":9876,");
    write("c.so", "\"id\": \"evil\"", "\"id\": \"fine\"");
    std::fs::write(dir.path().join("d.so"), "not a library").unwrap();
    let registry = registry([dir.path().to_owned()]);
    let said: Vec<String> = registry
        .found()
        .iter()
        .map(|found| match &found.status {
            Status::Ok => "ok".to_owned(),
            Status::Incompatible(why) | Status::Broken(why) => why.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(said[0].contains("has ABI 7"), "{said:?}");
    assert!(said[1].contains("manifest is damaged"), "{said:?}");
    assert_eq!(said[2], "ok");
    assert!(said[3].contains("not a shared library"), "{said:?}");
}

#[test]
fn two_plugins_with_one_component_are_an_error_that_names_both() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(library("evil_plugin")).unwrap();
    std::fs::write(dir.path().join("first.so"), &bytes).unwrap();
    text("\"id\": \"evil\"", "\"id\": \"twin\"")(&mut bytes);
    std::fs::write(dir.path().join("second.so"), &bytes).unwrap();
    let error = registry([dir.path().to_owned()]).dataset("evil-dataset", &json!({})).err().unwrap();
    assert_eq!(error.code, "E0405");
    assert!(error.message.contains("first.so") && error.message.contains("second.so"), "{error}");
}

#[test]
fn the_first_of_two_files_with_one_id_wins() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["1.so", "2.so"] {
        std::fs::copy(library("evil_plugin"), dir.path().join(name)).unwrap();
    }
    let registry = registry([dir.path().to_owned()]);
    assert_eq!(registry.found()[0].status, Status::Ok);
    assert!(matches!(&registry.found()[1].status, Status::Shadowed(why) if why.contains("1.so")));
    assert_eq!(registry.ids(Kind::Dataset), ["evil-dataset"]);
}

#[test]
fn files_that_anybody_may_write_are_not_trusted() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("evil.so");
    std::fs::copy(library("evil_plugin"), &file).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o777)).unwrap();
    let registry = registry([file]);
    assert!(matches!(&registry.found()[0].status, Status::Untrusted(why) if why.contains("chmod o-w")));
    assert!(registry.dataset("evil-dataset", &json!({})).is_err());
}

#[test]
fn the_probe_survives_a_plugin_that_crashes_on_load() {
    let file = library("crasher_plugin");
    let mut command = nashost_tests::process();
    command.args(["plugin", "probe"]).arg(&file);
    let error = probe::probe_child(command, &file, probe::TIMEOUT).unwrap_err();
    assert_eq!(error.code, "E0419");
    assert!(error.message.contains("signal 11"), "{error}");
    let mut command = nashost_tests::process();
    command.args(["plugin", "probe"]).arg(library("evil_plugin"));
    let probed = probe::probe_child(command, Path::new("evil"), probe::TIMEOUT).unwrap();
    assert_eq!(probed.components.len(), 5);
    assert_eq!(probed.components[0].config_schema["properties"]["panic_in"]["type"], "string");
}
