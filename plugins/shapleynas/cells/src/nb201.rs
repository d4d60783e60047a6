//! The cells and networks of NAS-Bench-201.

use std::{fmt, str::FromStr};

use nashost_plugin_api::{
    architecture::Geometry,
    graph::{Op, Pool, Window},
    seed::Rng,
};
use rand::Rng as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CellError, Layout,
    net::{Net, Value, check_size},
};

/// Nodes of a cell; node 0 is its input, the last its output.
const NODES: usize = 4;
/// Edges of a cell: 1←0, 2←0, 2←1, 3←0, 3←1, 3←2.
const EDGES: usize = NODES * (NODES - 1) / 2;
/// Number of stages; a residual block that halves the map stands between two.
const STAGES: usize = 3;

/// An operation on an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Nb201Op {
    /// Nothing passes.
    #[serde(rename = "none")]
    None,
    /// The identity.
    #[serde(rename = "skip_connect")]
    SkipConnect,
    /// ReLU, 1×1 convolution, batch normalisation.
    #[serde(rename = "nor_conv_1x1")]
    Conv1x1,
    /// ReLU, 3×3 convolution, batch normalisation.
    #[serde(rename = "nor_conv_3x3")]
    Conv3x3,
    /// Mean over 3×3; padding does not count.
    #[serde(rename = "avg_pool_3x3")]
    AvgPool3x3,
}

impl Nb201Op {
    /// Every operation, in the order of the benchmark.
    pub const ALL: [Self; 5] =
        [Self::None, Self::SkipConnect, Self::Conv1x1, Self::Conv3x3, Self::AvgPool3x3];

    /// Returns the name in the benchmark.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SkipConnect => "skip_connect",
            Self::Conv1x1 => "nor_conv_1x1",
            Self::Conv3x3 => "nor_conv_3x3",
            Self::AvgPool3x3 => "avg_pool_3x3",
        }
    }
}

/// A cell of NAS-Bench-201, written as the benchmark does:
/// `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CellStructure(pub [Nb201Op; EDGES]);

impl JsonSchema for CellStructure {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CellStructure".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let operation = format!("({})", Nb201Op::ALL.map(Nb201Op::name).join("|"));
        let node = |inputs: usize| {
            (0..inputs).map(|input| format!("\\|{operation}~{input}")).collect::<String>() + "\\|"
        };
        schemars::json_schema!({
            "type": "string",
            "description": "a cell of NAS-Bench-201",
            "pattern": format!("^{}\\+{}\\+{}$", node(1), node(2), node(3)),
        })
    }
}

impl fmt::Display for CellStructure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut edges = self.0.iter();
        for node in 1..NODES {
            f.write_str(if node == 1 { "|" } else { "+|" })?;
            for (input, op) in edges.by_ref().take(node).enumerate() {
                write!(f, "{}~{input}|", op.name())?;
            }
        }
        Ok(())
    }
}

impl FromStr for CellStructure {
    type Err = CellError;

    fn from_str(text: &str) -> Result<Self, CellError> {
        let wrong = |expected: &str, found: &str| CellError::Text {
            what: "NAS-Bench-201 cell",
            expected: expected.to_owned(),
            found: found.chars().take(40).collect(),
        };
        let mut edges = Vec::with_capacity(EDGES);
        let nodes: Vec<&str> = text.trim().split('+').collect();
        if nodes.len() != NODES - 1 {
            return Err(wrong("three nodes, joined by `+`,", text));
        }
        for (node, part) in nodes.into_iter().enumerate() {
            let inner = part.strip_prefix('|').and_then(|part| part.strip_suffix('|'));
            let inner = inner.ok_or_else(|| wrong("`|` before and behind each edge", part))?;
            let inputs: Vec<&str> = inner.split('|').collect();
            if inputs.len() != node + 1 {
                return Err(wrong(&format!("{} edges", node + 1), part));
            }
            for (input, edge) in inputs.into_iter().enumerate() {
                let op = Nb201Op::ALL.into_iter().find(|op| edge == format!("{}~{input}", op.name()));
                edges.push(op.ok_or_else(|| wrong(&format!("an operation with `~{input}`"), edge))?);
            }
        }
        let edges = <[Nb201Op; EDGES]>::try_from(edges).map_err(|_| wrong("six edges", text))?;
        Ok(Self(edges))
    }
}

impl TryFrom<String> for CellStructure {
    type Error = CellError;

    fn try_from(text: String) -> Result<Self, CellError> {
        text.parse()
    }
}

impl From<CellStructure> for String {
    fn from(cell: CellStructure) -> Self {
        cell.to_string()
    }
}

impl CellStructure {
    /// Draws a cell; all 15,625 are alike.
    pub fn random(rng: &mut Rng) -> Self {
        Self(std::array::from_fn(|_| Nb201Op::ALL[rng.random_range(0..Nb201Op::ALL.len())]))
    }

    /// Changes the operation of one edge.
    pub fn mutate(&mut self, rng: &mut Rng) {
        let edge = &mut self.0[rng.random_range(0..EDGES)];
        let others: Vec<Nb201Op> = Nb201Op::ALL.into_iter().filter(|op| op != edge).collect();
        *edge = others[rng.random_range(0..others.len())];
    }

    /// Returns the edges that lead to `node`, in the order of their inputs.
    fn inputs(&self, node: usize) -> &[Nb201Op] {
        let first = node * (node - 1) / 2;
        &self.0[first..first + node]
    }
}

/// A network of NAS-Bench-201: a cell and how it is stacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nb201 {
    /// The cell.
    pub cell: CellStructure,
    /// Channels of the first stage; each further stage has twice as many.
    pub channels: usize,
    /// Cells of each of the three stages.
    pub cells: usize,
}

