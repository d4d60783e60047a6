//! Weights of which the layers nearest to the output are drawn anew.

use nashost_plugin_torch::{Network, Weights};

/// Returns the `trained` weights, of which the last `layers` layers with weights are replaced by those of
/// `fresh`, in the order of the graph. Others share memory with `trained`.
pub fn randomised(network: &Network, trained: &Weights, fresh: &Weights, layers: usize) -> Weights {
    let all = layers_of(network);
    let kept = all.len().saturating_sub(layers);
    let first = all.get(kept).copied();
    let pairs = network.parameters().iter().zip(trained.tensors().iter().zip(fresh.tensors()));
    let chosen = pairs.map(|(parameter, (trained, fresh))| {
        if first.is_some_and(|first| parameter.node >= first) {
            fresh.to_device(trained.device())
        } else {
            trained.shallow_clone()
        }
    });
    Weights::new(chosen.collect())
}

/// Nodes that have tensors, in their order.
pub(crate) fn layers_of(network: &Network) -> Vec<usize> {
    let mut nodes: Vec<usize> = network.parameters().iter().map(|parameter| parameter.node).collect();
    nodes.dedup();
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cam::tests::network;

    #[test]
    fn layers_are_replaced_from_the_output_downwards() {
        let network = network();
        let (trained, fresh) = (network.initialize(1), network.initialize(2));
        let fresh_tensors = |layers: usize| -> Vec<&str> {
            let mixed = randomised(&network, &trained, &fresh, layers);
            let pairs = network.parameters().iter().zip(mixed.tensors().iter().zip(fresh.tensors()));
            let same = pairs.filter(|(parameter, (mixed, fresh))| {
                parameter.name.ends_with("weight") && !parameter.name.starts_with("bn") && mixed.equal(fresh)
            });
            same.map(|(parameter, _)| parameter.name.as_str()).collect()
        };
        assert!(fresh_tensors(0).is_empty());
        assert_eq!(fresh_tensors(1), ["fc.weight"]);
        assert_eq!(fresh_tensors(2), ["conv2.weight", "fc.weight"]);
        assert_eq!(fresh_tensors(99), ["conv1.weight", "conv2.weight", "fc.weight"]);
        assert_eq!(layers_of(&network).len(), 4, "a layer of normalisation is one, too");
    }
}
