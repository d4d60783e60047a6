//! Networks in the making: modules named as in the published codes.

use std::collections::{HashMap, HashSet};

use nashost_plugin_api::graph::{
    Auxiliary, Graph, GraphError, INPUT, Initialization, Node, Op, Pool, SCHEMA, Shape, Window,
};

use crate::CellError;

/// Added to the variance in every batch normalisation.
const BN_EPSILON: f64 = 1e-5;
/// Share of the old running value; PyTorch writes it as `momentum=0.1`.
const BN_MOMENTUM: f64 = 0.9;

/// Edges of a network at most. Published networks have fewer than 200; a slip of the keyboard in a number of
/// cells must not fill the memory.
const MOST_EDGES: usize = 1 << 14;

/// Checks that a network of `cells` cells with `edges` edges each is of a size that can be built.
pub(crate) fn check_size(cells: usize, edges: usize) -> Result<(), CellError> {
    if cells.saturating_mul(edges) > MOST_EDGES {
        return Err(CellError::TooLarge { cells, edges, most: MOST_EDGES });
    }
    Ok(())
}

/// What a published code counts: every module but the auxiliary classifier, also those whose value
/// reaches no output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Trainable values.
    pub params: u64,
    /// Multiply-adds of convolutions and linear layers for one image.
    pub macs: u64,
    /// Tensors of the checkpoint, batch counters left out.
    pub tensors: u64,
}

/// A network with all its modules.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    graph: Graph,
    tally: Tally,
}

impl Layout {
    /// The network that computes the output; modules that it does not depend on are left out.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Takes the network.
    pub fn into_graph(self) -> Graph {
        self.graph
    }

    /// What the published code counts.
    pub fn tally(&self) -> Tally {
        self.tally
    }
}

/// A value in the making: the node that gives it, its channels and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) node: String,
    pub(crate) channels: usize,
    pub(crate) size: [usize; 2],
}

/// Modules so far. Each method appends some and returns their value.
pub(crate) struct Net {
    input: [usize; 3],
    nodes: Vec<Node>,
    auxiliary: Option<Auxiliary>,
}

impl Net {
    pub(crate) fn new(input: [usize; 3]) -> Result<Self, CellError> {
        for (size, name) in input.into_iter().zip(["channels of the image", "height", "width"]) {
            if size == 0 {
                return Err(CellError::NotPositive(name));
            }
        }
        Ok(Self { input, nodes: Vec::new(), auxiliary: None })
    }

    pub(crate) fn image(&self) -> Value {
        let [channels, height, width] = self.input;
        Value { node: INPUT.to_owned(), channels, size: [height, width] }
    }

    pub(crate) fn push(&mut self, name: &str, op: Op, inputs: &[&str]) -> String {
        let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
        self.nodes.push(Node { name: name.to_owned(), op, inputs });
        name.to_owned()
    }

    /// A layer that keeps channels and size.
    pub(crate) fn same(&mut self, name: &str, op: Op, x: &Value) -> Value {
        Value { node: self.push(name, op, &[&x.node]), ..x.clone() }
    }

    pub(crate) fn relu(&mut self, name: &str, x: &Value) -> Value {
        self.same(name, Op::Relu, x)
    }

    pub(crate) fn batch_norm(&mut self, name: &str, x: &Value) -> Value {
        self.same(name, Op::BatchNormalization { epsilon: BN_EPSILON, momentum: BN_MOMENTUM }, x)
    }

    /// A convolution without bias.
    pub(crate) fn conv(
        &mut self,
        name: &str,
        x: &Value,
        channels: usize,
        window: Window,
        group: usize,
    ) -> Value {
        let node =
            self.push(name, Op::Conv { out_channels: channels, window, group, bias: false }, &[&x.node]);
        Value { node, channels, size: slide(x.size, &window) }
    }

