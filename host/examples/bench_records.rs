//! Times commands that look at a hundred thousand recorded trials: `runs` in a folder with as many runs,
//! `compare` over runs with as many trials, and `show` and `report` of a search with as many candidates.
//!
//! Each command is a process of its own, as users start it; this program calls itself for that.

#[expect(dead_code, reason = "commands are timed as processes")]
mod bench;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use bench::{Bench, peak_mib};
use clap::Parser;
use nashost::run::{
    Ending, RunDir,
    digest::Digest,
    events::{
        Candidate, DataReady, EventLog, FILE, PartCounts, PortableArchitecture, RunEvent, RunStarted,
        SearchStarted, SplitMade,
    },
    tables,
    trial::{CheckpointReport, ComponentRef, EpochReport, TestReport, TrialEvent, TrialRequest},
};
use nashost_plugin_api::{
    architecture::Geometry,
    dataset::{DatasetInfo, Part},
    graph::{Graph, Initialization, Node, Op},
    metric::{Direction, MetricReport, MetricValue, OutputInfo},
    strategy::{Ranked, SearchResult},
};
use serde_json::json;

/// Records of a case.
const RECORDS: u32 = 100_000;
/// Runs that share the trials of `compare`.
const RUNS: u32 = 100;
/// Names the file into which a process that is timed writes its peak memory.
const PEAK: &str = "NASHOST_BENCH_PEAK";
const GEOMETRY: Geometry = Geometry { input: [3, 64, 64], outputs: 2 };

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    bench: Bench,
}

fn main() -> anyhow::Result<ExitCode> {
    if let Some(file) = env::var_os(PEAK) {
        let exit = nashost::cli::main();
        fs::write(file, peak_mib()?.to_string())?;
        return Ok(exit);
    }
    let Options { bench } = Options::parse();
    let folder = tempfile::tempdir()?;
    let [folders, trials, search] = ["folders", "trials", "search"].map(|name| folder.path().join(name));
    for index in 0..RECORDS {
        create(&folders, index)?;
    }
    let each = RECORDS / RUNS;
    for index in 0..RUNS {
        let method = ["zennas", "resnet50"][index as usize % 2];
        record(&trials, index, |id| trained(id, method, index / 2 * each..(index / 2 + 1) * each))?;
    }
    let run = record(&search, 0, searched)?;

    let named: Vec<String> = RunDir::list(&trials)?.iter().map(|run| run.short_id().to_owned()).collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let time = |name: &str, out: &Path, words: &[&str]| timed(&bench, name, out, words);
    time("runs, 100,000 runs", &folders, &["runs"])?;
    time("compare, 100,000 trials", &trials, &[&["compare"], &named[..]].concat())?;
    time("show, 100,000 candidates", &search, &["show", run.short_id()])?;
    time("report, 100,000 candidates", &search, &["report", run.short_id()])?;
    Ok(ExitCode::SUCCESS)
}

/// Times a command of the host with the runs of `out`.
#[expect(clippy::print_stdout, reason = "measurements go to standard output")]
fn timed(bench: &Bench, name: &str, out: &Path, words: &[&str]) -> anyhow::Result<()> {
    let peak = out.with_extension("peak");
    let (mut seconds, mut most) = (Vec::new(), 0.0_f64);
    // The first one warms up.
    for repeat in 0..=bench.repeats {
        let mut command = Command::new(env::current_exe()?);
        command.args(words).arg("--out").arg(out).env(PEAK, &peak).stdout(Stdio::null());
        let begin = Instant::now();
        let status = command.status()?;
        let took = begin.elapsed().as_secs_f64();
        ensure!(status.success(), "`{}` failed: {status}", words.join(" "));
        if repeat > 0 {
            seconds.push(took);
            most = most.max(fs::read_to_string(&peak)?.parse()?);
        }
    }
    println!("{}", json!({"name": name, "side": "ours", "seconds": seconds, "peak_mib": most}));
    Ok(())
}

/// Makes the folder of a run that has ended.
fn create(out: &Path, index: u32) -> anyhow::Result<PathBuf> {
    let path = out.join(format!("2026-09-01T10-22-07_neck_{index:05x}"));
    fs::create_dir_all(&path)?;
    fs::write(path.join("DONE"), "{}")?;
    Ok(path)
}

/// Makes a run with the events that `events` answers for its id, and its digest.
fn record(out: &Path, index: u32, events: impl Fn(&str) -> Vec<RunEvent>) -> anyhow::Result<RunDir> {
    let path = create(out, index)?;
    let run = RunDir::open(path.to_str().context("the folder has a plain name")?, out)?;
    EventLog::create(&run.file(FILE))?.append(events(run.id()))?;
    // As a run keeps it. The other tables are not read, and take long to write so many times.
    Digest::write(&run, &tables::read(&run)?)?;
    Ok(run)
}

fn component(id: &str) -> ComponentRef {
    ComponentRef { id: id.to_owned(), config: json!({}) }
}

/// The events with which every run begins.
fn begun(id: &str) -> Vec<RunEvent> {
    let output = OutputInfo {
        name: "macro_f1".to_owned(),
        direction: Direction::Higher,
        per_label: false,
        description: String::new(),
    };
    let part = PartCounts { images: 100, groups: 100, positives: vec![40, 30], assessed: vec![100, 100] };
    vec![
        RunEvent::RunStarted(RunStarted {
            run_id: id.to_owned(),
            name: "neck".to_owned(),
            nashost: "0.1.0".to_owned(),
            libtorch: "2.11.0".to_owned(),
            config_sha256: "c0".to_owned(),
            seeds: vec![1],
            device: "cpu".to_owned(),
            host: "node1".to_owned(),
            plugins: Vec::new(),
            metrics: vec![output],
        }),
        RunEvent::DataReady(DataReady {
            dataset: component("phantom"),
            info: DatasetInfo {
                labels: vec!["Fracture".to_owned(), "Dislocation".to_owned()],
                normal_label: None,
                channels: 1,
                source: "generated".to_owned(),
            },
            images: 300,
            resolution: 64,
            fingerprint: "fee1".to_owned(),
            normalisation: None,
            cached: false,
            seconds: 0.5,
        }),
        RunEvent::SplitMade(SplitMade {
            hash: "c0ffee".to_owned(),
            source: "stratified".to_owned(),
            parts: [Part::Train, Part::Val, Part::Test].map(|name| (name, part.clone())).into(),
        }),
    ]
}

