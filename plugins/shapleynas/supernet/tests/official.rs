//! The supernet beside numbers of the official code.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;

use nashost_shapley_supernet::{Geometry, Mixing, Supernet, space};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/shapley").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn geometry(case: &Value) -> Geometry {
    let number = |key: &str| case[key].as_u64().unwrap() as usize;
    let side = number("resolution");
    Geometry {
        image_channels: 3,
        height: side,
        width: side,
        labels: number("num_classes"),
        channels: number("C"),
        layers: number("layers"),
        k: number("k"),
    }
}

#[test]
fn weights_multiply_adds_and_tensors_are_counted_as_in_the_official_code() {
    let mut checked = 0;
    for case in fixture("supernet.json")["cases"].as_array().unwrap() {
        if case["net"] != "cifar" || case["steps"] != 4 {
            continue;
        }
        let geometry = geometry(case);
        assert_eq!(geometry.parameters(), case["weight_params"].as_u64().unwrap() as usize, "{geometry:?}");
        assert_eq!(geometry.macs(), case["macs_eval_batch1"].as_u64().unwrap() as usize, "{geometry:?}");
        if geometry.layers <= 8 {
            let supernet = Supernet::new(geometry, 1, Device::Cpu).unwrap();
            let weights: usize = supernet.parameters().iter().map(Tensor::numel).sum();
            assert_eq!(weights, geometry.parameters());
            assert_eq!(supernet.learnt_tensors(), case["n_weight_tensors"].as_u64().unwrap() as usize);
        }
        checked += 1;
    }
    assert!(checked >= 8, "{checked}");
}

/// CRC-32 (IEEE), by which the fixture's weights follow from their names.
fn crc32(text: &str) -> u32 {
    !text.bytes().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// The fixture's values of a tensor.
fn filled(name: &str, shape: &[i64]) -> Tensor {
    let phase = f64::from(crc32(name) % 997) / 997.0 * std::f64::consts::TAU;
    let len: i64 = shape.iter().product();
    let wave = (0..len).map(|j| (0.7 * (j % 1009) as f64 + phase).sin());
    let scale = |s: f64| match shape.len() {
        4 => s * (4.0 / (shape[1] * shape[2] * shape[3]) as f64).sqrt(),
        2 if name.starts_with("classifier") => s * (4.0 / shape[1] as f64).sqrt(),
        2 => s,
        _ if name.ends_with("running_mean") => 0.05 * s,
        _ if name.ends_with("running_var") => 1.0 + 0.2 * s,
        _ if name.ends_with("weight") => 1.0 + 0.1 * s,
        _ => 0.1 * s,
    };
    let values: Vec<f32> = wave.map(|s| scale(s) as f32).collect();
    Tensor::from_slice(&values).view(shape)
}

fn images(batch: i64, side: i64) -> Tensor {
    let len = batch * 3 * side * side;
    let values: Vec<f32> =
        (0..len).map(|j| ((0.37 * j as f64).sin() + 0.5 * (0.011 * j as f64).cos()) as f32).collect();
    Tensor::from_slice(&values).view([batch, 3, side, side])
}

fn alphas() -> [Tensor; 2] {
    ["alphas_normal", "alphas_reduce"].map(|name| filled(name, &[14, 7]))
}

fn tables(alphas: &[Tensor; 2]) -> space::Tables {
    let values: Vec<f64> = alphas
        .iter()
        .flat_map(|table| Vec::<f64>::try_from(table.to_kind(Kind::Double).view(-1)).unwrap())
        .collect();
    space::softmax(&space::tables(&values))
}

/// Asserts that values agree within `tolerance` of the largest one.
fn close(found: &Tensor, expected: &Value, tolerance: f64) {
    let expected = numbers(expected);
    let found = Vec::<f64>::try_from(found.to_kind(Kind::Double).contiguous().view(-1)).unwrap();
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= tolerance * largest, "value {index}: {found}, expected {expected}");
    }
}

