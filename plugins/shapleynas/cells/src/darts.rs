//! The networks of DARTS: cells on a stem.

use nashost_plugin_api::{
    architecture::Geometry,
    graph::{Op, Window},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CellError, CellType, Genotype, Layout, Operation,
    net::{Net, Value, check_size},
};

/// What comes before the first cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stem {
    /// A 3×3 convolution to three times the channels; keeps the size. For images of 64 px or less.
    #[default]
    Cifar,
    /// Three 3×3 convolutions that each halve the size. For images of 224 px.
    Imagenet,
}

/// A network of DARTS: a genotype and how its cells are stacked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Darts {
    /// The cells.
    pub genotype: Genotype,
    /// Channels of each node in the first cells; each reduction doubles them.
    pub channels: usize,
    /// Number of cells.
    pub layers: usize,
    /// What comes before the first cell.
    #[serde(default)]
    pub stem: Stem,
    /// Which cells, counted from 0, are reductions; a third and two thirds of the way if nothing is
    /// said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reductions: Option<Vec<usize>>,
    /// Probability that an operation is left out for an image while training. The published codes
    /// raise it linearly over the epochs, to 0.3 at the end; who trains decides.
    #[serde(default)]
    pub drop_path: f64,
    /// How much the loss of an auxiliary classifier, two thirds of the way, weighs while training; 0 for
    /// none. Published: 0.4.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub auxiliary: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Darts {
    /// Returns which cells are reductions, in their order.
    pub fn reductions(&self) -> Vec<usize> {
        let mut cells = self.reductions.clone().unwrap_or_else(|| vec![self.layers / 3, 2 * self.layers / 3]);
        cells.sort_unstable();
        cells.dedup();
        cells
    }

    /// Builds the network for images and labels of `geometry`.
    ///
    /// Modules are named as in the published code.
    ///
    /// # Errors
    ///
    /// Fails if the genotype makes no cells or the settings no network.
    pub fn build(&self, geometry: &Geometry) -> Result<Layout, CellError> {
        self.genotype.check()?;
        let Self { channels, layers, .. } = *self;
        for (value, name) in [(channels, "channels"), (layers, "layers")] {
            if value == 0 {
                return Err(CellError::NotPositive(name));
            }
        }
        check_size(layers, self.genotype.normal.len().max(self.genotype.reduce.len()))?;
        if !(0.0..1.0).contains(&self.drop_path) {
            return Err(CellError::DropPath);
        }
        if !(self.auxiliary.is_finite() && self.auxiliary >= 0.0) {
            return Err(CellError::AuxiliaryWeight);
        }
        let reductions = self.reductions();
        if let Some(&cell) = reductions.iter().find(|cell| **cell >= layers) {
            return Err(CellError::Reduction { cell, layers });
        }
        let mut net = Net::new(geometry.input)?;
        let (mut before, mut last) = stem(&mut net, self.stem, channels);
        // ImageNet's second stem halves the map, as a reduction cell does.
        let mut halved = self.stem == Stem::Imagenet;
        let mut width = channels;
        for layer in 0..layers {
            let kind = if reductions.contains(&layer) { CellType::Reduce } else { CellType::Normal };
            if kind == CellType::Reduce {
                width = width.saturating_mul(2);
            }
            let cell = Cell { darts: self, kind, name: format!("cells.{layer}"), width };
            let value = cell.build(&mut net, before, &last, halved);
            before = std::mem::replace(&mut last, value);
            halved = kind == CellType::Reduce;
            if self.auxiliary > 0.0 && layer == 2 * layers / 3 {
                let (pooling, last_norm) = match self.stem {
                    Stem::Cifar => (3, true),
                    Stem::Imagenet => (2, false),
                };
                net.auxiliary(&last, pooling, last_norm, geometry.outputs, self.auxiliary)?;
            }
        }
        net.finish(&last, geometry.outputs)
    }
}

/// Returns the inputs of the first cell.
fn stem(net: &mut Net, stem: Stem, channels: usize) -> (Value, Value) {
    let image = net.image();
    match stem {
        Stem::Cifar => {
            let x = net.conv("stem.0", &image, channels.saturating_mul(3), Window::square(3, 1), 1);
            let x = net.batch_norm("stem.1", &x);
            (x.clone(), x)
        }
        Stem::Imagenet => {
            let halving = Window::square(3, 2);
            let x = net.conv("stem0.0", &image, channels / 2, halving, 1);
            let x = net.batch_norm("stem0.1", &x);
            let x = net.relu("stem0.2", &x);
            let x = net.conv("stem0.3", &x, channels, halving, 1);
            let first = net.batch_norm("stem0.4", &x);
            let x = net.relu("stem1.0", &first);
            let x = net.conv("stem1.1", &x, channels, halving, 1);
            (first, net.batch_norm("stem1.2", &x))
        }
    }
}