fn ended(mut events: Vec<RunEvent>) -> Vec<RunEvent> {
    events.push(RunEvent::RunFinished { ending: Ending::Done, failure: None });
    events
}

/// A number from 0 to 1 that looks drawn.
fn drawn(index: u32) -> f64 {
    f64::from(index.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24)
}

/// A search with its candidates.
fn searched(id: &str) -> Vec<RunEvent> {
    let spec = |index: u32| {
        let blocks = (0..5).map(|block| json!({"kind": "SuperResK1K3K1", "in": 16, "out": 32 + 8 * block,
                                               "stride": 1 + block % 2, "bottleneck": 16, "layers": index % 7}));
        json!({"blocks": blocks.collect::<Vec<_>>(), "stem": 16 + index % 16})
    };
    let mut events = begun(id);
    events.push(RunEvent::SearchStarted(SearchStarted {
        strategy: component("zennas"),
        space: component("superres"),
        metric: Some(component("zen-score")),
        direction: Direction::Higher,
        uses_data: false,
        seed: 1,
        geometry: GEOMETRY,
        budgets: Vec::new(),
    }));
    events.extend((0..RECORDS).map(|index| {
        RunEvent::Candidate(Candidate {
            id: u64::from(index),
            spec: spec(index),
            origin: format!("mutation of {}", index / 2),
            value: Some(30.0 * drawn(index)),
            spread: Some(0.01),
            seconds: 0.01,
            rejected: None,
            why: None,
            costs: BTreeMap::from([("params".to_owned(), 1e5 + 1e6 * drawn(index + 7))]),
        })
    }));
    let ranked = Ranked { spec: spec(0), value: 29.0, id: 0, reason: "the best".to_owned() };
    events.push(RunEvent::SearchFinished {
        result: SearchResult { ranked: vec![ranked], steps: u64::from(RECORDS), rejected: BTreeMap::new() },
        seconds: 1000.0,
        details: None,
    });
    ended(events)
}

fn report(value: f64) -> MetricReport {
    MetricReport {
        overall: BTreeMap::from([("macro_f1".to_owned(), MetricValue::new(value, 100))]),
        per_label: BTreeMap::new(),
    }
}

/// A run with a trial for each seed.
fn trained(id: &str, method: &str, seeds: std::ops::Range<u32>) -> Vec<RunEvent> {
    let node =
        |name: &str, op, input: &str| Node { name: name.to_owned(), op, inputs: vec![input.to_owned()] };
    let mut events = begun(id);
    events.push(RunEvent::ArchitectureReady(Box::new(PortableArchitecture {
        schema_version: 1,
        id: method.to_owned(),
        space: component("superres"),
        space_version: "0.1.0".to_owned(),
        spec: json!({}),
        geometry: GEOMETRY,
        params: 8,
        macs: 6,
        counters: BTreeMap::new(),
        scores: BTreeMap::new(),
        graph: Graph {
            schema: 1,
            input: GEOMETRY.input,
            initialization: Initialization::default(),
            nodes: vec![
                node("pool", Op::GlobalAveragePool, "input"),
                node("flat", Op::Flatten, "pool"),
                node("fc", Op::Gemm { out_features: 2, bias: true }, "flat"),
            ],
            output: "fc".to_owned(),
            features: "pool".to_owned(),
            auxiliary: None,
        },
    })));
    for (trial, seed) in (1..).zip(seeds) {
        let value = 0.5 + 0.1 * drawn(seed) + if method == "zennas" { 0.001 } else { 0.0 };
        let tell = |report| RunEvent::Trial { trial, attempt: 1, report };
        events.push(RunEvent::TrialQueued {
            request: Box::new(TrialRequest {
                run_id: id.to_owned(),
                trial,
                attempt: 1,
                method: method.to_owned(),
                architecture: component("superres"),
                spec: json!({}),
                geometry: GEOMETRY,
                dataset: component("phantom"),
                split_hash: "c0ffee".to_owned(),
                train: Default::default(),
                eval: Default::default(),
                seed: u64::from(seed),
                device: "cpu".to_owned(),
                threads: 1,
            }),
            architecture: method.to_owned(),
        });
        events.push(tell(TrialEvent::Epoch(EpochReport {
            epoch: 1,
            train_loss: 0.5,
            val_loss: 0.5,
            lr: 1e-3,
            val: report(value),
            train_seconds: 1.0,
            val_seconds: 0.1,
        })));
        events.push(tell(TrialEvent::Finished(TestReport {
            checkpoint: CheckpointReport {
                kind: "last".to_owned(),
                epoch: 1,
                path: format!("ckpt/T{trial:04}/last.safetensors").into(),
                sha256: "5a".to_owned(),
                value: Some(value),
            },
            thresholds: vec![0.5, 0.5],
            frozen: "f00d".to_owned(),
            test: report(value - 0.01 * drawn(seed + 3)),
            intervals: BTreeMap::new(),
            predictions: format!("predictions/T{trial:04}_test.csv").into(),
        })));
    }
    ended(events)
}
