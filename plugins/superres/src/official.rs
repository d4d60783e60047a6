//! The counters of the official ZenNAS code, quirks included.
//!
//! Published budgets ("1 M parameters", "400 M FLOPs") are meant in these. They differ from what
//! a network really has, which the graph's own costs say:
//!
//! 1. *BN counts once*: a batch normalisation of `c` channels counts `c` parameters (it has `2c`
//!    learnt ones) and `c·h·w` operations. ReLU, additions and pooling count nothing.
//! 2. *Bare projection*: the 1×1 convolution of a skip connection counts its weight and bias, but
//!    not its batch normalisation.
//! 3. *One bias*: the classifier's biases count as a single parameter.
//! 4. *Late projection*: a projection's operations are taken at its output size divided by its
//!    stride once more, so that a stride-2 projection counts a quarter; the quotient is not
//!    rounded, so totals may be fractions.
//! 5. *Floor sizes*: sizes shrink as `h / s` rounded down, where a padded convolution rounds up;
//!    convolutions are counted at the size before the stride, divided by `s²` rounded down.
//!
//! What the official code calls FLOPs are multiply-adds. It knows square images only; for others
//! `h·w` stands where it has `r²`.

use crate::{
    structure::Structure,
    unit::{Layer, Skip, Unit, squeezed},
};

/// Which parts of the network are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// Skip connections with their projections (`no_reslink` off).
    pub residual_links: bool,
    /// Batch normalisations of the main chain (`no_BN` off).
    pub batch_norm: bool,
    /// Squeeze-and-excitation in the residual units (`use_se`).
    pub squeeze_excitation: bool,
}

impl Default for Mode {
    /// The mode of the search's budgets.
    fn default() -> Self {
        Self { residual_links: true, batch_norm: true, squeeze_excitation: false }
    }
}

/// What the official counters say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Official {
    /// `get_model_size`.
    pub params: f64,
    /// `get_FLOPs`, in multiply-adds per image.
    pub flops: f64,
    /// `get_num_layers`: the sum of the blocks' `layers`.
    pub layers: usize,
}

/// Counts `structure` for images of `input` (channels, height, width) and `classes` outputs.
pub fn count(structure: &Structure, mode: Mode, input: [usize; 3], classes: usize) -> Official {
    let [channels, height, width] = input;
    let mut counter = Counter { mode, params: 0, flops: 0.0, size: [height as u64, width as u64] };
    let mut layers = 0;
    for (index, block) in structure.blocks.iter().enumerate() {
        layers += block.layers;
        let mut units = block.units();
        if let (0, Some(unit)) = (index, units.first_mut()) {
            unit.set_input(channels);
        }
        units.iter().for_each(|unit| counter.unit(unit));
    }
    let features = structure.blocks.last().map_or(0, |block| block.output);
    let classifier = (features * classes) as u64;
    Official {
        params: (counter.params + classifier + 1) as f64,
        flops: counter.flops + classifier as f64,
        layers,
    }
}

struct Counter {
    mode: Mode,
    params: u64,
    flops: f64,
    /// Rows and columns of the current map.
    size: [u64; 2],
}

impl Counter {
    fn pixels(&self) -> u64 {
        self.size[0] * self.size[1]
    }

    fn unit(&mut self, unit: &Unit) {
        for layer in &unit.layers {
            self.layer(layer);
        }
        if unit.skip == Skip::Projection && self.mode.residual_links {
            let [input, output, stride] =
                [unit.input(), unit.output(), unit.stride()].map(|value| value as u64);
            self.params += input * output + output;
            let size = self.size.map(|side| side as f64 / stride as f64);
            self.flops += (input * output + output) as f64 * (size[0] * size[1]);
        }
    }

    fn layer(&mut self, layer: &Layer) {
        let [input, output, stride] = [layer.input, layer.output, layer.stride].map(|value| value as u64);
        let weights = if layer.depthwise { 1 } else { input } * output * (layer.kernel * layer.kernel) as u64;
        self.params += weights;
        self.flops += (weights * self.pixels() / (stride * stride)) as f64;
        self.size = self.size.map(|side| side / stride);
        if self.mode.batch_norm {
            self.params += output;
            self.flops += (self.pixels() * output) as f64;
        }
        if layer.excited && self.mode.squeeze_excitation {
            let hidden = squeezed(layer.output) as u64;
            self.params += 2 * output * hidden + 2 * hidden + 2 * output;
            self.flops += (2 * output * hidden + output + output * self.pixels()) as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plainnet::parse;

    #[test]
    fn the_quirks_by_hand() {
        let structure = parse("SuperConvK3BNRELU(3,8,2,1)SuperResK3K3(8,16,2,8,1)").unwrap();
        let counts = count(&structure, Mode::default(), [3, 7, 7], 10);
        // 7 -> 3 -> 1, rounded down; a real network has 7 -> 4 -> 2.
        let conv = 216 * 49 / 4 + 8 * 9;
        let unit = 576 * 9 / 4 + 8 + 1152 + 16;
        let projection = (8 * 16 + 16) as f64 * 0.25;
        assert_eq!(counts.flops, f64::from(conv + unit) + projection + 160.0);
        assert_eq!(counts.params, f64::from(216 + 8 + 576 + 8 + 1152 + 16 + 8 * 16 + 16 + 160 + 1));
        assert_eq!(counts.layers, 2);
    }

    #[test]
    fn grayscale_images_need_a_thinner_first_convolution() {
        let structure = parse("SuperConvK3BNRELU(3,8,1,1)").unwrap();
        let counts = |channels| count(&structure, Mode::default(), [channels, 4, 4], 2).params;
        assert_eq!(counts(3) - counts(1), 2.0 * 8.0 * 9.0);
    }
}
