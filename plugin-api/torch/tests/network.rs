//! Networks against hand-written libtorch, PyTorch's numbers, and their own costs.

use nashost_plugin_api::graph::{Graph, GraphBuilder, INPUT, Op, Pool, Window};
use nashost_plugin_torch::{Mode, Network, gaussian};
use tch::Tensor;

/// Largest absolute difference.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

fn images(graph: &Graph, n: i64) -> Tensor {
    let [c, h, w] = graph.input.map(|size| size as i64);
    gaussian(7, &[n, c, h, w])
}

/// A residual block with squeeze-and-excitation, pooling and a head.
fn block() -> Graph {
    let mut g = GraphBuilder::new([3, 9, 11]);
    let x = g.conv("stem", INPUT, 8, Window::square(3, 2), 1, true);
    let stem = g.batch_norm("bn", &x, 1e-3);
    let x = g.relu("relu", &stem);
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
    g.finish(&logits, &features).expect("valid")
}

#[test]
fn equals_hand_written_libtorch() {
    let network = Network::new(block()).unwrap();
    let weights = network.initialize(3);
    let names: Vec<_> = network.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "stem.weight",
            "stem.bias",
            "bn.weight",
            "bn.bias",
            "bn.running_mean",
            "bn.running_var",
            "bn.num_batches_tracked",
            "conv.weight",
            "excite.weight",
            "excite.bias",
            "fc.weight",
            "fc.bias"
        ]
    );
    let x = images(network.graph(), 4);
    let w = weights.tensors();
    let none = None::<&Tensor>;
    let stem = x.conv2d(&w[0], Some(&w[1]), [2, 2], [1, 1], [1, 1], 1);
    let stem = stem.batch_norm(Some(&w[2]), Some(&w[3]), Some(&w[4]), Some(&w[5]), false, 0.1, 1e-3, false);
    let pooled = stem.relu().max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], true);
    let main = pooled.conv2d(&w[7], none, [1, 1], [1, 1], [1, 1], 4);
    let gate =
        main.adaptive_avg_pool2d([1, 1]).conv2d(&w[8], Some(&w[9]), [1, 1], [0, 0], [1, 1], 1).hardsigmoid();
    let main = main * gate;
    let sum = &main + &pooled;
    let expected = Tensor::cat(&[sum, main], 1).flatten(1, -1).linear(&w[10], Some(&w[11]));
    let found = network.forward(&weights, &x, Mode::Eval).unwrap();
    // fp32; memory layouts may pick other kernels.
    assert!(distance(&found, &expected) < 1e-5);
}
