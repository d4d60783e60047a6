//! Training as a whole, on images small enough for a few seconds.

mod resume;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use nashost_plugin_api::{
    dataset::{DatasetInfo, Part, PixelType, Record, Target},
    graph::{Auxiliary, Graph, INPUT, Initialization, Node, Op, Window},
    metric::{MetricReport, MetricValue},
};
use nashost_plugin_torch::{Network, Weights};
use tch::Device;

use super::*;
use crate::{
    config::train::{Augmentation, DropPath, Precision, TrainConfig},
    data::ImageStore,
    error::Result,
    run::trial::{Control, TrialEvent},
};

/// A store of `images` pseudo-random images of two labels: image `i` has label 0 if `i` is odd and
/// label 1 if `i / 2` is, and the mean of its upper or lower half says so.
pub(crate) fn store(images: usize, side: usize, channels: usize, dtype: PixelType) -> ImageStore {
    let mut data = Vec::new();
    let mut noise = 1_u32;
    for i in 0..images {
        for at in 0..channels * side * side {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let upper = at % (side * side) < side * side / 2;
            let bright = if upper { i % 2 == 1 } else { i / 2 % 2 == 1 };
            let value = 60 + 100 * u32::from(bright) + (noise >> 24) / 4;
            match dtype {
                PixelType::U8 => data.push(value as u8),
                PixelType::U16 => data.extend(((value * 250) as u16).to_ne_bytes()),
            }
        }
    }
    let target = |positive: bool| if positive { Target::Positive } else { Target::Negative };
    ImageStore {
        info: DatasetInfo {
            labels: vec!["upper".to_owned(), "lower".to_owned()],
            normal_label: None,
            channels,
            source: String::new(),
        },
        records: (0..images)
            .map(|i| Record {
                id: i.to_string(),
                group: i.to_string(),
                split: None,
                targets: vec![target(i % 2 == 1), target(i / 2 % 2 == 1)],
                attributes: BTreeMap::new(),
            })
            .collect(),
        parts: vec![Part::Train; images],
        dtype,
        channels,
        resolution: side,
        data,
        mean: vec![0.5; channels],
        std: vec![0.25; channels],
        fingerprint: String::new(),
        split_hash: String::new(),
    }
}

fn node(name: &str, op: Op, input: &str) -> Node {
    Node { name: name.to_owned(), op, inputs: vec![input.to_owned()] }
}

fn graph(input: [usize; 3], nodes: Vec<Node>, features: &str) -> Graph {
    let output = nodes.last().unwrap().name.clone();
    let initialization = Initialization::default();
    Graph { schema: 1, input, initialization, nodes, output, features: features.to_owned(), auxiliary: None }
}

fn conv(out_channels: usize, stride: usize, bias: bool) -> Op {
    Op::Conv { out_channels, window: Window::square(3, stride), group: 1, bias }
}

/// The network of `tests/fixtures/train/make.py`.
pub(super) fn fixture_network() -> Network {
    let nodes = vec![
        node("conv1", conv(4, 1, false), INPUT),
        node("bn1", Op::BatchNormalization { epsilon: 1e-5, momentum: 0.9 }, "conv1"),
        node("relu1", Op::Relu, "bn1"),
        node("conv2", conv(5, 2, true), "relu1"),
        node("relu2", Op::Relu, "conv2"),
        node("pool", Op::GlobalAveragePool, "relu2"),
        node("flatten", Op::Flatten, "pool"),
        node("fc", Op::Gemm { out_features: 3, bias: true }, "flatten"),
    ];
    Network::new(graph([3, 8, 8], nodes, "relu2")).unwrap()
}

/// A network for [`store`]'s labels; rows keep their place, so that it can tell upper from lower.
pub(super) fn network(dropout: f64, normalise: bool) -> Network {
    let mut nodes = vec![node("conv1", conv(8, 2, true), INPUT)];
    if normalise {
        nodes.push(node("bn1", Op::BatchNormalization { epsilon: 1e-5, momentum: 0.9 }, "conv1"));
    }
    let before = nodes.last().unwrap().name.clone();
    nodes.extend([
        node("relu", Op::Relu, &before),
        node("flatten", Op::Flatten, "relu"),
        node("dropout", Op::Dropout { ratio: dropout }, "flatten"),
        node("fc", Op::Gemm { out_features: 2, bias: true }, "dropout"),
    ]);
    Network::new(graph([1, 8, 8], nodes, "relu")).unwrap()
}

