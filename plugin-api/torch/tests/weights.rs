//! Fresh weights, and weights in files.

use std::{collections::BTreeMap, path::Path};

use nashost_plugin_api::graph::{GraphBuilder, INPUT, Initialization, Window};
use nashost_plugin_torch::{CheckpointProblem, Mode, Network, TorchError, Weights, gaussian};
use tch::{Kind, Tensor};

fn network(initialization: Initialization, labels: usize) -> Network {
    let mut g = GraphBuilder::new([32, 8, 8]).initialization(initialization);
    let x = g.conv("conv", INPUT, 64, Window::square(3, 1), 1, true);
    let x = g.batch_norm("bn", &x, 1e-5);
    let pooled = g.global_average_pool("pool", &x);
    let flat = g.flatten("flatten", &pooled);
    let hidden = g.gemm("hidden", &flat, 512, true);
    let logits = g.gemm("fc", &hidden, labels, true);
    Network::new(g.finish(&logits, &x).expect("valid")).expect("valid")
}

fn tensor<'a>(network: &Network, weights: &'a Weights, name: &str) -> &'a Tensor {
    let index = network.parameters().iter().position(|parameter| parameter.name == name);
    &weights.tensors()[index.expect("a parameter")]
}

fn std_of(tensor: &Tensor) -> f64 {
    tensor.std(false).double_value(&[])
}

fn equal(a: &Weights, b: &Weights) -> bool {
    a.tensors().len() == b.tensors().len() && a.tensors().iter().zip(b.tensors()).all(|(a, b)| a == b)
}

#[test]
fn gaussian_is_standard_normal_and_reproducible() {
    let x = gaussian(5, &[1000, 1000]).to_kind(Kind::Double);
    let moment = |power: f64| x.pow_tensor_scalar(power).mean(Kind::Double).double_value(&[]);
    // A million values: standard errors of the first four moments are 0.001, 0.0014, 0.004, 0.01.
    assert!(moment(1.0).abs() < 0.005);
    assert!((moment(2.0) - 1.0).abs() < 0.007);
    assert!(moment(3.0).abs() < 0.02);
    assert!((moment(4.0) - 3.0).abs() < 0.05);
    let tail = x.abs().gt(3.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
    assert!((tail - 0.0027).abs() < 0.0003, "{tail}");
    assert_eq!(gaussian(5, &[3]), gaussian(5, &[3]));
    assert_ne!(gaussian(5, &[3]), gaussian(6, &[3]));
    // The stream is part of every recorded score: it must not change.
    let first = Vec::<f32>::try_from(gaussian(5, &[3])).unwrap();
    assert_eq!(first, FIRST);
}

const FIRST: [f32; 3] = [0.48598856, 0.6280509, 0.36209315];

#[test]
fn pytorch_scheme_is_uniform_within_the_fan_in_bound() {
    let network = network(Initialization::Pytorch, 5);
    let weights = network.initialize(1);
    for (name, fan_in) in
        [("conv.weight", 288.0), ("conv.bias", 288.0), ("hidden.weight", 64.0), ("hidden.bias", 64.0)]
    {
        let tensor = tensor(&network, &weights, name);
        let bound = 1.0 / f64::sqrt(fan_in);
        let largest = tensor.abs().max().double_value(&[]);
        assert!(largest <= bound && largest > 0.9 * bound, "{name}: {largest} in {bound}");
        // Uniform: std = bound/√3. A bias has 64 values at least.
        let tolerance = if name.ends_with("weight") { 0.02 } else { 0.2 };
        assert!((std_of(tensor) * 3_f64.sqrt() / bound - 1.0).abs() < tolerance, "{name}");
    }
}

#[test]
fn normal_schemes_have_the_published_deviation() {
    let kaiming = network(Initialization::KaimingNormalFanOut, 5);
    let weights = kaiming.initialize(1);
    let close = |tensor: &Tensor, std: f64| (std_of(tensor) / std - 1.0).abs() < 0.02;
    assert!(close(tensor(&kaiming, &weights, "conv.weight"), f64::sqrt(2.0 / 576.0)));
    assert!(close(tensor(&kaiming, &weights, "hidden.weight"), f64::sqrt(1.0 / 64.0 / 3.0)));

    let zen = network(Initialization::XavierNormalZen, 5);
    let weights = zen.initialize(1);
    assert!(close(tensor(&zen, &weights, "conv.weight"), 3.26033 * f64::sqrt(2.0 / (288.0 + 576.0))));
    assert!(close(tensor(&zen, &weights, "hidden.weight"), 3.26033 * f64::sqrt(2.0 / (64.0 + 512.0))));
    for name in ["conv.bias", "hidden.bias", "fc.bias", "bn.bias", "bn.running_mean"] {
        assert_eq!(tensor(&zen, &weights, name).abs().max().double_value(&[]), 0.0, "{name}");
    }
    for name in ["bn.weight", "bn.running_var"] {
        assert_eq!(tensor(&zen, &weights, name), &Tensor::ones([64], tch::kind::FLOAT_CPU), "{name}");
    }
}

#[test]
fn a_layer_is_drawn_alike_in_every_network() {
    let (small, large) = (network(Initialization::Pytorch, 2), network(Initialization::Pytorch, 9));
    let (a, b) = (small.initialize(4), large.initialize(4));
    assert_eq!(tensor(&small, &a, "hidden.weight"), tensor(&large, &b, "hidden.weight"));
    assert!(equal(&a, &small.initialize(4)));
    assert_ne!(tensor(&small, &a, "hidden.weight"), tensor(&small, &small.initialize(5), "hidden.weight"));
    assert_ne!(
        tensor(&small, &a, "conv.weight").flatten(0, -1).slice(0, 0, 64, 1),
        tensor(&small, &a, "hidden.weight").flatten(0, -1).slice(0, 0, 64, 1)
    );
}

#[test]
fn files_round_trip_and_are_reproducible() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let network = network(Initialization::Pytorch, 5);
    let weights = network.initialize(1);
    // Give the statistics something to say.
    let _ = network.forward(&weights, &gaussian(0, &[2, 32, 8, 8]), Mode::Train).unwrap();
    weights.save(&network, &path).unwrap();
    let back = Weights::load(&network, &path).unwrap();
    assert!(equal(&weights, &back));
    assert_eq!(tensor(&network, &back, "conv.weight").stride(), [288, 1, 96, 32]);
    assert_eq!(tensor(&network, &back, "bn.num_batches_tracked").int64_value(&[]), 1);
    let bytes = std::fs::read(&path).unwrap();
    back.save(&network, &path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "temporary files stay behind");

    let half = weights.to_kind(&network, Kind::BFloat16);
    half.save(&network, &path).unwrap();
    let back = Weights::load(&network, &path).unwrap();
    assert_eq!(tensor(&network, &back, "conv.weight").kind(), Kind::Float);
    assert_eq!(tensor(&network, &back, "conv.weight"), &half.tensors()[0].to_kind(Kind::Float));
}