/// A cell in the making.
struct Cell<'a> {
    darts: &'a Darts,
    kind: CellType,
    name: String,
    /// Channels of its nodes.
    width: usize,
}

impl Cell<'_> {
    /// `halved` says whether `last` is of half the size of `before`.
    fn build(&self, net: &mut Net, before: Value, last: &Value, halved: bool) -> Value {
        let Self { name, width, .. } = self;
        let first = format!("{name}.preprocess0");
        let point = Window::square(1, 1);
        let before = if halved {
            net.factorized_reduce(&first, &before, *width)
        } else {
            net.relu_conv_bn(&first, &before, *width, point)
        };
        let last = net.relu_conv_bn(&format!("{name}.preprocess1"), last, *width, point);
        let mut values = vec![before, last];
        for (node, edges) in self.darts.genotype.edges(self.kind).chunks(2).enumerate() {
            let branches: Vec<Value> = edges
                .iter()
                .zip(2 * node..)
                .map(|(&(operation, input), edge)| {
                    // The inputs of a reduction cell are halved on their way into it.
                    let stride = if self.kind == CellType::Reduce && input < 2 { 2 } else { 1 };
                    self.edge(net, edge, operation, &values[input], stride)
                })
                .collect();
            values.push(net.add(&format!("{name}.add{node}"), &branches, false));
        }
        let outputs: Vec<Value> =
            self.darts.genotype.concat(self.kind).iter().map(|&node| values[node].clone()).collect();
        net.concat(&format!("{name}.cat"), &outputs)
    }

    /// The operation on an edge, and what drops its path.
    fn edge(&self, net: &mut Net, edge: usize, operation: Operation, x: &Value, stride: usize) -> Value {
        let name = format!("{}._ops.{edge}", self.name);
        let is_identity = operation == Operation::SkipConnect && stride == 1;
        let value = operate(net, &name, operation, x, stride);
        let ratio = self.darts.drop_path;
        if ratio == 0.0 || is_identity {
            return value;
        }
        net.same(&format!("{name}.drop_path"), Op::DropPath { ratio }, &value)
    }
}

fn operate(net: &mut Net, name: &str, operation: Operation, x: &Value, stride: usize) -> Value {
    let pool = Window::square(3, stride);
    match operation {
        Operation::AvgPool3x3 => net.pool(name, Op::AveragePool, x, pool),
        Operation::MaxPool3x3 => net.pool(name, Op::MaxPool, x, pool),
        Operation::SkipConnect if stride == 1 => net.same(name, Op::Identity, x),
        Operation::SkipConnect => net.factorized_reduce(name, x, x.channels),
        Operation::SepConv3x3 => separable_twice(net, name, x, 3, stride),
        Operation::SepConv5x5 => separable_twice(net, name, x, 5, stride),
        Operation::SepConv7x7 => separable_twice(net, name, x, 7, stride),
        Operation::DilConv3x3 => dilated(net, name, x, 3, stride),
        Operation::DilConv5x5 => dilated(net, name, x, 5, stride),
        Operation::Conv7x1_1x7 => row_and_column(net, name, x, stride),
    }
}

/// ReLU, depthwise convolution, 1×1 convolution and batch normalisation, as `op.{from}` and on.
fn separable(net: &mut Net, name: &str, from: usize, x: &Value, window: Window) -> Value {
    let at = |step| format!("{name}.op.{}", from + step);
    let channels = x.channels;
    let x = net.relu(&at(0), x);
    let x = net.conv(&at(1), &x, channels, window, channels);
    let x = net.conv(&at(2), &x, channels, Window::square(1, 1), 1);
    net.batch_norm(&at(3), &x)
}

fn separable_twice(net: &mut Net, name: &str, x: &Value, kernel: usize, stride: usize) -> Value {
    let x = separable(net, name, 0, x, Window::square(kernel, stride));
    separable(net, name, 4, &x, Window::square(kernel, 1))
}

fn dilated(net: &mut Net, name: &str, x: &Value, kernel: usize, stride: usize) -> Value {
    let window = Window { dilations: [2, 2], ..Window::square(kernel, stride).pads(kernel - 1) };
    separable(net, name, 0, x, window)
}