/// Twenty images, sixteen to train on.
fn split_store() -> ImageStore {
    let mut store = store(24, 8, 1, PixelType::U8);
    store.parts[16..20].fill(Part::Val);
    store.parts[20..].fill(Part::Test);
    store
}

/// Share of images whose two labels are both right, and under the name of macro F1 something that
/// improves in almost every epoch: one minus the mean distance from what is true.
fn score(scores: &[f64], targets: &[Target]) -> Result<MetricReport> {
    let right = |(scores, targets): (&[f64], &[Target])| {
        scores.iter().zip(targets).all(|(&score, &target)| (score > 0.5) == (target == Target::Positive))
    };
    let images = scores.len() / 2;
    let value = scores.chunks(2).zip(targets.chunks(2)).filter(|&pair| right(pair)).count() as f64;
    let distance = |(score, target): (&f64, &Target)| (score - f64::from(*target == Target::Positive)).abs();
    let distance = scores.iter().zip(targets).map(distance).sum::<f64>() / scores.len() as f64;
    let overall = [("macro_f1", 1.0 - distance), ("subset_accuracy", value / images as f64)]
        .map(|(name, value)| (name.to_owned(), MetricValue::new(value, images as u64)))
        .into();
    Ok(MetricReport { overall, per_label: BTreeMap::new() })
}

/// libtorch's generator belongs to the process: trainings whose dropout must repeat take turns.
static GENERATOR: Mutex<()> = Mutex::new(());

/// Trains on [`split_store`]; returns the outcome and all events but steps.
fn run(
    config: &TrainConfig,
    network: &Network,
    seed: u64,
    run_dir: &Path,
    stop: impl Fn(&TrialEvent) -> bool,
) -> (Result<Outcome>, Vec<TrialEvent>) {
    resume(config, network, seed, run_dir, FRESH, stop)
}

/// A training that no earlier process began.
const FRESH: Resume<'static> =
    Resume { identity: "a trial", known_epochs: 0, known_checkpoints: &[], save_every: SAVE_EVERY };

/// As [`run`], after an earlier process.
fn resume(
    config: &TrainConfig,
    network: &Network,
    seed: u64,
    run_dir: &Path,
    resume: Resume<'_>,
    stop: impl Fn(&TrialEvent) -> bool,
) -> (Result<Outcome>, Vec<TrialEvent>) {
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let store = split_store();
    let init = network.initialize(seed);
    let job = Job {
        network,
        init: &init,
        store: &store,
        config,
        seed,
        device: Device::Cpu,
        run_dir,
        trial: "T0001",
        resume,
    };
    let mut events = Vec::new();
    let outcome = train(&job, &score, &mut |event| {
        let control = if stop(&event) { Control::Stop } else { Control::Continue };
        if !matches!(event, TrialEvent::Step { .. }) {
            events.push(event);
        }
        control
    });
    (outcome, events)
}

fn config(epochs: u32) -> TrainConfig {
    TrainConfig { epochs, batch: 5, lr: 0.01, resolution: 8, ..TrainConfig::default() }
}

fn completed(outcome: Result<Outcome>) -> Trained {
    match outcome.unwrap() {
        Outcome::Completed(trained) => *trained,
        Outcome::Cancelled => panic!("cancelled"),
    }
}

fn train_losses(events: &[TrialEvent]) -> Vec<f64> {
    let loss = |event: &TrialEvent| match event {
        TrialEvent::Epoch(report) => Some(report.train_loss),
        _ => None,
    };
    events.iter().filter_map(loss).collect()
}

#[test]
fn learns_sixteen_images_by_heart_and_the_files_know_them() {
    let dir = tempfile::tempdir().unwrap();
    let network = network(0.0, true);
    let (outcome, events) = run(&config(40), &network, 1, dir.path(), |_| false);
    let trained = completed(outcome);
    let losses = train_losses(&events);
    assert_eq!(losses.len(), 40);
    assert!(losses[39] < 0.05 && losses[39] < losses[0] / 10.0, "{losses:?}");
    let store = split_store();
    let indices = store.indices(Part::Train);
    let weights = Weights::load(&network, &dir.path().join(&trained.last.path)).unwrap();
    let scores = predict(&network, &weights, &store, &indices, 5, Device::Cpu).unwrap();
    let report = score(&scores, &store.targets(&indices)).unwrap();
    assert_eq!(report.overall["subset_accuracy"].value, Some(1.0));
    // One batch or many: images in evaluation do not see each other.
    let whole = predict(&network, &weights, &store, &indices, 16, Device::Cpu).unwrap();
    assert!(scores.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-6));
    assert!(predict(&network, &weights, &store, &[], 5, Device::Cpu).unwrap().is_empty());
    assert_eq!(trained.last.path, Path::new("ckpt/T0001/last.safetensors"));
    assert_eq!(trained.last.epoch, 40);
}