#[test]
fn a_failed_save_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let network = network(Initialization::Pytorch, 5);
    network.initialize(1).save(&network, &path).unwrap();
    let error = Weights::new(vec![]).save(&network, &path).unwrap_err();
    assert!(matches!(error, TorchError::WeightCount { expected: 11, found: 0 }));
    assert!(equal(&Weights::load(&network, &path).unwrap(), &network.initialize(1)));
    let nowhere = folder.path().join("no such folder/weights.safetensors");
    assert!(matches!(network.initialize(1).save(&network, &nowhere), Err(TorchError::Io { .. })));
}

/// Writes named tensors as another program would.
fn write(path: &Path, tensors: &[(&str, Tensor)]) {
    Tensor::write_safetensors(tensors, path).expect("a writable folder");
}

fn problems(result: Result<Weights, TorchError>) -> Vec<String> {
    match result {
        Err(TorchError::Checkpoint { problems, .. }) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn with_names<'a>(network: &'a Network, weights: &Weights) -> Vec<(&'a str, Tensor)> {
    let tensors = weights.tensors().iter().map(Tensor::contiguous);
    network.parameters().iter().map(|parameter| parameter.name.as_str()).zip(tensors).collect()
}

#[test]
fn every_tensor_that_does_not_fit_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let network = network(Initialization::Pytorch, 5);
    let mut tensors = with_names(&network, &network.initialize(1));
    tensors[0].0 = "module.conv.weight";
    tensors[1].1 = gaussian(0, &[63]);
    tensors[2].1 = Tensor::ones([64], (Kind::Int64, tch::Device::Cpu));
    tensors[6].1 = gaussian(0, &[]);
    tensors.pop();
    write(&path, &tensors);
    assert_eq!(
        problems(Weights::load(&network, &path)),
        [
            "`conv.weight` is missing",
            "`conv.bias` has shape [63], expected [64]",
            "`bn.weight` holds I64 values, expected F32, F64, F16 or BF16",
            "`bn.num_batches_tracked` holds F32 values, expected I64",
            "`fc.bias` is missing",
            "`module.conv.weight` is unexpected",
        ]
    );
    std::fs::write(&path, b"PK\x03\x04 a pickle in a zip").unwrap();
    assert!(matches!(Weights::load(&network, &path), Err(TorchError::Format { .. })));
    assert!(matches!(Weights::load(&network, &folder.path().join("none")), Err(TorchError::Io { .. })));
}

#[test]
fn pretrained_weights_keep_all_but_the_classifier() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("published.safetensors");
    let published = network(Initialization::Pytorch, 1000);
    let weights = published.initialize(1);
    let mut tensors = with_names(&published, &weights);
    tensors[0].0 = "features.0.weight";
    let _counter = tensors.remove(6);
    tensors.push(("ema.decay", gaussian(0, &[1])));
    write(&path, &tensors);

    let ours = network(Initialization::Pytorch, 5);
    let unnamed = problems(Weights::load_pretrained(&ours, &path, &BTreeMap::new(), 9));
    assert_eq!(
        unnamed,
        ["`conv.weight` is missing", "`ema.decay` is unexpected", "`features.0.weight` is unexpected"]
    );
    let mut names = BTreeMap::from([
        ("features.0.weight".to_owned(), Some("conv.weight".to_owned())),
        ("ema.decay".to_owned(), None),
    ]);
    let loaded = Weights::load_pretrained(&ours, &path, &names, 9).unwrap();
    for name in ["conv.weight", "bn.running_var", "hidden.bias"] {
        assert_eq!(tensor(&ours, &loaded, name), tensor(&published, &weights, name), "{name}");
    }
    for name in ["fc.weight", "fc.bias"] {
        assert_eq!(tensor(&ours, &loaded, name), tensor(&ours, &ours.initialize(9), name), "{name}");
    }
    assert_eq!(tensor(&ours, &loaded, "bn.num_batches_tracked").int64_value(&[]), 0);
    names.insert("ema.decay".to_owned(), Some("conv.weight".to_owned()));
    let twice = problems(Weights::load_pretrained(&ours, &path, &names, 9));
    let twice_named = CheckpointProblem::Twice { name: "conv.weight".to_owned() }.to_string();
    assert!(twice.contains(&twice_named), "{twice:?}");
}
