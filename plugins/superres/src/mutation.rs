//! The official search spaces of ZenNAS and their mutation.
//!
//! A mutation replaces blocks by random neighbours. Block class, output channels, bottleneck
//! width and number of layers are drawn independently; the stride never changes, input channels
//! follow from the block before. The official code writes out a list of all neighbours and picks
//! one; drawing the fields directly gives the same distribution at a thousandth of the cost.

use nashost_plugin_api::seed::Rng;
use rand::{Rng as _, seq::IndexedRandom as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    block::{Block, Kind},
    structure::Structure,
    unit::round8,
};

/// Which residual blocks there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// ResNet-like (`search_space_XXBL`): basic and bottleneck blocks with kernels 3, 5, 7. Widths
    /// up to 2048.
    Xxbl,
    /// MobileNet-like (`search_space_IDW_fixfc`): inverted depthwise blocks with expansion 1, 2,
    /// 4, 6 and kernels 3, 5, 7. A 1×1 `SuperConv…` (the last block) keeps its width; others have
    /// no bound but [`Block::MAX_WIDTH`].
    Idw,
}

/// How likely the classes of residual blocks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TypeWeights {
    /// As in the official code, whose list of neighbours repeats some classes: 3:3:2 over the
    /// kernels 3, 5, 7 in `xxbl`; 12:12:11:10:…:2 in `idw`, expansion running fastest.
    #[default]
    Official,
    /// All the same.
    Uniform,
}

impl Space {
    /// Lists the classes of residual blocks with their official weights.
    pub fn types(self) -> Vec<(Kind, u32)> {
        match self {
            Self::Xxbl => {
                let weights = [(3, 3), (5, 3), (7, 2)];
                let bottleneck = weights.map(|(kernel, weight)| (Kind::Bottleneck { kernel }, weight));
                let basic = weights.map(|(kernel, weight)| (Kind::Basic { kernel }, weight));
                [bottleneck, basic].concat()
            }
            Self::Idw => {
                let kinds = [3, 5, 7].into_iter().flat_map(|kernel| {
                    [1, 2, 4, 6].map(|expansion| Kind::InvertedDepthwise { expansion, kernel })
                });
                kinds.zip([12, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]).collect()
            }
        }
    }

    /// Lists the widths that may replace `width`, ascending, without repetition: multiples of 8
    /// from 0.4 to 2.5 times as wide.
    pub fn widths(self, width: usize) -> Vec<usize> {
        let width = width as f64;
        let factors = [
            width / 2.5,
            width / 2.0,
            width / 1.5,
            width / 1.25,
            width,
            width * 1.25,
            width * 1.5,
            width * 2.0,
            width * 2.5,
        ];
        let most = match self {
            Self::Xxbl => 2048.0,
            Self::Idw => f64::from(Block::MAX_WIDTH as u32),
        };
        // Clamped first and rounded then, as in the official code.
        let mut widths: Vec<usize> =
            factors.into_iter().map(|width| round8(width.clamp(8.0, most))).collect();
        widths.dedup();
        widths
    }
}

/// Lists the numbers of layers that may replace `layers`, ascending.
pub fn depths(layers: usize) -> Vec<usize> {
    (layers.saturating_sub(2).max(1)..=(layers + 2).min(Block::MAX_LAYERS)).collect()
}

/// A search space with its mutation.
#[derive(Debug, Clone)]
pub struct Mutator {
    space: Space,
    types: Vec<(Kind, u32)>,
}

impl Mutator {
    /// Makes the mutation of `space`.
    pub fn new(space: Space, weights: TypeWeights) -> Self {
        let mut types = space.types();
        if weights == TypeWeights::Uniform {
            types.iter_mut().for_each(|(_, weight)| *weight = 1);
        }
        Self { space, types }
    }

    /// Returns a copy of `structure` with up to `replacements` blocks replaced.
    ///
    /// Blocks are picked uniformly, with repetition; one that was picked before is left alone, so
    /// two replacements may change one block. A replacement may equal what it replaces. The input
    /// channels are then threaded, and long blocks split twice, as happens when the official code
    /// prints a child and reads it back.
    pub fn mutate(&self, structure: &Structure, replacements: u32, rng: &mut Rng) -> Structure {
        let mut child = structure.clone();
        let mut picked = vec![false; child.blocks.len()];
        for _ in 0..replacements {
            let index = rng.random_range(0..child.blocks.len());
            if !std::mem::replace(&mut picked[index], true) {
                self.replace(&mut child.blocks[index], rng);
            }
        }
        child.thread();
        child.split().split()
    }

    fn replace(&self, block: &mut Block, rng: &mut Rng) {
        let frozen = self.space == Space::Idw && block.kind == Kind::Conv { kernel: 1 };
        if !frozen {
            block.output = pick(&self.space.widths(block.output), rng);
        }
        match block.bottleneck {
            // The official code writes plain convolutions with one layer, whatever they had.
            None => block.layers = 1,
            Some(width) => {
                block.kind = self.draw_kind(rng);
                block.layers = pick(&depths(block.layers), rng);
                block.bottleneck = Some(pick(&self.space.widths(width), rng));
            }
        }
    }

    fn draw_kind(&self, rng: &mut Rng) -> Kind {
        self.types
            .choose_weighted(rng, |(_, weight)| *weight)
            .map(|(kind, _)| *kind)
            .expect("every space has types with positive weights")
    }
}

fn pick(candidates: &[usize], rng: &mut Rng) -> usize {
    *candidates.choose(rng).expect("the old value's rounding is always a candidate")
}

#[cfg(test)]
mod tests;
