//! What holds for every network.

use nashost_plugin_api::graph::{Graph, Op};
use nashost_plugin_torch::{Mode, Network, Weights, gaussian};
use proptest::prelude::*;
use tch::{Kind, Tensor};

#[path = "../../../tests/fixtures/graph/arbitrary.rs"]
mod arbitrary;

fn images(graph: &Graph, n: i64) -> Tensor {
    let [channels, height, width] = graph.input.map(|size| size as i64);
    // Small, since some graphs square their values over and over.
    gaussian(7, &[n, channels, height, width]) * 0.1
}

fn all_nodes(graph: &Graph) -> Vec<&str> {
    graph.nodes.iter().map(|node| node.name.as_str()).collect()
}

fn same(a: &Tensor, b: &Tensor) -> bool {
    a.size() == b.size() && a.allclose(b, 1e-6, 1e-7, true)
}

/// Fresh weights in float64, of which the trainable ones record gradients.
fn trainable(network: &Network) -> Weights {
    let tensors = network.initialize(5).into_tensors().into_iter().zip(network.parameters());
    let tensors = tensors.map(|(tensor, parameter)| match tensor.kind() {
        Kind::Float => tensor.to_kind(Kind::Double).set_requires_grad(parameter.trainable),
        _ => tensor,
    });
    Weights::new(tensors.collect())
}

/// The gradients of a loss that every logit takes part in; undefined where none arrives.
fn gradients(network: &Network, weights: &Weights, logits: &Tensor) -> Vec<Option<Tensor>> {
    logits.square().sum(Kind::Double).backward();
    let tensors = weights.tensors().iter().zip(network.parameters()).filter(|(_, p)| p.trainable);
    tensors.map(|(tensor, _)| Some(tensor.grad()).filter(Tensor::defined)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn costs_are_what_the_tensors_hold(graph in arbitrary::graphs()) {
        let costs = graph.costs().unwrap();
        let shapes = graph.shapes().unwrap();
        let network = Network::new(graph).unwrap();
        let weights = network.initialize(1);
        let (mut params, mut buffers) = (0, 0);
        for (tensor, parameter) in weights.tensors().iter().zip(network.parameters()) {
            prop_assert_eq!(&tensor.size(), &parameter.shape);
            *(if parameter.trainable { &mut params } else { &mut buffers }) += tensor.numel() as u64;
        }
        prop_assert_eq!((costs.params, costs.buffers), (params, buffers));
        let values = network
            .forward_taps(&weights, &images(network.graph(), 1), Mode::Eval, &all_nodes(network.graph()))
            .unwrap();
        let mut activations = 0;
        for (value, shape) in values.iter().zip(shapes) {
            let dims: Vec<_> = value.size()[1..].iter().map(|&size| size as usize).collect();
            prop_assert_eq!(dims, shape.dims());
            activations += value.numel() as u64;
        }
        prop_assert_eq!(costs.activations, activations);
    }

    /// Tapping every node forbids to free or overwrite anything, so this compares the economical
    /// way of running with the plain one: values, gradients and statistics. In float64, since the
    /// gradient of a bias before a normalisation is nothing but rounding.
    #[test]
    fn economy_changes_nothing(graph in arbitrary::graphs()) {
        let mut graph = graph;
        for node in &mut graph.nodes {
            if matches!(node.op, Op::Dropout { .. } | Op::DropPath { .. }) {
                node.op = Op::Identity;
            }
        }
        let network = Network::new(graph).unwrap();
        let x = images(network.graph(), 3).to_kind(Kind::Double);
        let (thrifty, plain) = (trainable(&network), trainable(&network));
        let logits = network.forward(&thrifty, &x, Mode::Train).unwrap();
        let mut values = network.forward_taps(&plain, &x, Mode::Train, &all_nodes(network.graph())).unwrap();
        let expected = values.pop().unwrap();
        drop(values);
        prop_assert!(same(&logits, &expected));
        let found = gradients(&network, &thrifty, &logits);
        let expected = gradients(&network, &plain, &expected);
        for ((found, expected), parameter) in
            found.iter().zip(&expected).zip(network.parameters().iter().filter(|p| p.trainable))
        {
            let (Some(found), Some(expected)) = (found, expected) else {
                panic!("no gradient reaches {}", parameter.name)
            };
            prop_assert!(same(found, expected), "{}: {found} instead of {expected}", parameter.name);
        }
        for (found, expected) in thrifty.tensors().iter().zip(plain.tensors()) {
            prop_assert!(same(&found.to_kind(Kind::Float), &expected.to_kind(Kind::Float)));
        }
    }

    #[test]
    fn a_tap_is_independent_of_the_others(graph in arbitrary::graphs(), pick in any::<prop::sample::Index>()) {
        let network = Network::new(graph).unwrap();
        let weights = network.initialize(1);
        let x = images(network.graph(), 2);
        let names = all_nodes(network.graph());
        let values = network.forward_taps(&weights, &x, Mode::Eval, &names).unwrap();
        let pick = pick.index(names.len());
        let alone = network.forward_taps(&weights, &x, Mode::Eval, &[names[pick]]).unwrap();
        prop_assert!(same(&alone[0], &values[pick]));
    }
}
