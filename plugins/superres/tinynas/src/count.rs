//! The counters of the official TinyNAS code, quirks included.
//!
//! Published budgets are meant in these. They differ from what a network really has, which the
//! graph's own costs say:
//!
//! 1. *No classifier*: parameters and FLOPs end at the last feature map.
//! 2. *FLOPs* are multiply-adds of convolutions, two per value that a batch normalisation gives,
//!    one per value that an activation gives, one per input channel and pixel of a pooled
//!    shortcut, and one more per value of a projection.
//! 3. *No squeeze-and-excitation*: its parameters count, its operations do not.
//! 4. *Sides are never rounded*: the resolution is halved at each stride as a real number.
//! 5. *Layers* are the convolutions of the main path, without projections.

use crate::{
    block::{Block, Class},
    structure::Structure,
};

/// What the official counters say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    /// `get_model_size`: weights of convolutions and batch normalisations.
    pub params: f64,
    /// `get_flops` at the given size, for one image.
    pub flops: f64,
    /// `get_layers`.
    pub layers: usize,
}

/// Counts `structure` for images of `size` (height, width).
///
/// The official code knows square images only; for others `height · width` stands where it has
/// the square of the resolution.
pub fn count(structure: &Structure, size: [usize; 2]) -> Counts {
    let mut pixels = (size[0] * size[1]) as f64;
    let mut counts = Counts { params: 0.0, flops: 0.0, layers: 0 };
    for block in &structure.blocks {
        let first = unit(block, block.input, block.stride, true);
        counts.params += first.params;
        counts.flops += first.operations * pixels;
        pixels /= (block.stride * block.stride) as f64;
        if block.depth() > 1 {
            let further = (block.depth() - 1) as f64;
            let unit = unit(block, block.output, 1, false);
            counts.params += further * unit.params;
            counts.flops += further * unit.operations * pixels;
        }
        counts.layers += block.layers();
    }
    counts
}

/// Width inside the squeeze-and-excitation over `channels`: a quarter, ties to even, rounded down
/// to a multiple of 8, at least 8.
pub fn squeezed(channels: usize) -> usize {
    ((channels as f64 * 0.25).round_ties_even() as usize / 8).max(1) * 8
}

/// Parameters of a unit, and operations per pixel of its input.
#[derive(Default)]
struct Unit {
    params: f64,
    operations: f64,
}

impl Unit {
    /// Adds a convolution of `weights` weights with the batch normalisation of its `output`
    /// channels, at `area` of the unit's input pixels.
    fn conv(&mut self, weights: f64, output: f64, area: f64) {
        self.params += weights + 2.0 * output;
        self.operations += (weights + 2.0 * output) * area;
    }
}

/// Counts one unit of `block` that takes `input` channels.
fn unit(block: &Block, input: usize, stride: usize, first: bool) -> Unit {
    let same = input == block.output;
    let [input, output, width, kernel] = [input, block.output, block.width(), block.kernel].map(|n| n as f64);
    let taps = kernel * kernel;
    let inside = 1.0 / (stride * stride) as f64;
    let mut unit = Unit::default();
    match block.class {
        Class::Conv => {
            unit.conv(input * output * taps, output, inside);
            unit.operations += output * inside;
            return unit;
        }
        Class::K1KXK1 => {
            unit.conv(input * width, width, 1.0);
            unit.conv(width * width * taps, width, inside);
            unit.conv(width * output, output, inside);
            unit.operations += width + (width + output) * inside;
        }
        Class::K1DWK1 | Class::K1DWSEK1 => {
            unit.conv(input * width, width, 1.0);
            unit.conv(width * taps, width, inside);
            unit.conv(width * output, output, inside);
            unit.operations += width + (width + output) * inside;
            if block.class == Class::K1DWSEK1 {
                let hidden = squeezed(block.width()) as f64;
                unit.params += 2.0 * (width * hidden + hidden + width);
            }
        }
        Class::K1KX | Class::KXKX => {
            let before = if block.class == Class::KXKX { taps } else { 1.0 };
            unit.conv(input * width * before, width, 1.0);
            unit.conv(width * output * taps, output, inside);
            unit.operations += width + output * inside;
        }
    }
    // Depthwise units have a shortcut only where no projection is needed.
    if stride == 2 && (same || !block.class.is_depthwise()) {
        unit.operations += input;
    }
    if projects(block.class, same, first) {
        unit.conv(input * output, output, inside);
        unit.operations += output * inside;
    }
    unit
}

/// Whether a unit's shortcut has a 1×1 convolution; `same` says that its widths agree.
pub fn projects(class: Class, same: bool, first: bool) -> bool {
    match class {
        Class::Conv | Class::K1DWK1 | Class::K1DWSEK1 => false,
        Class::K1KX | Class::KXKX => !same,
        Class::K1KXK1 => first || !same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strided_bottleneck_by_hand() {
        let stem = Block::conv(3, 8, 2, 3);
        let block = Block::residual(Class::K1KXK1, [8, 4, 16], 2, 3, 2);
        let counts = count(&Structure { blocks: vec![stem, block] }, [8, 8]);
        let stem = (216.0 + 16.0 + 8.0) * 16.0;
        let first = (32.0 + 8.0 + 4.0 + 8.0) * 16.0
            + (144.0 + 8.0 + 64.0 + 32.0 + 4.0 + 16.0) * 4.0
            + (128.0 + 32.0 + 16.0) * 4.0;
        let second = (64.0 + 8.0 + 144.0 + 8.0 + 64.0 + 32.0 + 4.0 + 4.0 + 16.0) * 4.0;
        assert_eq!(counts.flops, stem + first + second);
        let bottleneck = 8.0 + 144.0 + 8.0 + 64.0 + 32.0;
        assert_eq!(counts.params, 232.0 + (32.0 + bottleneck + 160.0) + (64.0 + bottleneck));
        assert_eq!(counts.layers, 7);
    }

    #[test]
    fn excitations_have_parameters_and_no_operations() {
        let net = |class| Structure { blocks: vec![Block::residual(class, [16, 96, 16], 1, 5, 1)] };
        let [plain, excited] = [Class::K1DWK1, Class::K1DWSEK1].map(|class| count(&net(class), [4, 4]));
        assert_eq!(plain.flops, excited.flops);
        assert_eq!(excited.params - plain.params, 2.0 * (96.0 * 24.0 + 24.0 + 96.0));
        assert_eq!([8, 30, 34, 96, 100].map(squeezed), [8, 8, 8, 24, 24]);
    }
}
