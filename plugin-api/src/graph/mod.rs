//! The architecture graph: standard layers as data.
//!
//! A [`Graph`] is a list of [`Node`]s in topological order. Operators and their attributes are
//! those of ONNX, nodes are named as PyTorch modules would be (`layer1.0.conv1`), and the weights
//! of a node are `<node>.weight`, `<node>.bias`, `<node>.running_mean`, … so that torchvision and
//! timm checkpoints load as they are. Shapes are per image, without the batch axis.

//!
//! Write graphs with [`GraphBuilder`]; [`Graph::resolve`] checks them and answers every shape.

mod builder;
mod cost;
mod error;
mod json;
mod op;
mod resolve;
mod shape;
mod transform;
mod validate;

pub use builder::GraphBuilder;
pub use cost::{Costs, NodeCost};
pub use error::{GraphError, Problem, ProblemKind};
pub use json::GraphJsonError;
pub use op::{Op, ParameterSpec, Pool, Window};
pub use resolve::{Resolved, Source};
pub use shape::Shape;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the graph format that this crate writes and reads.
pub const SCHEMA: u32 = 1;

/// Name that stands for the image in [`Node::inputs`].
pub const INPUT: &str = "input";

/// How fresh weights are drawn. Names follow the code that made the scheme common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Initialization {
    /// PyTorch's module defaults: Kaiming-uniform with `a = sqrt(5)` for Conv and Gemm weights,
    /// uniform in `±1/sqrt(fan_in)` for their biases, 1 and 0 for normalisation layers.
    #[default]
    Pytorch,
    /// torchvision's ResNet: Kaiming-normal, fan-out, ReLU gain for Conv; the rest as `Pytorch`.
    KaimingNormalFanOut,
    /// ZenNAS's training scheme: Xavier-normal with gain 3.26033 for Conv, its counterpart for
    /// Gemm, zero biases.
    XavierNormalZen,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Unique name, as PyTorch would call the module.
    pub name: String,
    /// Operator and attributes.
    pub op: Op,
    /// Names of earlier nodes, or [`INPUT`].
    pub inputs: Vec<String>,
}

/// A network for images of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// Version of this format: [`SCHEMA`].
    pub schema: u32,
    /// Channels, height, width of the image.
    pub input: [usize; 3],
    /// How fresh weights are drawn.
    #[serde(default)]
    pub initialization: Initialization,
    /// Layers in topological order.
    pub nodes: Vec<Node>,
    /// The node whose value is the network's answer: one logit per label.
    pub output: String,
    /// The node whose value is the last feature map, before global pooling (what Zen-Score and
    /// Grad-CAM look at).
    pub features: String,
    /// A second classifier, which takes part in training only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auxiliary: Option<Auxiliary>,
}

/// A second classifier on an earlier map, which brings gradients there: its loss, weighed, is added to the
/// network's while training (Szegedy et al., *Going Deeper with Convolutions*, CVPR 2015, section 5). Nodes
/// that lead to it alone do not run otherwise, and do not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auxiliary {
    /// The node whose value is its answer: one logit per label.
    pub output: String,
    /// How much its loss weighs beside the network's.
    pub weight: f64,
}
