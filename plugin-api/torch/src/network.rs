//! A graph, compiled.

use std::ops::Range;

use nashost_plugin_api::graph::{Graph, Node, Op, Resolved, Source};

use crate::TorchError;

/// A tensor of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name as PyTorch would say it, such as `layer1.0.conv1.weight`.
    pub name: String,
    /// Index of its node in [`Graph::nodes`].
    pub node: usize,
    /// Sizes; empty for a scalar.
    pub shape: Vec<i64>,
    /// Learnt by gradient, as opposed to tracked.
    pub trainable: bool,
    /// Whether weight decay applies: the weights of Conv and Gemm, not biases or normalisation.
    pub decay: bool,
}

/// A valid graph, compiled to indices. It holds no tensor and may be shared between threads.
#[derive(Debug, Clone)]
pub struct Network {
    graph: Graph,
    parameters: Vec<Parameter>,
    pub(crate) steps: Vec<Step>,
    pub(crate) output: usize,
    pub(crate) auxiliary: Option<usize>,
}

/// What the executor knows of a node.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) inputs: Vec<Source>,
    /// The output does not depend on it.
    pub(crate) training_only: bool,
    /// Its tensors, as a range of the network's.
    pub(crate) parameters: Range<usize>,
    /// Values that nobody reads once the node has run.
    pub(crate) releases: Vec<Source>,
    /// The node may write its answer over this one's value: the value is fresh memory, this node
    /// is its only reader, and autograd does not need it.
    pub(crate) overwrites: Option<usize>,
}

impl Network {
    /// Compiles a graph.
    ///
    /// # Errors
    ///
    /// Fails if the graph is not valid.
    pub fn new(graph: Graph) -> Result<Self, TorchError> {
        let resolved = graph.resolve()?;
        let uses = resolved.uses();
        let releases = resolved.releases();
        let reaches_output = resolved.reaches_output();
        let mut parameters = Vec::new();
        let mut steps = Vec::with_capacity(graph.nodes.len());
        for (node, releases) in releases.into_iter().enumerate() {
            let first = parameters.len();
            parameters.extend(tensors_of(&graph, &resolved, node));
            steps.push(Step {
                inputs: resolved.inputs[node].clone(),
                training_only: !reaches_output[node],
                parameters: first..parameters.len(),
                releases,
                overwrites: overwritten(&graph, &resolved, &uses, node),
            });
        }
        Ok(Self { graph, parameters, steps, output: resolved.output, auxiliary: resolved.auxiliary })
    }

    /// Returns the network with `share` times the probabilities of its drop paths.
    #[must_use]
    pub fn with_drop_path(&self, share: f64) -> Self {
        Self { graph: self.graph.with_drop_path(share), ..self.clone() }
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Its tensors in node order; within a node `weight`, `bias`, `running_mean`, `running_var`,
    /// `num_batches_tracked`.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The tensors of the classifier: the last Gemm that leads to the output.
    pub(crate) fn classifier(&self) -> Range<usize> {
        let is_gemm = |node: &Node| matches!(node.op, Op::Gemm { .. });
        let nodes = self.graph.nodes.iter().zip(&self.steps);
        let last = nodes.rev().position(|(node, step)| is_gemm(node) && !step.training_only);
        let last = last.map(|behind| self.steps.len() - 1 - behind);
        last.map_or(0..0, |node| self.steps[node].parameters.clone())
    }
}

fn tensors_of(graph: &Graph, resolved: &Resolved, index: usize) -> impl Iterator<Item = Parameter> {
    let node = &graph.nodes[index];
    let specs = node.op.parameters(resolved.shape(resolved.inputs[index][0]));
    specs.into_iter().map(move |spec| Parameter {
        name: format!("{}.{}", node.name, spec.suffix),
        node: index,
        // A valid graph has no size above i32::MAX.
        shape: spec.shape.iter().map(|&size| size as i64).collect(),
        trainable: spec.trainable,
        decay: node.op.is_layer() && spec.suffix == "weight",
    })
}

/// Finds the value that `node` may overwrite.
fn overwritten(graph: &Graph, resolved: &Resolved, uses: &[usize], node: usize) -> Option<usize> {
    if !matches!(graph.nodes[node].op, Op::Relu | Op::Add { .. }) {
        return None;
    }
    let &Source::Node(input) = resolved.inputs[node].first()? else { return None };
    // The backward passes of these read their inputs and statistics, never their answer; others
    // read their answer (Sigmoid), or answer a view of their input (Flatten).
    let disposable = matches!(
        graph.nodes[input].op,
        Op::Conv { .. } | Op::BatchNormalization { .. } | Op::Gemm { .. } | Op::Add { .. }
    );
    (disposable && uses[input] == 1).then_some(input)
}
