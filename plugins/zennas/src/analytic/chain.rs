//! From graphs to chains.

use nashost_plugin_api::graph::{Graph, GraphError, Op, Resolved, Source};

use super::walk::Layer;

/// Why a network has no analytic Zen-Score.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// The graph is not valid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A skip connection, and `residual_links = true`.
    #[error(
        "node `{0}` is a skip connection, whose sum the theory does not cover; \
         `residual_links = false` removes it, as the official search does"
    )]
    ResidualLink(String),
    /// Not an operator of a plain chain.
    #[error("node `{node}` is {op}; the theory covers Conv, BatchNormalization and ReLU only")]
    Operator {
        /// Name of the node.
        node: String,
        /// Its operator.
        op: &'static str,
    },
    /// An operator where the chain has another.
    #[error("node `{node}` is {found}, where a chain has {expected}")]
    Order {
        /// Name of the node.
        node: String,
        /// Its operator.
        found: &'static str,
        /// What a chain has there.
        expected: &'static str,
    },
    /// A value that two nodes read.
    #[error("node `{0}` reads a value that another node reads, too: not a chain")]
    Branch(String),
    /// Variance of a single value.
    #[error("batch normalisation `{0}` sees a single value per channel; the variance needs a larger batch")]
    SingleValue(String),
    /// No layer at all.
    #[error("the network has no convolution before its last feature map")]
    Empty,
}

/// What comes next in a chain.
#[derive(Clone, Copy)]
enum Expected {
    Conv,
    BatchNorm(usize),
    Relu,
}

impl Expected {
    fn name(self) -> &'static str {
        match self {
            Self::Conv => "a convolution",
            Self::BatchNorm(_) => "a batch normalisation",
            Self::Relu => "a ReLU",
        }
    }
}

/// Reads the layers of the chain from the image to the last feature map.
///
/// # Errors
///
/// Fails if that part of the graph is not a chain of Conv, BatchNormalization and ReLU.
pub(super) fn layers(graph: &Graph, batch: u32) -> Result<Vec<Layer>, Undefined> {
    let resolved = graph.resolve()?;
    let mut layers: Vec<Layer> = Vec::new();
    let mut expected = Expected::Conv;
    for index in path(graph, &resolved)? {
        let node = &graph.nodes[index];
        let input = resolved.shape(resolved.inputs[index][0]);
        expected = match (&node.op, expected) {
            // Dropout is left out of untrained networks, as the Monte-Carlo score does.
            (Op::Identity | Op::Dropout { .. } | Op::DropPath { .. }, same) => same,
            (Op::Conv { out_channels, window, group, .. }, Expected::Conv) => {
                layers.push(Layer {
                    fan: input.channels() / group,
                    output: *out_channels,
                    window: *window,
                    momentum: 0.0,
                });
                Expected::BatchNorm(layers.len() - 1)
            }
            (Op::BatchNormalization { momentum, .. }, Expected::BatchNorm(layer)) => {
                layers[layer].momentum = *momentum;
                if input.numel() / input.channels() * batch as usize == 1 {
                    return Err(Undefined::SingleValue(node.name.clone()));
                }
                Expected::Relu
            }
            (Op::Relu, Expected::Relu) => Expected::Conv,
            (Op::Conv { .. } | Op::BatchNormalization { .. } | Op::Relu, expected) => {
                let (node, found) = (node.name.clone(), node.op.name());
                return Err(Undefined::Order { node, found, expected: expected.name() });
            }
            (op, _) => return Err(Undefined::Operator { node: node.name.clone(), op: op.name() }),
        };
    }
    match expected {
        Expected::Conv if layers.is_empty() => Err(Undefined::Empty),
        Expected::Conv => Ok(layers),
        Expected::BatchNorm(_) | Expected::Relu => {
            let node = &graph.nodes[resolved.features];
            let expected = "the ReLU at its end";
            Err(Undefined::Order { node: node.name.clone(), found: node.op.name(), expected })
        }
    }
}

/// Lists the nodes from the image to the last feature map.
fn path(graph: &Graph, resolved: &Resolved) -> Result<Vec<usize>, Undefined> {
    let mut path = Vec::new();
    let mut at = Source::Node(resolved.features);
    while let Source::Node(index) = at {
        let node = &graph.nodes[index];
        path.push(index);
        match (&node.op, resolved.inputs[index].as_slice()) {
            (_, [input]) => at = *input,
            (Op::Add { residual: true }, _) => return Err(Undefined::ResidualLink(node.name.clone())),
            (op, _) => return Err(Undefined::Operator { node: node.name.clone(), op: op.name() }),
        }
    }
    path.reverse();
    // Values that leave the chain before its end would be another network's business.
    let uses = resolved.uses();
    let inner = path.iter().zip(path.iter().skip(1));
    if let Some((_, reader)) = inner.clone().find(|(index, _)| uses[**index] > 1) {
        return Err(Undefined::Branch(graph.nodes[*reader].name.clone()));
    }
    Ok(path)
}