    /// ReLU, convolution and batch normalisation, as `op.0`, `op.1` and `op.2`.
    pub(crate) fn relu_conv_bn(&mut self, name: &str, x: &Value, channels: usize, window: Window) -> Value {
        let x = self.relu(&format!("{name}.op.0"), x);
        let x = self.conv(&format!("{name}.op.1"), &x, channels, window, 1);
        self.batch_norm(&format!("{name}.op.2"), &x)
    }

    /// Half of the channels from the pixels in even rows and columns, half from those in odd ones.
    ///
    /// The published code halves even sizes only. An odd size gets a row or column of zeros behind it,
    /// so that it becomes the half, rounded up, that every other operation gives.
    pub(crate) fn factorized_reduce(&mut self, name: &str, x: &Value, channels: usize) -> Value {
        let relu = self.relu(&format!("{name}.relu"), x);
        let even = Window::square(1, 2);
        let half = channels / 2;
        let first = self.conv(&format!("{name}.conv_1"), &relu, half, even, 1);
        // The convolution meets the odd pixels of an even size if the first is dropped, and of an odd
        // size, with a border of zeros, if its own first answer is.
        let odd = x.size.map(|size| size % 2);
        let before = odd.map(|odd| 1 - odd);
        let start = if before == [0, 0] {
            relu
        } else {
            let node = self.push(&format!("{name}.slice"), Op::Slice { starts: before }, &[&relu.node]);
            Value { node, size: [relu.size[0] - before[0], relu.size[1] - before[1]], ..relu }
        };
        let window = Window { pads: odd, ..even };
        let mut second = self.conv(&format!("{name}.conv_2"), &start, channels - half, window, 1);
        if odd != [0, 0] {
            second.node = self.push(&format!("{name}.border"), Op::Slice { starts: odd }, &[&second.node]);
        }
        let node = self.push(&format!("{name}.cat"), Op::Concat, &[&first.node, &second.node]);
        self.batch_norm(&format!("{name}.bn"), &Value { node, channels, size: first.size })
    }

    pub(crate) fn pool(&mut self, name: &str, op: fn(Pool) -> Op, x: &Value, window: Window) -> Value {
        let pool = Pool { window, ceil_mode: false, count_include_pad: false };
        Value { node: self.push(name, op(pool), &[&x.node]), size: slide(x.size, &window), ..x.clone() }
    }

    pub(crate) fn add(&mut self, name: &str, values: &[Value], residual: bool) -> Value {
        let inputs: Vec<&str> = values.iter().map(|value| value.node.as_str()).collect();
        Value { node: self.push(name, Op::Add { residual }, &inputs), ..values[0].clone() }
    }

    pub(crate) fn concat(&mut self, name: &str, values: &[Value]) -> Value {
        let inputs: Vec<&str> = values.iter().map(|value| value.node.as_str()).collect();
        let channels = values.iter().fold(0_usize, |sum, value| sum.saturating_add(value.channels));
        Value { node: self.push(name, Op::Concat, &inputs), channels, ..values[0].clone() }
    }

    /// Adds the auxiliary classifier of DARTS on `x`. `pooling` is the stride of its average pool, and
    /// `last_norm` says whether its second convolution is normalised: the published codes differ in
    /// both. Maps whose pooled size is not 2×2 are averaged before the linear layer, which the codes do
    /// not have.
    pub(crate) fn auxiliary(
        &mut self,
        x: &Value,
        pooling: usize,
        last_norm: bool,
        outputs: usize,
        weight: f64,
    ) -> Result<(), CellError> {
        if x.size.iter().any(|&size| size < 5 + pooling) {
            return Err(CellError::AuxiliaryMap { found: x.size, least: 5 + pooling });
        }
        let at = |step: usize| format!("auxiliary_head.features.{step}");
        let x = self.relu(&at(0), x);
        let x = self.pool(&at(1), Op::AveragePool, &x, Window::square(5, pooling).pads(0));
        let x = self.conv(&at(2), &x, 128, Window::square(1, 1), 1);
        let x = self.batch_norm(&at(3), &x);
        let x = self.relu(&at(4), &x);
        let x = self.conv(&at(5), &x, 768, Window::square(2, 1).pads(0), 1);
        let x = if last_norm { self.batch_norm(&at(6), &x) } else { x };
        let x = self.relu(&at(6 + usize::from(last_norm)), &x);
        let pooled = self.push("auxiliary_head.pool", Op::GlobalAveragePool, &[&x.node]);
        let flat = self.push("auxiliary_head.flatten", Op::Flatten, &[&pooled]);
        let classifier = Op::Gemm { out_features: outputs, bias: true };
        let output = self.push("auxiliary_head.classifier", classifier, &[&flat]);
        self.auxiliary = Some(Auxiliary { output, weight });
        Ok(())
    }

