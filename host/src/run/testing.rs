//! A small run for tests, with every kind of event.

use std::{collections::BTreeMap, path::PathBuf};

use nashost_export::Normalisation;
use nashost_plugin_api::{
    architecture::Geometry,
    dataset::{DatasetInfo, Part},
    graph::{Graph, Initialization, Node, Op},
    metric::{Direction, MetricReport, MetricValue, OutputInfo, Score},
    strategy::{Ranked, SearchResult},
};
use serde_json::json;

use super::{
    claim::Ending,
    events::{
        Baseline, Budget, Candidate, DataReady, OneShotPlanned, OneShotStep, PartCounts, PluginIdentity,
        PortableArchitecture, Record, RunEvent, RunStarted, SearchStarted, SplitMade, VERSION,
    },
    time::Timestamp,
    trial::{CheckpointReport, ComponentRef, EpochReport, FailureKind, TestReport, TrialEvent, TrialRequest},
};
use crate::config::train::{EvalConfig, TrainConfig};

pub(crate) const RUN_ID: &str = "2026-09-01T10-22-07_neck_7f3a";
const GEOMETRY: Geometry = Geometry { input: [1, 64, 64], outputs: 2 };

pub(crate) fn record(seq: u64, event: RunEvent) -> Record {
    let time = Timestamp::from_millis(1_788_258_127_000 + seq * 1500).unwrap();
    Record { v: VERSION, seq, time, event }
}

fn component(id: &str, config: serde_json::Value) -> ComponentRef {
    ComponentRef { id: id.to_owned(), config }
}

pub(crate) fn candidate(id: u64, value: f64) -> Candidate {
    Candidate {
        id,
        spec: json!({"blocks": [1, id], "stem": 0.1}),
        origin: "initial".to_owned(),
        value: Some(value),
        spread: Some(0.01),
        seconds: 0.25,
        rejected: None,
        why: None,
        costs: BTreeMap::from([("params".to_owned(), 1000.0)]),
    }
}

/// Single values; those without a value say why.
pub(crate) fn report(values: impl IntoIterator<Item = (String, Option<f64>)>) -> MetricReport {
    let value = |v: Option<f64>| {
        v.map_or_else(|| MetricValue::undefined(0, "one class"), |v| MetricValue::new(v, 20))
    };
    MetricReport {
        overall: values.into_iter().map(|(name, v)| (name, value(v))).collect(),
        per_label: BTreeMap::new(),
    }
}

/// Macro F1 over two labels, and an AUROC that the second one has not.
pub(crate) fn metrics(f1: f64) -> MetricReport {
    let mut report = report([("macro_f1".to_owned(), Some(f1)), ("macro_auroc".to_owned(), None)]);
    report.per_label = BTreeMap::from([
        ("f1".to_owned(), vec![MetricValue::new(f1, 9), MetricValue::new(f1 / 2.0, 0)]),
        ("auroc".to_owned(), vec![MetricValue::new(0.75, 9), MetricValue::undefined(0, "no positive")]),
    ]);
    report
}

pub(crate) fn epoch(epoch: u32, train_loss: f64) -> EpochReport {
    EpochReport {
        epoch,
        train_loss,
        val_loss: 0.1 + 0.2,
        lr: 1e-3,
        val: metrics(f64::from(epoch) / 4.0),
        train_seconds: 1.5,
        val_seconds: 0.5,
    }
}

pub(crate) fn request(trial: u32, attempt: u32) -> TrialRequest {
    TrialRequest {
        run_id: RUN_ID.to_owned(),
        trial,
        attempt,
        method: "zennas".to_owned(),
        architecture: component("superres", json!({"space": "plain"})),
        spec: candidate(1, 0.0).spec,
        geometry: GEOMETRY,
        dataset: component("phantom", json!({"set": "neck"})),
        split_hash: "c0ffee".to_owned(),
        train: TrainConfig::default(),
        eval: EvalConfig::default(),
        seed: u64::from(trial),
        device: "cpu".to_owned(),
        threads: 2,
    }
}

pub(crate) fn queued(trial: u32, attempt: u32) -> RunEvent {
    RunEvent::TrialQueued { request: Box::new(request(trial, attempt)), architecture: "a1b2".to_owned() }
}

