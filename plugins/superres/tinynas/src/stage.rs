//! Stages, and what DeepMAD measures at their ends: entropy, width, depth, map.
//!
//! A stage begins at every block but the first that has stride 2. All quantities are cumulative,
//! from the image to the end of the stage, as in the official code.

use crate::{
    block::{Block, Class},
    structure::Structure,
};

/// Exponents of the entropy of one unit,
/// `h = ½ (channels · Σ ln c + 2 · kernels · Σ ln k)`; 1 in all published configurations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponents {
    /// The official `alpha1`.
    pub channels: f64,
    /// The official `alpha2`.
    pub kernels: f64,
}

impl Default for Exponents {
    fn default() -> Self {
        Self { channels: 1.0, kernels: 1.0 }
    }
}

/// How map sizes are followed through squeeze-and-excitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maps {
    /// The official code takes the 1×1 map inside the excitation for the unit's answer, so that
    /// every later map is 1×1 (and 0×0 after a further stride without excitation).
    Official,
    /// As they are.
    Actual,
}

/// What is known at the end of a stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Position of its last block.
    pub block: usize,
    /// Units from the image on.
    pub units: usize,
    /// Convolutions of the main path from the image on, `D`.
    pub layers: usize,
    /// Output channels.
    pub channels: usize,
    /// Height and width of the map, each halved and rounded down at each stride.
    pub size: [usize; 2],
    /// `T`: the sum of the units' log-std entropies from the image on.
    pub entropy: f64,
}

impl Stage {
    /// Returns `ρ = D · exp(−2T / D)`, depth over the geometric mean of the layers' widths
    /// `w = c k² / g` (DeepMAD, section 3.3). [`Stage::entropy`] must be of unit exponents.
    pub fn effectiveness(&self) -> f64 {
        let depth = self.layers as f64;
        depth * (-2.0 * self.entropy / depth).exp()
    }
}

/// Returns the largest [`Stage::effectiveness`] over the stages (official `get_efficient_score`; the
/// paper takes the last stage alone).
///
/// # Errors
///
/// Answers the class of blocks that has no width in the official code.
pub fn efficient_score(structure: &Structure) -> Result<f64, Class> {
    check_widths(structure)?;
    let stages = stages(structure, [1, 1], Maps::Actual, Exponents::default());
    Ok(stages.map(|stage| stage.effectiveness()).fold(0.0, f64::max))
}

/// Checks that the official code defines the widths of every block, which DeepMAD's score and
/// effectiveness are made of. It does not for `SuperResK1KX` and `SuperResKXKX`.
///
/// # Errors
///
/// Answers the first class that lacks them.
pub fn check_widths(structure: &Structure) -> Result<(), Class> {
    let mut classes = structure.blocks.iter().map(|block| block.class);
    classes.find(|class| matches!(class, Class::K1KX | Class::KXKX)).map_or(Ok(()), Err)
}

/// Walks through the stages of `structure` for images of `size` (height, width).
pub fn stages(structure: &Structure, size: [usize; 2], maps: Maps, exponents: Exponents) -> Stages<'_> {
    let stage = Stage { block: 0, units: 0, layers: 0, channels: 0, size, entropy: 0.0 };
    Stages { blocks: &structure.blocks, maps, exponents, next: 0, stage }
}

/// Iterator over the [`Stage`]s of a structure.
#[derive(Debug, Clone)]
pub struct Stages<'a> {
    blocks: &'a [Block],
    maps: Maps,
    exponents: Exponents,
    /// Position of the next block.
    next: usize,
    stage: Stage,
}

impl Iterator for Stages<'_> {
    type Item = Stage;

    fn next(&mut self) -> Option<Stage> {
        let begin = self.next;
        while let Some(block) = self.blocks.get(self.next) {
            if block.stride == 2 && self.next > begin {
                break;
            }
            self.enter(block);
            self.next += 1;
        }
        (self.next > begin).then_some(self.stage)
    }
}

impl Stages<'_> {
    fn enter(&mut self, block: &Block) {
        let stage = &mut self.stage;
        let kernels = self.exponents.kernels * kernels(block);
        let unit = |input: usize| 0.5 * (self.exponents.channels * channels(block, input).ln() + kernels);
        let further = (block.depth() - 1) as f64;
        stage.entropy += unit(block.input);
        if further > 0.0 {
            stage.entropy += further * unit(block.output);
        }
        stage.block = self.next;
        stage.units += block.depth();
        stage.layers += block.layers();
        stage.channels = block.output;
        stage.size = match (self.maps, block.class) {
            (Maps::Official, Class::K1DWSEK1) => [1, 1],
            _ => stage.size.map(|side| side / block.stride),
        };
    }
}

/// Product of the channels that a unit's layers read; a depthwise layer reads one.
fn channels(block: &Block, input: usize) -> f64 {
    let (input, width) = (input as f64, block.width() as f64);
    match block.class {
        Class::Conv => input,
        Class::K1KXK1 => input * width * width,
        Class::K1KX | Class::KXKX | Class::K1DWK1 | Class::K1DWSEK1 => input * width,
    }
}

/// `2 Σ ln k` over a unit's k×k layers.
fn kernels(block: &Block) -> f64 {
    let layers = if block.class == Class::KXKX { 2.0 } else { 1.0 };
    2.0 * layers * (block.kernel as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(class: Class) -> Structure {
        let mut structure = Structure {
            blocks: vec![
                Block::conv(3, 8, 2, 3),
                Block::residual(class, [8, 16, 24], 2, 5, 3),
                Block::residual(class, [24, 16, 32], 1, 3, 1),
                Block::conv(32, 64, 1, 1),
            ],
        };
        structure.thread();
        structure
    }

    #[test]
    fn stages_begin_at_strides_and_are_cumulative() {
        let net = net(Class::K1KXK1);
        let stages: Vec<Stage> = stages(&net, [32, 30], Maps::Official, Exponents::default()).collect();
        let seen: Vec<_> = stages.iter().map(|s| (s.block, s.units, s.layers, s.channels, s.size)).collect();
        assert_eq!(seen, [(0, 1, 1, 8, [16, 15]), (3, 6, 14, 64, [8, 7])]);
        let log = |width: f64| 0.5 * width.ln();
        let expected = log(27.0)
            + log(8.0 * 256.0 * 25.0)
            + 2.0 * log(24.0 * 256.0 * 25.0)
            + log(24.0 * 256.0 * 9.0)
            + log(32.0);
        assert!((stages[1].entropy - expected).abs() < 1e-12);
        let mean = (2.0 * expected / 14.0).exp();
        assert!((stages[1].effectiveness() - 14.0 / mean).abs() < 1e-12);
    }

    #[test]
    fn excitation_loses_the_map_in_the_official_code() {
        let net = net(Class::K1DWSEK1);
        let size = |maps| stages(&net, [32, 32], maps, Exponents::default()).last().map(|s| s.size);
        assert_eq!(size(Maps::Official), Some([1, 1]));
        assert_eq!(size(Maps::Actual), Some([8, 8]));
    }

    #[test]
    fn exponents_weigh_channels_and_kernels() {
        let net = Structure { blocks: vec![Block::residual(Class::KXKX, [8, 16, 8], 1, 5, 1)] };
        let entropy = |channels, kernels| {
            let exponents = Exponents { channels, kernels };
            stages(&net, [8, 8], Maps::Actual, exponents).map(|s| s.entropy).sum::<f64>()
        };
        assert!((entropy(2.0, 0.0) - 128_f64.ln()).abs() < 1e-12);
        assert!((entropy(0.0, 1.0) - 25_f64.ln()).abs() < 1e-12);
    }
}
