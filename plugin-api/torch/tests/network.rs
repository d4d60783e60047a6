//! Networks against hand-written libtorch and PyTorch's numbers.

use nashost_plugin_api::graph::{Graph, GraphBuilder, INPUT, Op, Pool, Window};
use nashost_plugin_torch::{Mode, Network, TorchError, Weights, channels_last, gaussian};
use tch::{Kind, Tensor};

/// Largest absolute difference.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}

fn images(network: &Network, n: i64) -> Tensor {
    let [channels, height, width] = network.graph().input.map(|size| size as i64);
    gaussian(7, &[n, channels, height, width])
}

/// A residual block with squeeze-and-excitation, pooling and a head.
fn block() -> Network {
    let mut g = GraphBuilder::new([3, 9, 11]);
    let x = g.conv("stem", INPUT, 8, Window::square(3, 2), 1, true);
    let x = g.batch_norm("bn", &x, 1e-3);
    let x = g.relu("relu", &x);
    let pool = Pool { window: Window::square(2, 2).pads(0), ceil_mode: true, count_include_pad: false };
    let x = g.node("pool", Op::MaxPool(pool), &[&x]);
    let main = g.conv("conv", &x, 8, Window::square(3, 1), 4, false);
    let gate = g.global_average_pool("squeeze", &main);
    let gate = g.conv("excite", &gate, 8, Window::square(1, 1), 1, true);
    let gate = g.node("gate", Op::HardSigmoid, &[&gate]);
    let main = g.mul("scale", &[&main, &gate]);
    let x = g.residual("sum", &main, &x);
    let features = g.concat("cat", &[&x, &main]);
    let x = g.flatten("flatten", &features);
    let logits = g.gemm("fc", &x, 5, true);
    Network::new(g.finish(&logits, &features).expect("valid")).expect("valid")
}

/// A single layer between the image and a head that no test looks at.
fn layer(input: [usize; 3], op: Op) -> Network {
    let mut g = GraphBuilder::new(input);
    let x = g.node("layer", op, &[INPUT]);
    let flat = g.flatten("flatten", &x);
    let logits = g.gemm("fc", &flat, 1, false);
    Network::new(g.finish(&logits, &x).expect("valid")).expect("valid")
}

#[test]
fn networks_are_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&block());
}

#[test]
fn equals_hand_written_libtorch() {
    let network = block();
    let weights = network.initialize(3);
    let names: Vec<_> = network.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
    let expected = "stem.weight stem.bias bn.weight bn.bias bn.running_mean bn.running_var \
                    bn.num_batches_tracked conv.weight excite.weight excite.bias fc.weight fc.bias";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    let x = images(&network, 4);
    let w = weights.tensors();
    let none = None::<&Tensor>;
    let stem = x.conv2d(&w[0], Some(&w[1]), [2, 2], [1, 1], [1, 1], 1);
    let stem = stem.batch_norm(Some(&w[2]), Some(&w[3]), Some(&w[4]), Some(&w[5]), false, 0.1, 1e-3, false);
    let pooled = stem.relu().max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], true);
    let main = pooled.conv2d(&w[7], none, [1, 1], [1, 1], [1, 1], 4);
    let gate = main.adaptive_avg_pool2d([1, 1]).conv2d(&w[8], Some(&w[9]), [1, 1], [0, 0], [1, 1], 1);
    let main = main * gate.hardsigmoid();
    let sum = &main + &pooled;
    let expected = Tensor::cat(&[sum, main], 1).flatten(1, -1).linear(&w[10], Some(&w[11]));
    let found = network.forward(&weights, &x, Mode::Eval).unwrap();
    // fp32; other memory layouts may take other kernels.
    assert!(distance(&found, &expected) < 1e-5);
}