pub(crate) fn trial(trial: u32, attempt: u32, report: TrialEvent) -> RunEvent {
    RunEvent::Trial { trial, attempt, report }
}

pub(crate) fn finished(f1: f64) -> TrialEvent {
    TrialEvent::Finished(TestReport {
        checkpoint: checkpoint(),
        thresholds: vec![0.5, 0.25],
        frozen: "f00d".to_owned(),
        test: metrics(f1),
        intervals: BTreeMap::from([("macro_f1".to_owned(), [f1 - 0.125, f1 + 0.125])]),
        predictions: PathBuf::from("predictions/T0001_test.csv"),
    })
}

fn checkpoint() -> CheckpointReport {
    CheckpointReport {
        kind: "best-macro-f1".to_owned(),
        epoch: 2,
        path: PathBuf::from("ckpt/T0001/best-macro-f1.safetensors"),
        sha256: "5a".to_owned(),
        value: Some(0.22),
    }
}

fn architecture() -> PortableArchitecture {
    PortableArchitecture {
        schema_version: 1,
        id: "a1b2".to_owned(),
        space: component("superres", json!({"space": "plain"})),
        space_version: "0.1.0".to_owned(),
        spec: candidate(1, 0.0).spec,
        geometry: GEOMETRY,
        params: 4,
        macs: 2,
        counters: BTreeMap::from([("official.params".to_owned(), 4.0)]),
        scores: BTreeMap::from([(
            "zen-score".to_owned(),
            Score { value: Some(2.5), spread: None, repeats: 1, seconds: 0.25, why: None },
        )]),
        graph: Graph {
            schema: 1,
            input: GEOMETRY.input,
            initialization: Initialization::default(),
            nodes: vec![
                Node { name: "pool".to_owned(), op: Op::GlobalAveragePool, inputs: vec!["input".to_owned()] },
                Node { name: "flat".to_owned(), op: Op::Flatten, inputs: vec!["pool".to_owned()] },
                Node {
                    name: "fc".to_owned(),
                    op: Op::Gemm { out_features: 2, bias: true },
                    inputs: vec!["flat".to_owned()],
                },
            ],
            output: "fc".to_owned(),
            features: "pool".to_owned(),
            auxiliary: None,
        },
    }
}

fn started() -> RunStarted {
    let output = |name: &str, per_label| OutputInfo {
        name: name.to_owned(),
        direction: Direction::Higher,
        per_label,
        description: String::new(),
    };
    RunStarted {
        run_id: RUN_ID.to_owned(),
        name: "neck".to_owned(),
        nashost: "0.1.0".to_owned(),
        libtorch: "2.11.0".to_owned(),
        config_sha256: "c0".to_owned(),
        seeds: vec![1, 2],
        device: "cpu".to_owned(),
        host: "node1".to_owned(),
        plugins: vec![PluginIdentity {
            id: "zennas".to_owned(),
            version: "0.3.0".to_owned(),
            sha256: "9c".to_owned(),
            abi: "1.0".to_owned(),
            components: vec!["zennas".to_owned(), "zen-score".to_owned()],
        }],
        metrics: vec![output("macro_f1", false), output("macro_auroc", false), output("f1", true)],
    }
}

fn data() -> [RunEvent; 2] {
    let counts = |images, positives: [u64; 2]| PartCounts {
        images,
        groups: images,
        positives: positives.to_vec(),
        assessed: vec![images; 2],
    };
    [
        RunEvent::DataReady(DataReady {
            dataset: component("phantom", json!({"set": "neck"})),
            info: DatasetInfo {
                labels: vec!["Fracture".to_owned(), "Dislocation, \"old\"".to_owned()],
                normal_label: None,
                channels: 1,
                source: "generated".to_owned(),
            },
            images: 140,
            resolution: 64,
            fingerprint: "fee1".to_owned(),
            normalisation: Some(Normalisation { mean: vec![0.4], std: vec![0.2] }),
            cached: false,
            seconds: 0.5,
        }),
        RunEvent::SplitMade(SplitMade {
            hash: "c0ffee".to_owned(),
            source: "stratified".to_owned(),
            parts: BTreeMap::from([
                (Part::Train, counts(100, [40, 3])),
                (Part::Val, counts(20, [9, 1])),
                (Part::Test, counts(20, [9, 0])),
            ]),
        }),
    ]
}