#[test]
fn events_tell_every_epoch_and_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let (outcome, events) = run(&config(3), &network(0.0, true), 1, dir.path(), |_| false);
    let trained = completed(outcome);
    let kinds: Vec<String> = events
        .iter()
        .map(|event| match event {
            TrialEvent::Epoch(report) => {
                assert!(report.val_loss.is_finite() && report.lr == 0.01);
                assert_eq!(report.val.overall["macro_f1"].support, 4);
                format!("epoch {}", report.epoch)
            }
            TrialEvent::Checkpoint(report) => report.kind.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds[..3], ["epoch 1", BEST_SUBSET_ACCURACY, BEST_MACRO_F1]);
    assert_eq!(kinds.last().unwrap(), LAST);
    assert!(events.contains(&TrialEvent::Checkpoint(trained.best_macro_f1)));
}

/// The first epoch of rising drop paths drops nothing, later ones do.
#[test]
fn drop_paths_rise_from_nothing() {
    let with = |ratio: f64, drop_path: DropPath| {
        let mut nodes = vec![node("conv1", conv(8, 2, true), INPUT)];
        nodes.extend([
            node("path", Op::DropPath { ratio }, "conv1"),
            node("flatten", Op::Flatten, "path"),
            node("fc", Op::Gemm { out_features: 2, bias: true }, "flatten"),
        ]);
        let network = Network::new(graph([1, 8, 8], nodes, "conv1")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = TrainConfig { drop_path, ..config(2) };
        let (outcome, events) = run(&config, &network, 1, dir.path(), |_| false);
        completed(outcome);
        train_losses(&events)
    };
    let never = with(0.0, DropPath::Constant);
    let (constant, rising) = (with(0.6, DropPath::Constant), with(0.6, DropPath::Rising));
    let half = with(0.3, DropPath::Constant);
    assert_eq!(rising[0], never[0]);
    assert!(rising[1] != never[1] && rising[1] != constant[1]);
    assert!(constant[0] != never[0] && half[0] != constant[0]);
}

/// An auxiliary classifier learns, and the loss that is told is that of the network's output alone.
#[test]
fn an_auxiliary_classifier_is_trained_along() {
    let with = |weight: Option<f64>| {
        let mut nodes = vec![
            node("conv1", conv(8, 2, true), INPUT),
            node("flatten", Op::Flatten, "conv1"),
            node("fc", Op::Gemm { out_features: 2, bias: true }, "flatten"),
        ];
        // Of the same start as the classifier: behind the last node, so that no other weight moves.
        if weight.is_some() {
            nodes.push(node("aux", Op::Gemm { out_features: 2, bias: true }, "flatten"));
        }
        let mut graph = graph([1, 8, 8], nodes, "conv1");
        graph.output = "fc".to_owned();
        graph.auxiliary = weight.map(|weight| Auxiliary { output: "aux".to_owned(), weight });
        let network = Network::new(graph).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (outcome, events) = run(&config(30), &network, 1, dir.path(), |_| false);
        let path = dir.path().join(&completed(outcome).last.path);
        let weights = Weights::load(&network, &path).unwrap();
        let moved = network.initialize(1).tensors().last().unwrap() - weights.tensors().last().unwrap();
        (train_losses(&events), moved.abs().max().double_value(&[]))
    };
    let (plain, _) = with(None);
    let (double, moved) = with(Some(1.0));
    assert!(moved > 1e-3, "the auxiliary bias stays where it was");
    // Two classifiers of one weight each lose about twice as much together.
    assert!(double[0] < 1.5 * plain[0] && double[29] < 0.3 * double[0], "{double:?} beside {plain:?}");
    let (little, _) = with(Some(1e-6));
    assert!((little[0] - plain[0]).abs() < 1e-3 * plain[0], "{} for {}", little[0], plain[0]);
}

#[test]
fn a_divided_batch_learns_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let network = network(0.0, true);
    let config = TrainConfig { micro_batches: 2, ..config(40) };
    let losses = train_losses(&run(&config, &network, 1, dir.path(), |_| false).1);
    assert!(losses[39] < 0.1 && losses[39] < losses[0] / 5.0, "{losses:?}");
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let network = network(0.3, true);
    let augmentation = Augmentation { horizontal_flip: true, shift: 0.1, rotation: 5.0, intensity: 0.1 };
    let config = TrainConfig { augmentation, ..config(3) };
    let hash = |seed| {
        let dir = tempfile::tempdir().unwrap();
        completed(run(&config, &network, seed, dir.path(), |_| false).0).last.sha256
    };
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn low_precision_learns_and_saves_full_precision() {
    let dir = tempfile::tempdir().unwrap();
    let network = network(0.0, true);
    let config = TrainConfig { precision: Precision::Bf16, ..config(25) };
    let (outcome, events) = run(&config, &network, 1, dir.path(), |_| false);
    let losses = train_losses(&events);
    assert!(losses[24] < losses[0] / 3.0, "{losses:?}");
    let weights = Weights::load(&network, &dir.path().join(completed(outcome).last.path)).unwrap();
    let weight = &weights.tensors()[0];
    assert_eq!(weight.kind(), tch::Kind::Float);
    assert_ne!(*weight, weight.to_kind(tch::Kind::BFloat16).to_kind(tch::Kind::Float));
}

#[test]
fn a_diverging_loss_names_its_epoch_and_leaves_earlier_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        TrainConfig { optimizer: crate::config::train::Optimizer::Sgd, lr: 1e6, batch: 16, ..config(60) };
    let (outcome, events) = run(&config, &network(0.0, false), 1, dir.path(), |_| false);
    let error = outcome.unwrap_err();
    assert_eq!(error.code, "E0501");
    let epochs = train_losses(&events).len();
    assert!(epochs > 0, "some epochs come before");
    assert!(error.message.contains(&format!("epoch {}", epochs + 1)), "{}", error.message);
    for event in events {
        if let TrialEvent::Checkpoint(report) = event {
            assert!(dir.path().join(report.path).is_file());
        }
    }
}

