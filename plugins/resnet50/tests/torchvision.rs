//! The networks against torchvision's: counts exactly, logits to 1e-4 (float32 sums in another
//! order; the logits themselves are about 1).
//!
//! Weights and images come from the formula that `tests/fixtures/resnet/make.py` uses too. It
//! depends on the tensor's name, so the logits agree only if all names and shapes do.

use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry},
    component::Component as _,
};
use nashost_plugin_torch::{Mode, Network, Weights};
use nashost_resnet50::{Resnet, ResnetConfig};
use serde::Deserialize;
use serde_json::json;
use tch::{Kind, Tensor};

const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Fixture {
    batch: usize,
    side: usize,
    labels: usize,
    networks: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    depth: u32,
    tensors: usize,
    params: std::collections::BTreeMap<usize, u64>,
    macs_224: u64,
    macs_64: u64,
    eval: Vec<Vec<f64>>,
    train: Vec<Vec<f64>>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../tests/fixtures/resnet/logits.json"))
        .expect("the fixture is valid")
}

fn graph(depth: u32, side: usize, outputs: usize) -> nashost_plugin_api::graph::Graph {
    let resnet = Resnet::create(ResnetConfig::default()).expect("the default is valid");
    let geometry = Geometry { input: [3, side, side], outputs };
    resnet.graph(&json!({"depth": depth}), &geometry).expect("the depth is valid")
}

/// Numbers in −1…1, multiples of 2⁻²³: splitmix64 of FNV-1a(`name`) and the index.
fn uniform(name: &str, index: u64) -> f64 {
    let base = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let z = base.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let z = z ^ (z >> 31);
    (z >> 40) as f64 / f64::from(1 << 23) - 1.0
}

fn closed_form(name: &str, shape: &[i64]) -> Tensor {
    let (offset, scale) = match name {
        "input" => (0.0, 2.0),
        _ if shape.len() > 1 => (0.0, (6.0 / shape[1..].iter().product::<i64>() as f64).sqrt()),
        _ if name.ends_with("running_var") => (1.0, 0.5),
        _ if name.ends_with("weight") => (0.5, 0.25),
        _ => (0.0, 0.1),
    };
    let count = shape.iter().product::<i64>() as u64;
    let values: Vec<f32> = (0..count).map(|i| (offset + scale * uniform(name, i)) as f32).collect();
    Tensor::from_slice(&values).view(shape)
}

fn weights(network: &Network) -> Weights {
    let tensor = |p: &nashost_plugin_torch::Parameter| match p.name.ends_with("num_batches_tracked") {
        true => Tensor::zeros(&p.shape, (Kind::Int64, tch::Device::Cpu)),
        false => closed_form(&p.name, &p.shape),
    };
    Weights::new(network.parameters().iter().map(tensor).collect())
}

#[test]
fn counts_equal_torchvisions() {
    for expected in fixture().networks {
        for (&labels, &params) in &expected.params {
            assert_eq!(graph(expected.depth, 64, labels).costs().unwrap().params, params);
        }
        assert_eq!(graph(expected.depth, 224, 1000).costs().unwrap().macs, expected.macs_224);
        assert_eq!(graph(expected.depth, 64, 8).costs().unwrap().macs, expected.macs_64);
        let network = Network::new(graph(expected.depth, 64, 8)).unwrap();
        assert_eq!(network.parameters().len(), expected.tensors);
    }
}

#[test]
fn logits_equal_torchvisions() {
    let fixture = fixture();
    let side = fixture.side as i64;
    let images = closed_form("input", &[fixture.batch as i64, 3, side, side]);
    let _guard = tch::no_grad_guard();
    for expected in &fixture.networks {
        let network = Network::new(graph(expected.depth, fixture.side, fixture.labels)).unwrap();
        let weights = weights(&network);
        // Batch statistics divide by small numbers, so training passes amplify rounding, and the
        // number of threads decides how sums are rounded.
        let cases =
            [(Mode::Eval, &expected.eval, TOLERANCE), (Mode::Train, &expected.train, 10.0 * TOLERANCE)];
        for (mode, answer, tolerance) in cases {
            let logits = network.forward(&weights, &images, mode).unwrap();
            let answer = Tensor::from_slice2(answer);
            let worst = (logits.to_kind(Kind::Double) - answer).abs().max().double_value(&[]);
            assert!(worst < tolerance, "depth {}, {mode:?}: off by {worst}", expected.depth);
        }
    }
}

#[test]
fn grey_images_and_small_ones_have_networks() {
    let resnet = Resnet::create(ResnetConfig::default()).unwrap();
    for (spec, input, features) in [
        (json!({"depth": 18}), [1, 64, 64], [512, 2, 2]),
        (json!({"depth": 50}), [3, 28, 28], [2048, 1, 1]),
        (json!({"depth": 50, "small_stem": true}), [1, 28, 28], [2048, 4, 4]),
    ] {
        let graph = resnet.graph(&spec, &Geometry { input, outputs: 2 }).unwrap();
        let network = Network::new(graph).unwrap();
        let [channels, height, width] = input.map(|n| n as i64);
        let images = Tensor::zeros([2, channels, height, width], (Kind::Float, tch::Device::Cpu));
        let features_node = network.graph().features.clone();
        let _guard = tch::no_grad_guard();
        let maps =
            network.forward_taps(&network.initialize(1), &images, Mode::Eval, &[&features_node]).unwrap();
        assert_eq!(maps[0].size()[1..], features);
    }
}

#[test]
fn a_checkpoint_for_other_labels_loads_all_but_the_classifier() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("resnet18.safetensors");
    let published = Network::new(graph(18, 64, 1000)).unwrap();
    weights(&published).save(&published, &path).unwrap();
    let resnet = Resnet::create(ResnetConfig::default()).unwrap();
    let names = resnet.pretrained_names(&json!({"depth": 18})).unwrap();
    let network = Network::new(graph(18, 64, 8)).unwrap();
    let loaded = Weights::load_pretrained(&network, &path, &names, 1).unwrap();
    for (parameter, tensor) in network.parameters().iter().zip(loaded.tensors()) {
        if parameter.name.starts_with("fc.") {
            assert_eq!(tensor.size()[0], 8);
        } else if parameter.shape.is_empty() {
            assert_eq!(tensor.int64_value(&[]), 0);
        } else {
            assert_eq!(*tensor, closed_form(&parameter.name, &parameter.shape), "{}", parameter.name);
        }
    }
}