fn cases() -> Vec<(Value, Supernet, Tensor)> {
    let fixture = fixture("pipeline.json");
    let cases =
        fixture["supernet_forward"].as_array().unwrap().iter().filter(|case| case["kind"] == "supernet");
    cases
        .map(|case| {
            let supernet = Supernet::new(geometry(case), 1, Device::Cpu).unwrap();
            let shapes: std::collections::BTreeMap<_, _> =
                supernet.state().into_iter().map(|(name, tensor)| (name, tensor.size())).collect();
            supernet.load(&mut |name| Some(filled(name, &shapes[name]))).unwrap();
            let batch = case["batch"].as_i64().unwrap();
            let images = images(batch, case["resolution"].as_i64().unwrap());
            (case.clone(), supernet, images)
        })
        .collect()
}

/// The fixture's own spread between back ends is 6e-7.
const LOGITS: f64 = 1e-5;

#[test]
fn evaluations_agree() {
    let _no_grad = tch::no_grad_guard();
    for (case, supernet, images) in cases() {
        let frozen = supernet.freeze();
        let prepared = frozen.prepare(&images);
        let full = tables(&alphas());
        let evaluate = |tables| frozen.evaluate(&prepared, &Mixing::new(&tables, Device::Cpu));
        close(&evaluate(full), &case["logits_eval_alpha_filled"], LOGITS);
        close(&evaluate([[[1.0 / 7.0; 7]; 14]; 2]), &case["logits_eval_uniform"], LOGITS);
        let order: Vec<usize> =
            numbers(&case["removal_order"]).into_iter().map(|player| player as usize).collect();
        for step in case["masked_chain"].as_array().unwrap() {
            let mut masked = full;
            for &player in &order[..step["removed"].as_u64().unwrap() as usize] {
                let space::Player { cell, edge, op } = space::Player::at(player);
                masked[cell.index()][edge][op] = 0.0;
            }
            close(&evaluate(masked), &step["logits"], LOGITS);
        }
    }
}

#[test]
fn a_frozen_supernet_does_not_follow_training() {
    let (_, supernet, images) = cases().swap_remove(0);
    let mixing = Mixing::new(&tables(&alphas()), Device::Cpu);
    let frozen = supernet.freeze();
    let logits = || {
        let _no_grad = tch::no_grad_guard();
        frozen.evaluate(&frozen.prepare(&images), &mixing)
    };
    let before = logits();
    {
        let _no_grad = tch::no_grad_guard();
        supernet.parameters().iter().for_each(|parameter| _ = parameter.detach().zero_());
    }
    assert_eq!(before, logits());
    assert!(
        supernet.freeze().evaluate(&frozen.prepare(&images), &mixing).abs().max().double_value(&[]) == 0.0
    );
}

#[test]
fn training_agrees() {
    for (case, supernet, images) in cases() {
        let alphas = alphas().map(|alpha| alpha.set_requires_grad(true));
        let mixing = Mixing::of_tensors(alphas.each_ref().map(|alpha| alpha.softmax(-1, Kind::Float)));
        let logits = supernet.train(&images, &mixing);
        let expected = &case["train_mode"];
        close(&logits, &expected["logits"], LOGITS);
        let classes = case["num_classes"].as_i64().unwrap();
        let batch = case["batch"].as_i64().unwrap();
        let labels: Vec<i64> = (0..batch).map(|image| image % classes).collect();
        let loss = logits.cross_entropy_for_logits(&Tensor::from_slice(&labels));
        let reference = expected["loss"].as_f64().unwrap();
        assert!((loss.double_value(&[]) - reference).abs() < 1e-5 * reference);
        loss.backward();
        let square = |tensor: &Tensor| tensor.grad().square().sum(Kind::Double).double_value(&[]);
        let norm = supernet.parameters().iter().map(square).sum::<f64>().sqrt();
        let reference = expected["grad_norm_weights"].as_f64().unwrap();
        // Against fp64 the fixture's norm is within 3e-6, its alphas' gradients within 3e-4.
        assert!((norm - reference).abs() < 1e-3 * reference, "{norm}, expected {reference}");
        close(&alphas[0].grad(), &expected["grad_alphas_normal"], 1e-3);
        close(&alphas[1].grad(), &expected["grad_alphas_reduce"], 1e-3);
        let state: std::collections::BTreeMap<_, _> = supernet.state().into_iter().collect();
        close(&state["stem.1.running_mean"], &expected["stem_running_mean_after"], LOGITS);
        close(&state["stem.1.running_var"], &expected["stem_running_var_after"], LOGITS);
    }
}