/// The beginning of a run with a one-shot search, and that search.
pub(crate) fn one_shot() -> Vec<RunEvent> {
    let mut events: Vec<RunEvent> =
        run().into_iter().take_while(|event| !matches!(event, RunEvent::SearchStarted(_))).collect();
    for event in search() {
        match event {
            RunEvent::SearchStarted(started) => {
                events.push(RunEvent::SearchStarted(SearchStarted {
                    metric: None,
                    uses_data: true,
                    ..started
                }));
                events.push(RunEvent::OneShotPlanned(OneShotPlanned {
                    roles: "folds of the training part take turns".to_owned(),
                    details: json!({"folds": 4}),
                }));
                events.extend([one_shot_step(1), one_shot_step(2)]);
            }
            RunEvent::SearchFinished { result, seconds, .. } => {
                let details = Some(json!({"alphas": [0.5, -0.25]}));
                events.push(RunEvent::SearchFinished { result, seconds, details });
            }
            _ => {}
        }
    }
    events
}

pub(crate) fn one_shot_step(step: u64) -> RunEvent {
    RunEvent::OneShotStep(OneShotStep {
        step,
        phase: "weights".to_owned(),
        epoch: step,
        numbers: BTreeMap::from([("loss".to_owned(), 0.5 / step.max(1) as f64)]),
        seconds: 1.5,
    })
}

fn search() -> Vec<RunEvent> {
    let rejected = Candidate {
        value: None,
        spread: None,
        rejected: Some("params".to_owned()),
        origin: "mutation of 0".to_owned(),
        ..candidate(2, 0.0)
    };
    let ranked = Ranked { spec: candidate(1, 0.0).spec, value: 2.5, id: 1, reason: "best".to_owned() };
    vec![
        RunEvent::SearchStarted(SearchStarted {
            strategy: component("zennas", json!({"evaluations": 3})),
            space: component("superres", json!({"space": "plain"})),
            metric: Some(component("zen-score", json!({}))),
            direction: Direction::Higher,
            uses_data: false,
            seed: 7,
            geometry: GEOMETRY,
            budgets: vec![Budget { kind: "params".to_owned(), max: 1e6 }],
        }),
        RunEvent::Candidate(candidate(0, 1e-7)),
        RunEvent::Candidate(candidate(1, 2.5)),
        RunEvent::Candidate(rejected),
        RunEvent::SearchFinished {
            result: SearchResult {
                ranked: vec![ranked],
                steps: 3,
                rejected: BTreeMap::from([("params".to_owned(), 1)]),
            },
            seconds: 0.75,
            details: None,
        },
    ]
}

/// The events of a run with a search, a trial that ends well, one that fails, and a baseline.
pub(crate) fn run() -> Vec<RunEvent> {
    let mut events = vec![
        RunEvent::RunStarted(started()),
        RunEvent::Warning { message: "this plugin reads no images".to_owned() },
    ];
    events.extend(data());
    events.extend(search());
    events.extend([
        RunEvent::ArchitectureReady(Box::new(architecture())),
        queued(1, 1),
        queued(2, 1),
        trial(1, 1, TrialEvent::Started { params: 4, macs: 2 }),
        trial(1, 1, TrialEvent::Epoch(epoch(1, 0.7))),
        trial(1, 1, TrialEvent::Epoch(epoch(2, 0.6))),
        trial(1, 1, TrialEvent::Checkpoint(checkpoint())),
        trial(1, 1, finished(0.25)),
        trial(2, 1, TrialEvent::Started { params: 4, macs: 2 }),
        trial(
            2,
            1,
            TrialEvent::Failed {
                kind: FailureKind::Failed,
                code: "E0601".to_owned(),
                message: "loss is NaN".to_owned(),
            },
        ),
        RunEvent::Baseline(Baseline {
            name: "all-positive".to_owned(),
            test: metrics(0.5),
            intervals: BTreeMap::new(),
        }),
        RunEvent::RunFinished { ending: Ending::Done, failure: None },
    ]);
    events
}
