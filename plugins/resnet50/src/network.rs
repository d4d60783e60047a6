//! From depth to graph.

use nashost_plugin_api::{
    architecture::Geometry,
    graph::{Graph, INPUT, Initialization, Node, Op, Pool, Window},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Added to the variance in every batch normalisation, as in PyTorch.
const BN_EPSILON: f64 = 1e-5;
/// Share of the old running value; PyTorch writes it as `momentum=0.1`.
const BN_MOMENTUM: f64 = 0.9;
/// Channels of the stem and of the first stage's 3×3 convolutions.
const BASE_WIDTH: usize = 64;
/// Output channels of a bottleneck over its inner ones.
const BOTTLENECK_EXPANSION: usize = 4;

/// Number of layers with weights on the longest path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schemars(extend("enum" = [18, 34, 50]), with = "u32")]
pub enum Depth {
    /// ResNet-18: two basic blocks a stage.
    D18,
    /// ResNet-34: 3, 4, 6 and 3 basic blocks.
    D34,
    /// ResNet-50: 3, 4, 6 and 3 bottlenecks.
    #[default]
    D50,
}

impl Depth {
    /// Returns the number of blocks of each stage.
    fn stages(self) -> [usize; 4] {
        match self {
            Self::D18 => [2, 2, 2, 2],
            Self::D34 | Self::D50 => [3, 4, 6, 3],
        }
    }

    fn has_bottlenecks(self) -> bool {
        self == Self::D50
    }
}

impl TryFrom<u32> for Depth {
    type Error = String;

    fn try_from(depth: u32) -> Result<Self, String> {
        match depth {
            18 => Ok(Self::D18),
            34 => Ok(Self::D34),
            50 => Ok(Self::D50),
            _ => Err(format!("depth {depth} is not 18, 34 or 50")),
        }
    }
}

impl From<Depth> for u32 {
    fn from(depth: Depth) -> Self {
        match depth {
            Depth::D18 => 18,
            Depth::D34 => 34,
            Depth::D50 => 50,
        }
    }
}

/// A residual network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResnetSpec {
    /// 18, 34 or 50 layers.
    pub depth: Depth,
    /// Starts with a 3×3 convolution of stride 1 and no pooling, for images of 32 pixels or less.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub small_stem: bool,
}

/// Returns the network of `spec` for images and labels of `geometry`.
pub fn graph(spec: ResnetSpec, geometry: &Geometry) -> Graph {
    let mut net = Builder { nodes: Vec::new() };
    let mut at = net.stem(spec.small_stem);
    let mut channels = BASE_WIDTH;
    for (stage, blocks) in spec.depth.stages().into_iter().enumerate() {
        let width = BASE_WIDTH << stage;
        for block in 0..blocks {
            let name = format!("layer{}.{block}", stage + 1);
            // The first stage keeps the stem's size, the others halve it in their first block.
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let shape = Block { name, channels, width, stride };
            (at, channels) = if spec.depth.has_bottlenecks() {
                (net.bottleneck(&at, &shape), width * BOTTLENECK_EXPANSION)
            } else {
                (net.basic(&at, &shape), width)
            };
        }
    }
    let features = at;
    let pooled = net.push("avgpool", Op::GlobalAveragePool, &[&features]);
    let flat = net.push("flatten", Op::Flatten, &[&pooled]);
    let output = net.push("fc", Op::Gemm { out_features: geometry.outputs, bias: true }, &[&flat]);
    Graph {
        schema: 1,
        input: geometry.input,
        initialization: Initialization::KaimingNormalFanOut,
        nodes: net.nodes,
        output,
        features,
        auxiliary: None,
    }
}

/// A residual block: where it stands and what it does to the map.
struct Block {
    name: String,
    channels: usize,
    width: usize,
    stride: usize,
}

/// Nodes so far; each method appends some and returns the name of the last.
struct Builder {
    nodes: Vec<Node>,
}

impl Builder {
    fn push(&mut self, name: impl Into<String>, op: Op, inputs: &[&str]) -> String {
        let name = name.into();
        self.nodes.push(Node {
            name: name.clone(),
            op,
            inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
        });
        name
    }

    /// Convolution and normalisation.
    fn conv_bn(&mut self, conv: &str, bn: &str, input: &str, out_channels: usize, window: Window) -> String {
        let conv = self.push(conv, Op::Conv { out_channels, window, group: 1, bias: false }, &[input]);
        self.push(bn, Op::BatchNormalization { epsilon: BN_EPSILON, momentum: BN_MOMENTUM }, &[&conv])
    }

    fn stem(&mut self, small: bool) -> String {
        let window = if small { Window::square(3, 1) } else { Window::square(7, 2) };
        let bn = self.conv_bn("conv1", "bn1", INPUT, BASE_WIDTH, window);
        let relu = self.push("relu", Op::Relu, &[&bn]);
        if small {
            return relu;
        }
        let pool = Pool { window: Window::square(3, 2), ceil_mode: false, count_include_pad: false };
        self.push("maxpool", Op::MaxPool(pool), &[&relu])
    }

    /// Two 3×3 convolutions and a skip connection (He et al. 2016, fig. 5 left).
    fn basic(&mut self, input: &str, block: &Block) -> String {
        let Block { name, width, stride, .. } = block;
        let bn1 = self.branch(block, 1, input, *width, Window::square(3, *stride));
        let relu = self.push(format!("{name}.relu"), Op::Relu, &[&bn1]);
        let bn2 = self.branch(block, 2, &relu, *width, Window::square(3, 1));
        let sum = self.join(input, &bn2, block, *width);
        self.push(format!("{name}.relu_1"), Op::Relu, &[&sum])
    }

    /// 1×1, 3×3 and 1×1 convolutions and a skip connection (He et al. 2016, fig. 5 right).
    fn bottleneck(&mut self, input: &str, block: &Block) -> String {
        let Block { name, width, stride, .. } = block;
        let out = width * BOTTLENECK_EXPANSION;
        let bn1 = self.branch(block, 1, input, *width, Window::square(1, 1));
        let relu = self.push(format!("{name}.relu"), Op::Relu, &[&bn1]);
        let bn2 = self.branch(block, 2, &relu, *width, Window::square(3, *stride));
        let relu = self.push(format!("{name}.relu_1"), Op::Relu, &[&bn2]);
        let bn3 = self.branch(block, 3, &relu, out, Window::square(1, 1));
        let sum = self.join(input, &bn3, block, out);
        self.push(format!("{name}.relu_2"), Op::Relu, &[&sum])
    }

    /// Convolution `number` of a block and its normalisation.
    fn branch(&mut self, block: &Block, number: u32, input: &str, out: usize, window: Window) -> String {
        let name = &block.name;
        self.conv_bn(&format!("{name}.conv{number}"), &format!("{name}.bn{number}"), input, out, window)
    }

    /// Adds the skip connection to `main`, projected where the size of the map changes.
    fn join(&mut self, input: &str, main: &str, block: &Block, out: usize) -> String {
        let Block { name, channels, stride, .. } = block;
        let add = Op::Add { residual: true };
        if *stride == 1 && *channels == out {
            return self.push(format!("{name}.add"), add, &[main, input]);
        }
        let (conv, bn) = (format!("{name}.downsample.0"), format!("{name}.downsample.1"));
        let skip = self.conv_bn(&conv, &bn, input, out, Window::square(1, *stride));
        self.push(format!("{name}.add"), add, &[main, &skip])
    }
}