    /// Adds the classifier and closes the network.
    pub(crate) fn finish(mut self, x: &Value, outputs: usize) -> Result<Layout, CellError> {
        if outputs == 0 {
            return Err(CellError::NotPositive("number of labels"));
        }
        let pooled = self.push("global_pooling", Op::GlobalAveragePool, &[&x.node]);
        let flat = self.push("flatten", Op::Flatten, &[&pooled]);
        let output = self.push("classifier", Op::Gemm { out_features: outputs, bias: true }, &[&flat]);
        let is_auxiliary = |node: &Node| node.name.starts_with("auxiliary_head.");
        let counted: Vec<Node> = self.nodes.iter().filter(|node| !is_auxiliary(node)).cloned().collect();
        let tally = tally(self.input, &counted)?;
        let mut used = HashSet::from([output.clone()]);
        used.extend(self.auxiliary.iter().map(|auxiliary| auxiliary.output.clone()));
        for node in self.nodes.iter().rev() {
            if used.contains(&node.name) {
                used.extend(node.inputs.iter().cloned());
            }
        }
        let mut nodes = self.nodes;
        nodes.retain(|node| used.contains(&node.name));
        let graph = Graph {
            schema: SCHEMA,
            input: self.input,
            initialization: Initialization::Pytorch,
            nodes,
            output,
            features: x.node.clone(),
            auxiliary: self.auxiliary,
        };
        graph.validate()?;
        Ok(Layout { graph, tally })
    }
}

/// Rows and columns after a window that rounds down.
fn slide(size: [usize; 2], window: &Window) -> [usize; 2] {
    [0, 1].map(|axis| {
        let extent = window.dilations[axis] * (window.kernel_shape[axis] - 1) + 1;
        (size[axis] + 2 * window.pads[axis]).saturating_sub(extent) / window.strides[axis] + 1
    })
}

/// Counts all modules, whether they reach the output or not.
fn tally(input: [usize; 3], nodes: &[Node]) -> Result<Tally, GraphError> {
    let mut shapes: HashMap<&str, Shape> = HashMap::from([(INPUT, Shape::map(input))]);
    let mut tally = Tally::default();
    for node in nodes {
        // Inputs come first: `Net` answers names of what it has pushed.
        let inputs: Vec<Shape> = node.inputs.iter().map(|input| shapes[input.as_str()]).collect();
        let shape = node.op.output_shape(&inputs).map_err(|kind| GraphError {
            problems: vec![nashost_plugin_api::graph::Problem {
                node: Some((node.name.clone(), node.op.name())),
                kind,
            }],
        })?;
        for parameter in node.op.parameters(inputs[0]) {
            tally.tensors += u64::from(!parameter.shape.is_empty());
            if parameter.trainable {
                tally.params += parameter.numel();
            }
            if node.op.is_layer() && parameter.suffix == "weight" {
                let macs = parameter.numel() * (shape.numel() / shape.channels()) as u64;
                tally.macs = tally.macs.saturating_add(macs);
            }
        }
        shapes.insert(&node.name, shape);
    }
    Ok(tally)
}