fn row_and_column(net: &mut Net, name: &str, x: &Value, stride: usize) -> Value {
    let line = |axis: usize| {
        let mut window = Window::square(1, 1);
        window.kernel_shape[axis] = 7;
        window.pads[axis] = 3;
        window.strides[axis] = stride;
        window
    };
    let channels = x.channels;
    let x = net.relu(&format!("{name}.0"), x);
    let x = net.conv(&format!("{name}.1"), &x, channels, line(1), 1);
    let x = net.conv(&format!("{name}.2"), &x, channels, line(0), 1);
    net.batch_norm(&format!("{name}.3"), &x)
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::seed::rng;
    use proptest::prelude::*;

    use super::*;
    use crate::preset;

    fn darts(channels: usize, layers: usize) -> Darts {
        Darts {
            genotype: preset::find("shapley-nas-cifar10").unwrap(),
            channels,
            layers,
            stem: Stem::Cifar,
            reductions: None,
            drop_path: 0.0,
            auxiliary: 0.0,
        }
    }

    const GEOMETRY: Geometry = Geometry { input: [3, 32, 32], outputs: 8 };

    #[test]
    fn reductions_stand_at_the_thirds() {
        let at = |layers| darts(8, layers).reductions();
        assert_eq!([at(3), at(5), at(8), at(14), at(20)], [[1, 2], [1, 3], [2, 5], [4, 9], [6, 13]]);
        assert_eq!([at(40), at(50)], [[13, 26], [16, 33]]);
        assert_eq!(at(1), [0]);
    }

    #[test]
    fn drop_path_spares_identities_alone() {
        let with = Darts { drop_path: 0.2, ..darts(8, 3) };
        let graph = with.build(&GEOMETRY).unwrap().into_graph();
        let drops: Vec<&str> = graph
            .nodes
            .iter()
            .filter(|node| matches!(node.op, Op::DropPath { ratio } if ratio == 0.2))
            .map(|node| node.inputs[0].as_str())
            .collect();
        // One normal cell with one identity, two reductions whose skip reads an inner node.
        assert_eq!(drops.len(), 7 * 3);
        assert_eq!(graph.costs().unwrap().params, darts(8, 3).build(&GEOMETRY).unwrap().tally().params);
    }

    #[test]
    fn an_unread_input_is_left_out_but_tallied() {
        let mut narrow = darts(8, 3);
        for edge in narrow.genotype.normal.iter_mut().chain(&mut narrow.genotype.reduce) {
            edge.1 = edge.1.max(1);
        }
        let layout = narrow.build(&GEOMETRY).unwrap();
        let params = layout.graph().costs().unwrap().params;
        assert!(params < layout.tally().params);
        assert!(!layout.graph().nodes.iter().any(|node| node.name.contains("preprocess0")));
    }

    #[test]
    fn settings_that_make_no_network_are_refused() {
        let refuse = |darts: Darts| darts.build(&GEOMETRY).unwrap_err();
        assert_eq!(refuse(darts(0, 3)), CellError::NotPositive("channels"));
        assert_eq!(refuse(darts(8, 0)), CellError::NotPositive("layers"));
        assert_eq!(refuse(Darts { drop_path: 1.0, ..darts(8, 3) }), CellError::DropPath);
        assert_eq!(refuse(Darts { drop_path: f64::NAN, ..darts(8, 3) }), CellError::DropPath);
        let far = Darts { reductions: Some(vec![3]), ..darts(8, 3) };
        assert_eq!(refuse(far), CellError::Reduction { cell: 3, layers: 3 });
        let blind = Geometry { input: [3, 0, 32], outputs: 8 };
        assert_eq!(darts(8, 3).build(&blind).unwrap_err(), CellError::NotPositive("height"));
        assert!(darts(8, 3).build(&Geometry { outputs: 0, ..GEOMETRY }).is_err());
        assert!(darts(usize::MAX, 3).build(&GEOMETRY).is_err());
        assert_eq!(
            refuse(darts(8, usize::MAX)).to_string(),
            format!("{} cells of 8 edges each are too many: a network has at most 16384 edges", usize::MAX)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_size_and_genotype_makes_a_network(
            seed in any::<u64>(), channels in 2_usize..9, layers in 1_usize..7,
            height in 1_usize..40, width in 1_usize..40, imagenet in any::<bool>(),
        ) {
            let genotype = Genotype::random(&mut rng(seed));
            let stem = if imagenet { Stem::Imagenet } else { Stem::Cifar };
            let network = Darts { genotype, stem, ..darts(channels, layers) };
            let geometry = Geometry { input: [3, height, width], outputs: 2 };
            let layout = network.build(&geometry).unwrap();
            // Every node of the space reads something, so nothing is left out.
            let costs = layout.graph().costs().unwrap();
            prop_assert_eq!((costs.params, costs.macs), (layout.tally().params, layout.tally().macs));
        }
    }
}