impl Nb201 {
    /// Builds the network for images and labels of `geometry`, with the names of the published code.
    ///
    /// # Errors
    ///
    /// Fails if the settings make no network.
    pub fn build(&self, geometry: &Geometry) -> Result<Layout, CellError> {
        for (value, name) in [(self.channels, "channels"), (self.cells, "cells")] {
            if value == 0 {
                return Err(CellError::NotPositive(name));
            }
        }
        check_size(self.cells.saturating_mul(STAGES), EDGES)?;
        let mut net = Net::new(geometry.input)?;
        let x = net.conv("stem.0", &net.image(), self.channels, Window::square(3, 1), 1);
        let mut x = net.batch_norm("stem.1", &x);
        let mut module = 0;
        for stage in 0..STAGES {
            if stage > 0 {
                x = halve(&mut net, &format!("cells.{module}"), &x);
                module += 1;
            }
            for _ in 0..self.cells {
                x = self.cell(&mut net, &format!("cells.{module}"), x);
                module += 1;
            }
        }
        let x = net.batch_norm("lastact.0", &x);
        let x = net.relu("lastact.1", &x);
        net.finish(&x, geometry.outputs)
    }

    fn cell(&self, net: &mut Net, name: &str, input: Value) -> Value {
        let mut values = vec![input];
        let mut edge = 0;
        for node in 1..NODES {
            let mut arriving = Vec::with_capacity(node);
            for (input, &op) in self.cell.inputs(node).iter().enumerate() {
                let x = values[input].clone();
                let layer = format!("{name}.layers.{edge}");
                edge += 1;
                arriving.extend(match op {
                    Nb201Op::None => None,
                    Nb201Op::SkipConnect => Some(x),
                    Nb201Op::Conv1x1 => Some(net.relu_conv_bn(&layer, &x, x.channels, Window::square(1, 1))),
                    Nb201Op::Conv3x3 => Some(net.relu_conv_bn(&layer, &x, x.channels, Window::square(3, 1))),
                    Nb201Op::AvgPool3x3 => Some(net.pool(&layer, Op::AveragePool, &x, Window::square(3, 1))),
                });
            }
            values.push(match &arriving[..] {
                // A convolution of nothing still gives its normalisation's bias.
                [] => net.same(&format!("{name}.zero{node}"), Op::Clip { min: 0.0, max: 0.0 }, &values[0]),
                [one] => one.clone(),
                several => net.add(&format!("{name}.add{node}"), several, false),
            });
        }
        values.swap_remove(NODES - 1)
    }
}

/// The residual block between two stages: twice the channels, half the size.
fn halve(net: &mut Net, name: &str, x: &Value) -> Value {
    let channels = x.channels.saturating_mul(2);
    let main = net.relu_conv_bn(&format!("{name}.conv_a"), x, channels, Window::square(3, 2));
    let main = net.relu_conv_bn(&format!("{name}.conv_b"), &main, channels, Window::square(3, 1));
    // Of an odd size the last, lonely row or column counts, too: the convolutions round up.
    let window = Window { kernel_shape: x.size.map(|size| size.min(2)), ..Window::square(2, 2).pads(0) };
    let pool = Pool { window, ceil_mode: true, count_include_pad: false };
    let node = net.push(&format!("{name}.downsample.0"), Op::AveragePool(pool), &[&x.node]);
    let pooled = Value { node, size: main.size, ..x.clone() };
    let skip = net.conv(&format!("{name}.downsample.1"), &pooled, channels, Window::square(1, 1), 1);
    net.add(&format!("{name}.add"), &[main, skip], true)
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::seed::rng;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_is_the_benchmarks() {
        let text = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|avg_pool_3x3~1|nor_conv_1x1~2|";
        let cell: CellStructure = text.parse().unwrap();
        assert_eq!(cell.inputs(3), [Nb201Op::Conv3x3, Nb201Op::AvgPool3x3, Nb201Op::Conv1x1]);
        assert_eq!(cell.to_string(), text);
        assert_eq!(serde_json::to_value(cell).unwrap(), text);
        for wrong in ["", "|none~0|", "|none~0|+|none~0|+|none~0|none~1|none~2|", &text.replace("~2", "~1")] {
            assert!(wrong.parse::<CellStructure>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_are_not_larger_than_memory_allows() {
        let cell = CellStructure([Nb201Op::Conv3x3; EDGES]);
        let error = Nb201 { cell, channels: 4, cells: usize::MAX }
            .build(&Geometry { input: [3, 32, 32], outputs: 2 })
            .unwrap_err();
        assert!(matches!(error, CellError::TooLarge { most: 16384, .. }), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_cell_makes_a_network(
            seed in any::<u64>(), height in 1_usize..33, width in 1_usize..33, steps in 0_usize..5,
        ) {
            let mut generator = rng(seed);
            let mut cell = CellStructure::random(&mut generator);
            for _ in 0..steps {
                let before = cell;
                cell.mutate(&mut generator);
                let changed = cell.0.iter().zip(&before.0).filter(|(a, b)| a != b).count();
                prop_assert_eq!(changed, 1);
            }
            prop_assert_eq!(cell.to_string().parse::<CellStructure>(), Ok(cell));
            let network = Nb201 { cell, channels: 4, cells: 1 };
            let layout = network.build(&Geometry { input: [3, height, width], outputs: 2 }).unwrap();
            prop_assert!(layout.graph().costs().unwrap().params <= layout.tally().params);
        }
    }
}
