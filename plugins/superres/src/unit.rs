//! What a super-block consists of: units of convolutions, with or without a skip connection.

use crate::block::{Block, Kind};

/// A convolution with its batch normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) depthwise: bool,
    /// Where a squeeze-and-excitation follows the activation, if the network has them.
    pub(crate) excited: bool,
}

/// What is added to a unit's main branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    /// Nothing: a plain convolution.
    None,
    /// The unit's input.
    Identity,
    /// A strided 1×1 convolution with bias and batch normalisation of the unit's input.
    Projection,
}

/// Layers with ReLU between them, an addition, and a last ReLU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) layers: Vec<Layer>,
    pub(crate) skip: Skip,
}

impl Unit {
    pub(crate) fn input(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.input)
    }

    pub(crate) fn output(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.output)
    }

    /// Feeds the unit `channels` channels instead. Its skip connection stays: the first unit of a
    /// block, the only one this is meant for, projects in any case.
    pub(crate) fn set_input(&mut self, channels: usize) {
        if let Some(layer) = self.layers.first_mut() {
            layer.input = channels;
        }
    }

    pub(crate) fn stride(&self) -> usize {
        self.layers.iter().map(|layer| layer.stride).product()
    }

    /// A residual unit. The projection is `forced` in the very first unit of a block, elsewhere
    /// it stands where the shapes need it.
    fn residual(layers: Vec<Layer>, forced: bool) -> Self {
        let mut unit = Self { layers, skip: Skip::Identity };
        if forced || unit.stride() > 1 || unit.input() != unit.output() {
            unit.skip = Skip::Projection;
        }
        unit
    }
}

/// Width of a hidden layer: `width` rounded to a multiple of 8, ties to even, at least 8.
pub(crate) fn round8(width: f64) -> usize {
    ((width / 8.0).round_ties_even() as usize * 8).max(8)
}

fn dense(input: usize, output: usize, kernel: u32, stride: usize) -> Layer {
    Layer { input, output, kernel: kernel as usize, stride, depthwise: false, excited: false }
}

fn inverted(input: usize, hidden: usize, output: usize, kernel: u32, stride: usize) -> Vec<Layer> {
    let depthwise = Layer { depthwise: true, excited: true, ..dense(hidden, hidden, kernel, stride) };
    vec![dense(input, hidden, 1, 1), depthwise, dense(hidden, output, 1, 1)]
}

impl Block {
    /// Returns the units of this block, first to last.
    pub(crate) fn units(&self) -> Vec<Unit> {
        let width = self.bottleneck.unwrap_or_default();
        let mut units = Vec::with_capacity(2 * self.layers);
        for index in 0..self.layers {
            let first = index == 0;
            let (input, stride) = if first { (self.input, self.stride) } else { (self.output, 1) };
            match self.kind {
                Kind::Conv { kernel } => units
                    .push(Unit { layers: vec![dense(input, self.output, kernel, stride)], skip: Skip::None }),
                Kind::Basic { kernel } => {
                    let reduce = Layer { excited: true, ..dense(input, width, kernel, stride) };
                    let layers = vec![reduce, dense(width, self.output, kernel, 1)];
                    units.push(Unit::residual(layers, first));
                }
                Kind::Bottleneck { kernel } => {
                    for (input, stride, first) in [(input, stride, first), (self.output, 1, false)] {
                        let middle = Layer { excited: true, ..dense(width, width, kernel, stride) };
                        let layers = vec![dense(input, width, 1, 1), middle, dense(width, self.output, 1, 1)];
                        units.push(Unit::residual(layers, first));
                    }
                }
                Kind::InvertedDepthwise { expansion, kernel } => {
                    let hidden = |width: usize| round8((width * expansion as usize) as f64);
                    let narrow = inverted(input, hidden(width), width, kernel, stride);
                    units.push(Unit::residual(narrow, first));
                    let wide = inverted(width, hidden(self.output), self.output, kernel, 1);
                    units.push(Unit::residual(wide, false));
                }
            }
        }
        units
    }
}

/// Width inside a squeeze-and-excitation over `channels`: a quarter, ties to even, at least 1.
pub(crate) fn squeezed(channels: usize) -> usize {
    ((channels as f64 * 0.25).round_ties_even() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plainnet::parse;

    fn units(text: &str) -> Vec<Unit> {
        parse(text).unwrap().blocks[0].units()
    }

    fn sizes(unit: &Unit) -> Vec<(usize, usize, usize, usize)> {
        unit.layers.iter().map(|layer| (layer.input, layer.output, layer.kernel, layer.stride)).collect()
    }

    #[test]
    fn ties_round_to_even() {
        assert_eq!([20.0, 28.0, 3.0, 12.0].map(round8), [16, 32, 8, 16]);
        assert_eq!([8, 10, 14, 1].map(squeezed), [2, 2, 4, 1]);
    }

    #[test]
    fn a_bottleneck_layer_is_two_units_and_only_the_first_projects() {
        let units = units("SuperResK1K5K1(16,24,2,8,2)");
        assert_eq!(units.len(), 4);
        assert_eq!(sizes(&units[0]), [(16, 8, 1, 1), (8, 8, 5, 2), (8, 24, 1, 1)]);
        assert_eq!(sizes(&units[1]), [(24, 8, 1, 1), (8, 8, 5, 1), (8, 24, 1, 1)]);
        let skips: Vec<Skip> = units.iter().map(|unit| unit.skip).collect();
        assert_eq!(skips, [Skip::Projection, Skip::Identity, Skip::Identity, Skip::Identity]);
    }

    #[test]
    fn the_first_unit_projects_even_where_shapes_agree() {
        assert_eq!(units("SuperResK3K3(16,16,1,8,1)")[0].skip, Skip::Projection);
    }

    #[test]
    fn an_inverted_layer_goes_through_the_bottleneck_width() {
        let units = units("SuperResIDWE6K3(16,24,2,12,1)");
        assert_eq!(sizes(&units[0]), [(16, 72, 1, 1), (72, 72, 3, 2), (72, 12, 1, 1)]);
        assert_eq!(sizes(&units[1]), [(12, 144, 1, 1), (144, 144, 3, 1), (144, 24, 1, 1)]);
        assert!(units[0].layers[1].depthwise);
        assert_eq!(units[1].skip, Skip::Projection);
    }
}