#[test]
fn stopping_ends_after_the_step_or_epoch() {
    let network = network(0.0, true);
    let dir = tempfile::tempdir().unwrap();
    let at_step = |event: &TrialEvent| matches!(event, TrialEvent::Step { epoch: 2, step: 2, .. });
    let (outcome, events) = run(&config(5), &network, 1, dir.path(), at_step);
    assert_eq!(outcome, Ok(Outcome::Cancelled));
    assert_eq!(train_losses(&events).len(), 1);
    let at_epoch = |event: &TrialEvent| matches!(event, TrialEvent::Epoch(_));
    let (outcome, events) = run(&config(5), &network, 1, dir.path(), at_epoch);
    assert_eq!(outcome, Ok(Outcome::Cancelled));
    assert_eq!(events.len(), 3, "the epoch's checkpoints are still written");
}

#[test]
fn every_step_is_told() {
    let steps = std::cell::RefCell::new(Vec::new());
    let dir = tempfile::tempdir().unwrap();
    let _ = run(&config(2), &network(0.0, true), 1, dir.path(), |event| {
        if let TrialEvent::Step { epoch, step, steps: of } = *event {
            steps.borrow_mut().push((epoch, step, of));
        }
        false
    });
    // Sixteen images in batches of five: 5, 5 and 6.
    assert_eq!(*steps.borrow(), [(1, 1, 3), (1, 2, 3), (1, 3, 3), (2, 1, 3), (2, 2, 3), (2, 3, 3)]);
}

#[test]
fn impossible_settings_are_told_all_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        TrainConfig { epochs: 0, batch: 1, micro_batches: 0, lr: f64::NAN, ..TrainConfig::default() };
    let error = run(&config, &network(0.0, true), 1, dir.path(), |_| false).0.unwrap_err();
    assert_eq!(error.code, "E0502");
    assert_eq!(error.message.lines().count(), 4, "{}", error.message);
}

#[test]
fn an_empty_part_is_refused() {
    let mut store = split_store();
    store.parts.fill(Part::Train);
    let (network, config) = (network(0.0, true), config(1));
    let dir = tempfile::tempdir().unwrap();
    let job = Job {
        network: &network,
        init: &network.initialize(1),
        store: &store,
        config: &config,
        seed: 1,
        device: Device::Cpu,
        run_dir: dir.path(),
        trial: "T0001",
        resume: FRESH,
    };
    let error = train(&job, &score, &mut |_| Control::Continue).unwrap_err();
    assert_eq!(error.code, "E0503");
    assert!(error.message.contains("val"), "{}", error.message);
}