/// Every operator without parameters, against its formula in float64 (libtorch computes in fp32).
#[test]
fn activations_follow_their_formulas() {
    type Formula = fn(f64) -> f64;
    let sigmoid: Formula = |x| 1.0 / (1.0 + (-x).exp());
    let table: [(Op, Formula); 9] = [
        (Op::Relu, |x| x.max(0.0)),
        (Op::Sigmoid, sigmoid),
        (Op::HardSigmoid, |x| (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        (Op::HardSwish, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        (Op::Swish, |x| x / (1.0 + (-x).exp())),
        (Op::Clip { min: -0.5, max: 2.0 }, |x| x.clamp(-0.5, 2.0)),
        (Op::Tanh, f64::tanh),
        (Op::Identity, |x| x),
        (Op::Dropout { ratio: 0.5 }, |x| x),
    ];
    for (op, formula) in table {
        let name = op.name();
        let network = layer([1, 8, 8], op);
        let x = images(&network, 2) * 3.0;
        let found =
            network.forward_taps(&network.initialize(0), &x, Mode::Eval, &["layer"]).unwrap().swap_remove(0);
        let [found, x] = [found, x].map(|t| Vec::<f32>::try_from(t.contiguous().view(-1)).unwrap());
        for (found, x) in found.into_iter().zip(x) {
            assert!((f64::from(found) - formula(f64::from(x))).abs() < 1e-6, "{name}({x}) = {found}");
        }
    }
    // GELU(1) = Φ(1); the tanh approximation would be 1.5e-4 off.
    let network = layer([1, 1, 1], Op::Gelu);
    let one = Tensor::from_slice(&[1.0_f32]).view([1, 1, 1, 1]);
    let found = network.forward_taps(&network.initialize(0), &one, Mode::Eval, &["layer"]).unwrap();
    assert!((found[0].double_value(&[0, 0, 0, 0]) - 0.841_344_746).abs() < 1e-6);
}

#[test]
fn a_slice_drops_the_first_rows_and_columns() {
    let network = layer([2, 4, 3], Op::Slice { starts: [1, 2] });
    let x = images(&network, 2);
    let found =
        network.forward_taps(&network.initialize(0), &x, Mode::Eval, &["layer"]).unwrap().swap_remove(0);
    assert_eq!(found.size(), [2, 2, 3, 1]);
    for (image, channel, row) in [(0, 0, 0), (1, 1, 2), (0, 1, 1)] {
        assert_eq!(
            found.double_value(&[image, channel, row, 0]),
            x.double_value(&[image, channel, row + 1, 2])
        );
    }
}

#[test]
fn batch_norm_equals_pytorch() {
    let fixture = fixture();
    let numbers =
        |key: &str| -> Vec<f64> { serde_json::from_value(fixture["batch_norm"][key].clone()).unwrap() };
    // Sums of 40 values in fp32.
    let close = |found: &Tensor, key: &str| {
        let found = Vec::<f64>::try_from(found.to_kind(Kind::Double).contiguous().view(-1)).unwrap();
        let expected = numbers(key);
        assert_eq!(found.len(), expected.len());
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 5e-6, "{key}: {worst}");
    };
    let network = layer([3, 2, 5], Op::BatchNormalization { epsilon: 1e-3, momentum: 0.9 });
    let mut tensors = network.initialize(0).into_tensors();
    tensors[0] = (wave(&[3], 1.3) * 0.5 + 1.0).set_requires_grad(true);
    tensors[1] = (wave(&[3], 0.7) * 0.2).set_requires_grad(true);
    let weights = Weights::new(tensors);
    let run = |x: &Tensor, mode| network.forward_taps(&weights, x, mode, &["layer"]).unwrap().swap_remove(0);

    let first = wave(&[4, 3, 2, 5], 0.37) * 2.0 + 1.0;
    let second = wave(&[4, 3, 2, 5], 0.91).set_requires_grad(true);
    let _ = run(&first, Mode::Train);
    let answer = run(&second, Mode::Train);
    (&answer * wave(&[4, 3, 2, 5], 0.11)).sum(Kind::Float).backward();
    close(&answer, "train");
    close(&second.grad(), "input_grad");
    close(&weights.tensors()[0].grad(), "weight_grad");
    close(&weights.tensors()[1].grad(), "bias_grad");
    close(&weights.tensors()[2], "running_mean");
    close(&weights.tensors()[3], "running_var");
    assert_eq!(weights.tensors()[4].int64_value(&[]), 2);
    close(&run(&first, Mode::Eval), "eval");
    assert_eq!(weights.tensors()[4].int64_value(&[]), 2, "evaluation must not count");
}

#[test]
fn batch_statistics_of_one_value_are_refused() {
    let network = layer([3, 1, 1], Op::BatchNormalization { epsilon: 1e-3, momentum: 0.9 });
    let weights = network.initialize(0);
    let run = |n, mode| network.forward(&weights, &images(&network, n), mode);
    assert!(matches!(run(1, Mode::Train), Err(TorchError::SingleValue { node }) if node == "layer"));
    assert_eq!(weights.tensors()[4].int64_value(&[]), 0);
    assert!(run(1, Mode::Eval).is_ok());
    assert!(run(2, Mode::Train).is_ok());
}

#[test]
fn an_auxiliary_classifier_runs_in_training_passes_alone() {
    let mut g = GraphBuilder::new([1, 4, 4]);
    let x = g.conv("conv", INPUT, 3, Window::square(3, 1), 1, false);
    let x = g.batch_norm("bn", &x, 1e-5);
    let aux = g.batch_norm("aux.bn", &x, 1e-5);
    let [main, second] = [("", &x), ("aux.", &aux)].map(|(name, x)| {
        let x = g.global_average_pool(format!("{name}pool"), x);
        let x = g.flatten(format!("{name}flatten"), &x);
        g.gemm(format!("{name}fc"), &x, 2, true)
    });
    g.auxiliary(&second, 0.4);
    let network = Network::new(g.finish(&main, &x).unwrap()).unwrap();
    let images = images(&network, 6);
    let weights = network.initialize(3);
    let tracked = |name: &str| {
        let at = network.parameters().iter().position(|parameter| parameter.name == name).unwrap();
        weights.tensors()[at].int64_value(&[])
    };
    for mode in [Mode::Eval, Mode::Train] {
        drop(network.forward(&weights, &images, mode).unwrap());
    }
    assert_eq!((tracked("bn.num_batches_tracked"), tracked("aux.bn.num_batches_tracked")), (1, 0));
    let (logits, auxiliary) = network.forward_training(&weights, &images).unwrap();
    assert_eq!((tracked("bn.num_batches_tracked"), tracked("aux.bn.num_batches_tracked")), (2, 1));
    assert_eq!(logits, network.forward(&weights, &images, Mode::Train).unwrap());
    let taps = network.forward_taps(&weights, &images, Mode::Train, &["fc", "aux.fc"]).unwrap();
    assert_eq!((&taps[0], Some(&taps[1])), (&logits, auxiliary.as_ref()));
}

#[test]
fn dropout_keeps_the_mean_and_drop_path_drops_images() {
    tch::manual_seed(1);
    let ones = Tensor::ones([64, 2, 16, 16], tch::kind::FLOAT_CPU);
    let run = |op, mode| {
        let network = layer([2, 16, 16], op);
        network.forward_taps(&network.initialize(0), &ones, mode, &["layer"]).unwrap().swap_remove(0)
    };
    let dropped = run(Op::Dropout { ratio: 0.25 }, Mode::Train);
    // 32768 values, standard error 0.003.
    assert!((dropped.mean(Kind::Float).double_value(&[]) - 1.0).abs() < 0.015);
    let path = run(Op::DropPath { ratio: 0.25 }, Mode::Train);
    let per_image = path.flatten(1, -1);
    assert_eq!(per_image.amax([1], false), per_image.amin([1], false));
    let values = Vec::<f32>::try_from(per_image.amax([1], false)).unwrap();
    assert!(values.contains(&0.0));
    assert!(values.iter().all(|&value| value == 0.0 || (value - 4.0 / 3.0).abs() < 1e-6));
    assert_eq!(run(Op::DropPath { ratio: 0.25 }, Mode::Eval), ones);
}

#[test]
fn convolutions_stay_channels_last_whatever_the_images_are() {
    let network = block();
    let weights = network.initialize(1);
    let x = images(&network, 2);
    let run = |x: &Tensor| network.forward_taps(&weights, x, Mode::Eval, &["conv", "fc"]).unwrap();
    let (rows, pixels) = (run(&x), run(&channels_last(&x)));
    assert_eq!(rows[0].stride()[1], 1);
    assert_eq!(rows, pixels);
}

#[test]
fn bf16_runs_with_fp32_normalisation() {
    let network = block();
    let weights = network.initialize(1);
    let x = images(&network, 4);
    let half = weights.to_kind(&network, Kind::BFloat16);
    for mode in [Mode::Eval, Mode::Train] {
        let exact = network.forward(&weights, &x, mode).unwrap();
        let found = network.forward(&half, &x.to_kind(Kind::BFloat16), mode).unwrap();
        assert_eq!(found.kind(), Kind::BFloat16);
        // bf16 keeps 8 bits; logits are of order 1.
        assert!(distance(&found, &exact) < 0.05, "{}", distance(&found, &exact));
    }
    assert_eq!(half.tensors()[3].kind(), Kind::Float);
}

#[test]
fn errors_name_the_node() {
    let network = block();
    let mut tensors = network.initialize(0).into_tensors();
    tensors[7] = gaussian(0, &[8, 3, 3, 3]);
    let error = network.forward(&Weights::new(tensors), &images(&network, 1), Mode::Eval).unwrap_err();
    assert_eq!(error.to_string(), "node `conv` (Conv) on [1, 8, 3, 3]");
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(reason.contains("groups=4") && !reason.contains('\n'), "{reason}");
    let weights = network.initialize(0);
    let error = network.forward(&weights, &gaussian(0, &[1, 3, 9, 9]), Mode::Eval).unwrap_err();
    assert_eq!(error.to_string(), "images have shape [1, 3, 9, 9], expected [N, 3, 9, 11]");
    let error = network.forward_taps(&weights, &images(&network, 1), Mode::Eval, &["cnov"]).unwrap_err();
    assert!(matches!(error, TorchError::UnknownTap(name) if name == "cnov"));
    let few = Weights::new(vec![]);
    let error = network.forward(&few, &images(&network, 1), Mode::Eval).unwrap_err();
    assert!(matches!(error, TorchError::WeightCount { expected: 12, found: 0 }));
}

/// 128 layers of 4 MiB each would need 512 MiB if their values were kept.
#[test]
fn values_are_freed_after_their_last_reader() {
    let mut g = GraphBuilder::new([1, 1024, 1024]);
    let mut x = INPUT.to_owned();
    for i in 0..128 {
        x = g.node(format!("{i}"), Op::Sigmoid, &[&x]);
    }
    let pooled = g.global_average_pool("pool", &x);
    let flat = g.flatten("flatten", &pooled);
    let logits = g.gemm("fc", &flat, 1, false);
    let network = Network::new(g.finish(&logits, &x).unwrap()).unwrap();
    assert_eq!(network.graph().costs().unwrap().peak_activations, 2 << 20);
    let peak_mib = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
    };
    let (weights, x) = (network.initialize(0), images(&network, 1));
    let before = peak_mib();
    let _ = network.forward(&weights, &x, Mode::Eval).unwrap();
    assert!(peak_mib() < before + 256);
}

/// torchvision's ResNet-18, written with the builder.
fn resnet18() -> Graph {
    let mut g = GraphBuilder::new([3, 224, 224]);
    let x = g.conv("conv1", INPUT, 64, Window::square(7, 2), 1, false);
    let x = g.batch_norm("bn1", &x, 1e-5);
    let x = g.relu("relu", &x);
    let mut x = g.max_pool("maxpool", &x, Window::square(3, 2));
    for (stage, width) in [64, 128, 256, 512].into_iter().enumerate() {
        for unit in 0..2 {
            let name = format!("layer{}.{unit}", stage + 1);
            let stride = if stage > 0 && unit == 0 { 2 } else { 1 };
            let main = g.conv(format!("{name}.conv1"), &x, width, Window::square(3, stride), 1, false);
            let main = g.batch_norm(format!("{name}.bn1"), &main, 1e-5);
            let main = g.relu(format!("{name}.relu1"), &main);
            let main = g.conv(format!("{name}.conv2"), &main, width, Window::square(3, 1), 1, false);
            let main = g.batch_norm(format!("{name}.bn2"), &main, 1e-5);
            if stride == 2 {
                x = g.conv(format!("{name}.downsample.0"), &x, width, Window::square(1, 2), 1, false);
                x = g.batch_norm(format!("{name}.downsample.1"), &x, 1e-5);
            }
            x = g.residual(format!("{name}.add"), &main, &x);
            x = g.relu(format!("{name}.relu2"), &x);
        }
    }
    let pooled = g.global_average_pool("avgpool", &x);
    let flat = g.flatten("flatten", &pooled);
    let logits = g.gemm("fc", &flat, 1000, true);
    g.finish(&logits, &x).expect("valid")
}

#[test]
fn resnet18_has_the_names_and_costs_of_torchvision() {
    let fixture = fixture();
    let expected = &fixture["resnet18"];
    let graph = resnet18();
    let costs = graph.costs().unwrap();
    let additions: usize =
        [64 * 56 * 56, 128 * 28 * 28, 256 * 14 * 14, 512 * 7 * 7].map(|numel| 2 * numel).iter().sum();
    let modules = expected["module_activations"].as_u64().unwrap();
    assert_eq!(costs.params, expected["params"].as_u64().unwrap());
    assert_eq!(costs.buffers, expected["buffers"].as_u64().unwrap());
    assert_eq!(costs.macs, expected["macs"].as_u64().unwrap());
    assert_eq!(costs.layers, expected["layers"].as_u64().unwrap());
    assert_eq!(costs.activations, modules + additions as u64 + 512);
    let network = Network::new(graph).unwrap();
    let mut found: Vec<_> = network
        .parameters()
        .iter()
        .map(|parameter| (parameter.name.clone(), parameter.shape.clone()))
        .collect();
    let names = expected["names"].as_object().unwrap();
    let mut expected: Vec<_> = names
        .iter()
        .map(|(name, shape)| (name.clone(), serde_json::from_value::<Vec<i64>>(shape.clone()).unwrap()))
        .collect();
    // torchvision registers bn1 before conv2's inputs are known to it; the order is another.
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// Numbers written by `tests/fixtures/graph/make.py`.
fn fixture() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/graph/pytorch.json")).expect("JSON")
}

/// `sin(a·i)` in row-major order, as in `make.py`.
fn wave(shape: &[i64], a: f64) -> Tensor {
    let numel: i64 = shape.iter().product();
    let values: Vec<f32> = (0..numel).map(|i| (a * i as f64).sin() as f32).collect();
    Tensor::from_slice(&values).view(shape)
}
