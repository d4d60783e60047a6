//! The scores against an independent computation, and the rules of the contract.

use nashost_plugin_api::{
    architecture::Geometry,
    graph::{Graph, GraphBuilder, INPUT, Op, Pool, Window},
    metric::{Candidate, ScoreContext},
    testing,
};
use nashost_plugin_torch::{Network, Weights};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::{jacov, naswot, network, synflow, undefined::Undefined, *};

const BATCH: i64 = 6;
const SIZE: [usize; 3] = [3, 12, 12];

/// The network of `make.py`.
fn graph() -> Graph {
    let mut g = GraphBuilder::new(SIZE);
    let x = g.conv("conv0", INPUT, 8, Window::square(3, 2), 1, false);
    let x = g.batch_norm("bn0", &x, 1e-5);
    let skip = g.relu("relu0", &x);
    let x = g.conv("conv1", &skip, 8, Window::square(3, 1), 1, false);
    let x = g.batch_norm("bn1", &x, 1e-5);
    let x = g.residual("add", &x, &skip);
    let x = g.relu("relu1", &x);
    let x = g.max_pool("pool", &x, Window::square(3, 2));
    let x = g.conv("conv2", &x, 12, Window::square(3, 1), 1, true);
    let x = g.batch_norm("bn2", &x, 1e-5);
    let x = g.relu("relu2", &x);
    let pooled = g.global_average_pool("avgpool", &x);
    let flat = g.flatten("flatten", &pooled);
    let logits = g.gemm("fc", &flat, 4, true);
    g.finish(&logits, &x).unwrap()
}

fn sines(shape: &[i64], phase: f64) -> Tensor {
    let count = shape.iter().product::<i64>();
    let index = Tensor::arange(count, (Kind::Double, Device::Cpu));
    (index * 0.7 + phase).sin().reshape(shape)
}

/// The weights of `make.py`, in the given precision.
fn weights(network: &Network, kind: Kind) -> Weights {
    let tensors = network.parameters().iter().map(|parameter| {
        let (node, tensor) = parameter.name.split_once('.').unwrap();
        let phase = match node {
            "conv0" => 1.0,
            "conv1" => 2.0,
            "conv2" => 3.0,
            "fc" => 4.0,
            _ if tensor == "num_batches_tracked" => return Tensor::zeros([], (Kind::Int64, Device::Cpu)),
            _ => {
                let one = matches!(tensor, "weight" | "running_var");
                return Tensor::full(&parameter.shape, f64::from(u8::from(one)), (kind, Device::Cpu));
            }
        };
        let scale = if tensor == "bias" { 0.1 } else { 0.4 };
        (sines(&parameter.shape, phase) * scale).to_kind(kind)
    });
    Weights::new(tensors.collect())
}

fn images() -> Tensor {
    let shape = [BATCH, SIZE[0] as i64, SIZE[1] as i64, SIZE[2] as i64];
    let count = shape.iter().product::<i64>();
    let waves = Tensor::arange(count, (Kind::Double, Device::Cpu)).pow_tensor_scalar(1.3).cos();
    sines(&shape, 0.5) + waves.reshape(shape) * 0.3
}

fn expected(name: &str) -> f64 {
    let oracle: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/proxies/oracle.json")).unwrap();
    oracle[name].as_f64().unwrap()
}

fn assert_close(found: f64, name: &str) {
    let expected = expected(name);
    // Both are in double precision; another order of additions moves the last digits, and jacov takes
    // reciprocals of eigenvalues.
    assert!((found - expected).abs() <= 1e-7 * expected.abs(), "{name}: {found} instead of {expected}");
}

#[test]
fn naswot_equals_the_reference() {
    let network = network::without_dropout(&graph()).unwrap();
    assert_close(naswot::score(&network, &weights(&network, Kind::Double), &images()).unwrap(), "naswot");
}

#[test]
fn jacov_equals_the_reference() {
    let network = network::without_dropout(&graph()).unwrap();
    assert_close(jacov::score(&network, &weights(&network, Kind::Double), &images()).unwrap(), "jacov");
}

#[test]
fn synflow_equals_the_reference() {
    let network = network::linear_flow(&graph()).unwrap();
    let weights = weights(&network, Kind::Double);
    let before: Vec<Tensor> = weights.tensors().iter().map(Tensor::copy).collect();
    assert_close(synflow::score(&network, &weights, Device::Cpu).unwrap(), "synflow");
    assert!(before.iter().eq(weights.tensors()), "signs are those from before");
}

#[test]
fn the_contract_is_kept() {
    testing::architecture_metric::<Naswot>(json!({"batch": 8})).assert_passed();
    testing::architecture_metric::<Jacov>(json!({"batch": 8, "repeats": 2})).assert_passed();
    testing::architecture_metric::<Synflow>(json!({})).assert_passed();
    testing::architecture_metric::<Vote>(json!({"batch": 8})).assert_passed();
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for wrong in [json!({"batch": 1}), json!({"repeats": 0})] {
        assert!(testing::local_architecture_metric::<Naswot>(&wrong).is_err(), "{wrong}");
        assert!(testing::local_architecture_metric::<Vote>(&wrong).is_err(), "{wrong}");
    }
}

/// A chain with another activation, dropout, or both.
fn chain(activation: Op, dropout: bool) -> Graph {
    let mut g = GraphBuilder::new(SIZE);
    let x = g.conv("conv", INPUT, 4, Window::square(3, 1), 1, false);
    let mut x = g.node("activation", activation, &[&x]);
    if dropout {
        x = g.node("drop", Op::Dropout { ratio: 0.5 }, &[&x]);
    }
    let x = g.node(
        "pool",
        Op::MaxPool(Pool { window: Window::square(2, 2), ceil_mode: false, count_include_pad: false }),
        &[&x],
    );
    let pooled = g.global_average_pool("avgpool", &x);
    let flat = g.flatten("flatten", &pooled);
    let logits = g.gemm("fc", &flat, 2, true);
    g.finish(&logits, &x).unwrap()
}

#[test]
fn activity_needs_relus() {
    let score = |graph: &Graph| {
        let network = network::without_dropout(graph)?;
        let images = network::images(&network, 4, 1, Device::Cpu);
        naswot::score(&network, &network.initialize(1), &images)
    };
    assert!(matches!(score(&chain(Op::Swish, false)), Err(Undefined::OtherActivation { op: "Swish", .. })));
    assert!(matches!(score(&chain(Op::Identity, false)), Err(Undefined::NoRelu)));
    assert!(score(&chain(Op::Clip { min: 0.0, max: 6.0 }, false)).is_ok(), "ReLU6 is on or off");
}

#[test]
fn equal_images_have_no_naswot() {
    let network = network::without_dropout(&graph()).unwrap();
    let one = images().narrow(0, 0, 1);
    let twice = Tensor::cat(&[&one, &one], 0);
    let score = naswot::score(&network, &weights(&network, Kind::Double), &twice);
    assert!(matches!(score, Err(Undefined::NotFinite(_))), "{score:?}");
}

#[test]
fn dropout_changes_nothing() {
    let score = |dropout| {
        let geometry = Geometry { input: SIZE, outputs: 2 };
        let context = ScoreContext { geometry, device: "cpu".to_owned() };
        let graph = chain(Op::Relu, dropout);
        let candidate = Candidate { spec: json!(0), graph, counters: Default::default(), seed: 5 };
        let metric = testing::local_architecture_metric::<Jacov>(&json!({"batch": 4})).unwrap();
        metric.score(&[candidate], &context).unwrap()[0].value
    };
    assert_eq!(score(true), score(false));
    assert!(score(true).is_some());
}
