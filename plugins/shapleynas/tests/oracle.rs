//! Logits of derived networks beside those of the official code, with weights that follow from their
//! names: equal logits prove equal names, too.

use std::f64::consts::TAU;

use nashost_cells::{Darts, Stem, preset};
use nashost_plugin_api::architecture::Geometry;
use nashost_plugin_torch::{Mode, Network, Parameter, Weights};
use serde_json::Value;
use tch::Tensor;

/// Of the largest logit; other kernels sum in another order, in 32 bits.
const TOLERANCE: f64 = 1e-5;
/// Of the largest logit, with the batch statistics of four images, which enlarge rounding: the official
/// numbers are 1.3e-5 from those of double precision, ours up to 1.7e-5, depending on the threads.
const TRAIN_TOLERANCE: f64 = 4e-5;

/// CRC-32 (IEEE), from which the phase of a tensor's values follows.
fn crc32(text: &str) -> u32 {
    let shift = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !text.bytes().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(byte), shift))
}

/// The values that the fixture's note gives to a tensor.
fn values(parameter: &Parameter) -> Tensor {
    let Parameter { name, shape, .. } = parameter;
    let phase = f64::from(crc32(name) % 997) / 997.0 * TAU;
    let count = shape.iter().product::<i64>();
    let wave = |j: i64| (0.7 * (j % 1009) as f64 + phase).sin();
    let scaled = |f: &dyn Fn(f64) -> f64| -> Vec<f32> { (0..count).map(|j| f(wave(j)) as f32).collect() };
    let values = match (shape.as_slice(), name.rsplit('.').next().unwrap_or_default()) {
        ([], _) => return Tensor::from(0_i64),
        (&[_, b, c, d], _) => scaled(&|s| s * (4.0 / (b * c * d) as f64).sqrt()),
        (&[_, b], _) => scaled(&|s| s * (4.0 / b as f64).sqrt()),
        (_, "running_mean") => scaled(&|s| 0.05 * s),
        (_, "running_var") => scaled(&|s| 1.0 + 0.2 * s),
        (_, "weight") => scaled(&|s| 1.0 + 0.1 * s),
        _ => scaled(&|s| 0.1 * s),
    };
    Tensor::from_slice(&values).view(shape.as_slice())
}

fn images(batch: usize, side: usize) -> Tensor {
    let value = |j: usize| ((0.37 * j as f64).sin() + 0.5 * (0.011 * j as f64).cos()) as f32;
    let values: Vec<f32> = (0..batch * 3 * side * side).map(value).collect();
    Tensor::from_slice(&values).view([batch as i64, 3, side as i64, side as i64])
}

fn close(found: &Tensor, expected: &Value, tolerance: f64) {
    let found = Vec::<f64>::try_from(found.to_kind(tch::Kind::Double).view(-1)).expect("numbers");
    let expected: Vec<f64> = serde_json::from_value(expected.clone()).expect("numbers");
    let largest = expected.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        // The fixture has six digits behind the point.
        let allowed = tolerance * largest + 5e-7;
        assert!((found - expected).abs() <= allowed, "{found} for {expected}");
    }
}

#[test]
fn derived_networks_answer_as_the_official_code() {
    const FIXTURE: &str = include_str!("../../../tests/fixtures/shapley/pipeline.json");
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let cases = fixture["derived_forward"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let name = case["genotype"].as_str().unwrap().replace('_', "-");
        let darts = Darts {
            genotype: preset::find(&name).unwrap(),
            channels: number("C"),
            layers: number("layers"),
            stem: Stem::Cifar,
            reductions: None,
            drop_path: 0.0,
            auxiliary: if case["auxiliary"] == true { 0.4 } else { 0.0 },
        };
        let side = number("resolution");
        let geometry = Geometry { input: [3, side, side], outputs: number("num_classes") };
        let network = Network::new(darts.build(&geometry).unwrap().into_graph()).unwrap();
        let weights = || Weights::new(network.parameters().iter().map(values).collect());
        let images = images(number("batch"), side);
        let _no_grad = tch::no_grad_guard();
        close(&network.forward(&weights(), &images, Mode::Eval).unwrap(), &case["logits_eval"], TOLERANCE);
        // While training, the first layer of the official auxiliary head is a ReLU in place, on the cell
        // at two thirds of the way. Cells begin with a ReLU, so only a classifier behind it notices.
        let auxiliary = network.forward_training(&weights(), &images).unwrap().1;
        let expected = &case["train_mode_no_drop_path"]["logits_aux"];
        assert_eq!(auxiliary.is_some(), !expected.is_null());
        if let Some(auxiliary) = auxiliary {
            close(&auxiliary, expected, TRAIN_TOLERANCE);
        }
        let trained = if 2 * darts.layers / 3 == darts.layers - 1 {
            let weights = weights();
            let features = network.graph().features.clone();
            let map = network.forward_taps(&weights, &images, Mode::Train, &[&features]).unwrap();
            let pooled = map[0].relu().mean_dim([2_i64, 3].as_slice(), false, None);
            let [.., classifier, bias] = weights.tensors() else { panic!("there is a classifier") };
            assert_eq!(network.parameters().last().unwrap().name, "classifier.bias");
            pooled.linear(classifier, Some(bias))
        } else {
            network.forward(&weights(), &images, Mode::Train).unwrap()
        };
        close(&trained, &case["train_mode_no_drop_path"]["logits"], TRAIN_TOLERANCE);
    }
}
