//! Writes graphs pleasantly.

use super::{Auxiliary, Graph, GraphError, Initialization, Node, Op, Pool, SCHEMA, Window};

/// Builds a [`Graph`] node by node. Each method answers the name of the node it adds, to be used
/// as an input of later nodes.
///
/// ```
/// use nashost_plugin_api::graph::{GraphBuilder, INPUT, Window};
///
/// let mut g = GraphBuilder::new([3, 32, 32]);
/// let x = g.conv("conv1", INPUT, 16, Window::square(3, 2), 1, false);
/// let x = g.batch_norm("bn1", &x, 1e-5);
/// let x = g.relu("relu", &x);
/// let pooled = g.global_average_pool("avgpool", &x);
/// let flat = g.flatten("flatten", &pooled);
/// let logits = g.gemm("fc", &flat, 10, true);
/// let graph = g.finish(&logits, &x)?;
/// assert_eq!(graph.costs()?.params, 3 * 16 * 9 + 2 * 16 + 16 * 10 + 10);
/// # Ok::<(), nashost_plugin_api::graph::GraphError>(())
/// ```
#[derive(Debug, Clone)]
pub struct GraphBuilder {
    input: [usize; 3],
    initialization: Initialization,
    nodes: Vec<Node>,
    auxiliary: Option<Auxiliary>,
}

impl GraphBuilder {
    /// Starts a graph for images of `input`: channels, height, width.
    pub fn new(input: [usize; 3]) -> Self {
        Self { input, initialization: Initialization::default(), nodes: Vec::new(), auxiliary: None }
    }

    /// Sets how fresh weights are drawn.
    #[must_use]
    pub fn initialization(mut self, initialization: Initialization) -> Self {
        self.initialization = initialization;
        self
    }

    /// Adds any operator.
    pub fn node(&mut self, name: impl Into<String>, op: Op, inputs: &[&str]) -> String {
        let name = name.into();
        let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
        self.nodes.push(Node { name: name.clone(), op, inputs });
        name
    }

    /// Adds a convolution.
    pub fn conv(
        &mut self,
        name: impl Into<String>,
        input: &str,
        out_channels: usize,
        window: Window,
        group: usize,
        bias: bool,
    ) -> String {
        self.node(name, Op::Conv { out_channels, window, group, bias }, &[input])
    }

    /// Adds a batch normalisation with PyTorch's usual momentum (0.1 there, 0.9 in ONNX).
    pub fn batch_norm(&mut self, name: impl Into<String>, input: &str, epsilon: f64) -> String {
        self.node(name, Op::BatchNormalization { epsilon, momentum: 0.9 }, &[input])
    }

    /// Adds a ReLU.
    pub fn relu(&mut self, name: impl Into<String>, input: &str) -> String {
        self.node(name, Op::Relu, &[input])
    }

    /// Adds a sum.
    pub fn add(&mut self, name: impl Into<String>, inputs: &[&str]) -> String {
        self.node(name, Op::Add { residual: false }, inputs)
    }

    /// Adds the end of a residual block: `main + skip`, where
    /// [`Graph::without_residual_links`] keeps only `main`.
    pub fn residual(&mut self, name: impl Into<String>, main: &str, skip: &str) -> String {
        self.node(name, Op::Add { residual: true }, &[main, skip])
    }

    /// Adds a product; a `C×1×1` input scales the channels of the other.
    pub fn mul(&mut self, name: impl Into<String>, inputs: &[&str]) -> String {
        self.node(name, Op::Mul, inputs)
    }

    /// Adds a concatenation along channels.
    pub fn concat(&mut self, name: impl Into<String>, inputs: &[&str]) -> String {
        self.node(name, Op::Concat, inputs)
    }

    /// Adds a max pooling that rounds down.
    pub fn max_pool(&mut self, name: impl Into<String>, input: &str, window: Window) -> String {
        self.node(name, Op::MaxPool(Pool { window, ceil_mode: false, count_include_pad: false }), &[input])
    }

    /// Adds an average pooling that rounds down and leaves padding out of the mean.
    pub fn average_pool(&mut self, name: impl Into<String>, input: &str, window: Window) -> String {
        self.node(
            name,
            Op::AveragePool(Pool { window, ceil_mode: false, count_include_pad: false }),
            &[input],
        )
    }

    /// Adds the mean over each map.
    pub fn global_average_pool(&mut self, name: impl Into<String>, input: &str) -> String {
        self.node(name, Op::GlobalAveragePool, &[input])
    }

    /// Adds a flattening.
    pub fn flatten(&mut self, name: impl Into<String>, input: &str) -> String {
        self.node(name, Op::Flatten, &[input])
    }

    /// Adds a fully connected layer.
    pub fn gemm(&mut self, name: impl Into<String>, input: &str, out_features: usize, bias: bool) -> String {
        self.node(name, Op::Gemm { out_features, bias }, &[input])
    }

    /// Makes `output` the answer of an auxiliary classifier, whose loss weighs `weight` while training.
    pub fn auxiliary(&mut self, output: &str, weight: f64) {
        self.auxiliary = Some(Auxiliary { output: output.to_owned(), weight });
    }

    /// Returns the graph that answers the value of `output`, with `features` as its last map.
    ///
    /// # Errors
    ///
    /// Fails if the graph is not valid, and lists everything that is wrong.
    pub fn finish(self, output: &str, features: &str) -> Result<Graph, GraphError> {
        let graph = Graph {
            schema: SCHEMA,
            input: self.input,
            initialization: self.initialization,
            nodes: self.nodes,
            output: output.to_owned(),
            features: features.to_owned(),
            auxiliary: self.auxiliary,
        };
        graph.validate()?;
        Ok(graph)
    }
}
