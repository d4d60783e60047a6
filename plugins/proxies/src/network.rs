//! Networks and batches to be scored.

use nashost_plugin_api::{
    graph::{Graph, Op},
    seed::derive_seed,
};
use nashost_plugin_torch::{Network, gaussian};
use tch::{Device, Tensor};

use crate::undefined::Undefined;

/// Compiles a network without dropout, whose masks would come from a generator of libtorch.
pub(crate) fn without_dropout(graph: &Graph) -> Result<Network, Undefined> {
    replace(graph, |op| matches!(op, Op::Dropout { .. } | Op::DropPath { .. }))
}

/// Compiles a network without dropout and batch normalisation, as `synflow` wants it.
pub(crate) fn linear_flow(graph: &Graph) -> Result<Network, Undefined> {
    let is_left_out =
        |op: &Op| matches!(op, Op::Dropout { .. } | Op::DropPath { .. } | Op::BatchNormalization { .. });
    replace(graph, is_left_out)
}

fn replace(graph: &Graph, is_left_out: impl Fn(&Op) -> bool) -> Result<Network, Undefined> {
    let mut graph = graph.clone();
    for node in graph.nodes.iter_mut().filter(|node| is_left_out(&node.op)) {
        node.op = Op::Identity;
    }
    Ok(Network::new(graph)?)
}

/// Draws `batch` images of N(0, 1), `batch×C×H×W`.
pub(crate) fn images(network: &Network, batch: u32, seed: u64, device: Device) -> Tensor {
    let [channels, height, width] = network.graph().input.map(|size| size as i64);
    gaussian(derive_seed(seed, "images"), &[i64::from(batch), channels, height, width]).to_device(device)
}
