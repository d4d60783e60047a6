//! Nodes of a graph as nodes of ONNX.

use nashost_plugin_api::graph::{Node, Op, Pool, Shape, Window};

use crate::{
    pool::Padding,
    proto::{self, Attribute, Tensor},
};

/// The nodes and constants of a model so far.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) nodes: Vec<proto::Node>,
    pub(crate) constants: Vec<Tensor>,
}

/// Name of a node's value. No tensor's name ends so.
pub(crate) fn value(node: &str) -> String {
    format!("{node}.out")
}

impl Writer {
    /// Adds one operator, called as its output without the ending of values.
    pub(crate) fn add(&mut self, op: &str, inputs: &[String], output: &str, attributes: Vec<Attribute>) {
        self.nodes.push(proto::Node {
            input: inputs.to_vec(),
            output: vec![output.to_owned()],
            name: output.strip_suffix(".out").unwrap_or(output).to_owned(),
            op_type: op.to_owned(),
            attribute: attributes,
        });
    }

    /// Adds what computes `node` in evaluation mode: dropout passes values on, normalisation uses running
    /// statistics.
    /// `shapes` are those of its first input and of its output.
    pub(crate) fn node(&mut self, node: &Node, inputs: &[String], shapes: (Shape, Shape)) {
        let output = value(&node.name);
        let parameter = |suffix: &str| format!("{}.{suffix}", node.name);
        let with = |suffixes: &[&str]| {
            let parameters = suffixes.iter().map(|suffix| parameter(suffix));
            inputs.iter().cloned().chain(parameters).collect::<Vec<_>>()
        };
        let biased = |bias| if bias { &["weight", "bias"][..] } else { &["weight"][..] };
        match &node.op {
            Op::Conv { window, group, bias, .. } => {
                let mut attributes = window_attributes(window);
                let pads = [window.pads, window.pads].concat();
                attributes.push(Attribute::ints("pads", &integers(&pads)));
                attributes.push(Attribute::int("group", *group as i64));
                self.add("Conv", &with(biased(*bias)), &output, attributes);
            }
            Op::BatchNormalization { epsilon, momentum } => {
                let attributes =
                    vec![Attribute::float("epsilon", *epsilon), Attribute::float("momentum", *momentum)];
                let tensors = with(&["weight", "bias", "running_mean", "running_var"]);
                self.add("BatchNormalization", &tensors, &output, attributes);
            }
            Op::Relu | Op::Sigmoid | Op::Tanh | Op::HardSwish | Op::GlobalAveragePool => {
                self.add(node.op.name(), inputs, &output, Vec::new());
            }
            Op::HardSigmoid => {
                let attributes = vec![Attribute::float("alpha", 1.0 / 6.0), Attribute::float("beta", 0.5)];
                self.add("HardSigmoid", inputs, &output, attributes);
            }
            Op::Swish => {
                let sigmoid = parameter("sigmoid");
                self.add("Sigmoid", inputs, &sigmoid, Vec::new());
                self.add("Mul", &[inputs[0].clone(), sigmoid], &output, Vec::new());
            }
            Op::Clip { min, max } => {
                for (suffix, bound) in [("min", min), ("max", max)] {
                    self.constants.push(Tensor::floats(parameter(suffix), Vec::new(), [*bound as f32]));
                }
                self.add("Clip", &with(&["min", "max"]), &output, Vec::new());
            }
            Op::Gelu => {
                let attributes = vec![Attribute::string("approximate", "none")];
                self.add("Gelu", inputs, &output, attributes);
            }
            Op::Add { .. } | Op::Mul => self.chain(node, inputs, &output),
            Op::Concat => self.add("Concat", inputs, &output, vec![Attribute::int("axis", 1)]),
            Op::MaxPool(pool) => {
                let mut attributes = window_attributes(&pool.window);
                let padding = Padding::of(pool, shapes.0, shapes.1).reached;
                attributes.push(Attribute::ints("pads", &integers(&padding)));
                self.add("MaxPool", inputs, &output, attributes);
            }
            Op::AveragePool(pool) => self.average_pool(node, pool, inputs, &output, shapes),
            Op::Flatten => self.add("Flatten", inputs, &output, vec![Attribute::int("axis", 1)]),
            Op::Gemm { bias, .. } => {
                let attributes = vec![Attribute::int("transB", 1)];
                self.add("Gemm", &with(biased(*bias)), &output, attributes);
            }
            Op::Slice { starts } => {
                let mut inputs = inputs.to_vec();
                let axes = [("starts", integers(starts)), ("ends", vec![i64::MAX; 2]), ("axes", vec![2, 3])];
                for (suffix, values) in axes {
                    self.constants.push(Tensor::integers(parameter(suffix), &values));
                    inputs.push(parameter(suffix));
                }
                self.add("Slice", &inputs, &output, Vec::new());
            }
            Op::Dropout { .. } | Op::DropPath { .. } | Op::Identity => {
                self.add("Identity", inputs, &output, Vec::new());
            }
        }
    }

    /// `Add` and `Mul` of ONNX take two inputs.
    fn chain(&mut self, node: &Node, inputs: &[String], output: &str) {
        let mut sum = inputs[0].clone();
        for (number, input) in inputs.iter().enumerate().skip(1) {
            let last = number == inputs.len() - 1;
            let next = if last { output.to_owned() } else { format!("{}.{number}", node.name) };
            self.add(node.op.name(), &[sum, input.clone()], &next, Vec::new());
            sum = next;
        }
    }

    /// A window that reaches beyond the padding counts the padding, but not what lies beyond it. ONNX
    /// counts both or neither, so the padding becomes a part of the image.
    fn average_pool(
        &mut self,
        node: &Node,
        pool: &Pool,
        inputs: &[String],
        output: &str,
        shapes: (Shape, Shape),
    ) {
        let padding = Padding::of(pool, shapes.0, shapes.1);
        let pad_first = pool.count_include_pad && padding.overhangs();
        let mut input = inputs[0].clone();
        if pad_first {
            let [top, left, bottom, right] = padding.declared;
            let sizes = integers(&[0, 0, top, left, 0, 0, bottom, right]);
            let (pads, padded) = (format!("{}.pads", node.name), format!("{}.padded", node.name));
            self.constants.push(Tensor::integers(pads.clone(), &sizes));
            self.add("Pad", &[input, pads], &padded, vec![Attribute::string("mode", "constant")]);
            input = padded;
        }
        let pads = if pad_first { padding.overhang() } else { padding.reached };
        let counted = pool.count_include_pad && !pad_first;
        let window = &pool.window;
        let attributes = vec![
            Attribute::ints("kernel_shape", &integers(&window.kernel_shape)),
            Attribute::ints("strides", &integers(&window.strides)),
            Attribute::ints("pads", &integers(&pads)),
            Attribute::int("count_include_pad", counted.into()),
        ];
        self.add("AveragePool", &[input], output, attributes);
    }
}

fn window_attributes(window: &Window) -> Vec<Attribute> {
    let sizes =
        [("kernel_shape", window.kernel_shape), ("strides", window.strides), ("dilations", window.dilations)];
    sizes.into_iter().map(|(name, sizes)| Attribute::ints(name, &integers(&sizes))).collect()
}

/// A valid graph has no size above `i32::MAX`.
fn integers(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&value| value as i64).collect()
}
