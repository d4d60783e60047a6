//! The mutations of the official DeepMAD searches.
//!
//! A mutation changes one field of one block at a time: the block is picked uniformly, then the
//! field, then the value. Input channels are threaded, and kernels shrunk to the map, afterwards.
//! Strides, the number of blocks and their classes never change.

use nashost_plugin_api::seed::Rng;
use nashost_tinynas::{Block, Class, Structure};
use rand::{Rng as _, seq::IndexedRandom as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which official search space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// `space_k1kxk1`.
    K1kxk1,
    /// `space_k1kx`.
    K1kx,
    /// `space_kxkx`.
    Kxkx,
    /// `space_k1dwk1`.
    K1dwk1,
    /// `space_k1dwsek1`.
    K1dwsek1,
}

/// Whether the last block may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LastBlock {
    /// It may, as in the first version of the official code.
    #[default]
    Free,
    /// It may not, as in the released code, which never picks it: `numpy.random.randint` leaves
    /// its upper end out, `random.randint` before it did not.
    Frozen,
}

/// Settings of the mutation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Side of the images: kernels are at most two thirds of the map.
    #[schemars(range(min = 1, max = 65_536))]
    pub image_size: u32,
    /// Budget of layers that the mutation itself keeps, if it can: the number of units of a block
    /// gets an upper bound, and children with more layers are mutated anew. A budget of the
    /// search is still needed.
    #[schemars(range(min = 1))]
    pub layers: Option<u32>,
    /// Whether the last block may change.
    pub last_block: LastBlock,
    /// Least and most output channels of each block, `null` for no bounds; spaces `k1kx` and
    /// `kxkx` only. The published `small` and `medium` configurations have
    /// `[null, null, [64, 128], null, [128, 256], [256, 512]]`, `tiny` has
    /// `[null, null, [64, 96], null, [128, 192], [256, 384]]`.
    pub channel_ranges: Option<Vec<Option<[usize; 2]>>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { image_size: 224, layers: None, last_block: LastBlock::Free, channel_ranges: None }
    }
}

/// A structure that the space cannot mutate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MutationError {
    /// A block of another space.
    #[error("block {index} is a {found}; this space mutates {expected} between ConvKXBNRELU")]
    Class {
        /// Position of the block, from 0.
        index: usize,
        /// Its class.
        found: Class,
        /// The class of the space's super-blocks.
        expected: Class,
    },
    /// Ranges for another number of blocks.
    #[error("`channel_ranges` has {ranges} entries, the structure {blocks} blocks")]
    Ranges {
        /// Ranges given.
        ranges: usize,
        /// Blocks of the structure.
        blocks: usize,
    },
}

/// A field of a super-block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Output,
    Kernel,
    Bottleneck,
    Units,
}

/// What a space allows.
#[derive(Debug, Clone)]
struct Rules {
    class: Class,
    fields: &'static [Field],
    /// Factors between old and new widths.
    scales: Vec<f64>,
    kernels: &'static [usize],
    /// Bottleneck widths over output widths; empty where bottlenecks are scaled instead.
    ratios: Vec<f64>,
    max_width: usize,
    min_stem: usize,
}

/// Most output channels of the stem.
const MAX_STEM: usize = 32;
/// A bottleneck has at least the output's width over this.
const MAX_SQUEEZE: f64 = 10.0;

impl Space {
    /// The class of its super-blocks.
    pub fn class(self) -> Class {
        match self {
            Self::K1kxk1 => Class::K1KXK1,
            Self::K1kx => Class::K1KX,
            Self::Kxkx => Class::KXKX,
            Self::K1dwk1 => Class::K1DWK1,
            Self::K1dwsek1 => Class::K1DWSEK1,
        }
    }

    fn rules(self) -> Rules {
        use Field::{Bottleneck, Kernel, Output, Units};
        let all: &[Field] = &[Output, Kernel, Bottleneck, Units];
        let wide = vec![2.0, 1.5, 1.25, 0.8, 0.6, 0.5];
        let rules = Rules {
            class: self.class(),
            fields: all,
            scales: wide,
            kernels: &[3, 5],
            ratios: Vec::new(),
            max_width: 2048,
            min_stem: 1,
        };
        match self {
            Self::K1kxk1 => Rules { scales: vec![1.5, 1.25, 0.8, 0.6, 0.5], ..rules },
            Self::K1kx | Self::Kxkx => Rules { fields: &[Output, Bottleneck, Units], kernels: &[3], ..rules },
            Self::K1dwk1 => {
                Rules { ratios: vec![1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0], max_width: 1280, ..rules }
            }
            Self::K1dwsek1 => Rules {
                scales: arange(0.5, 0.1, 16),
                kernels: &[3, 5, 7],
                ratios: arange(1.5, 0.1, 46),
                max_width: 1280,
                min_stem: 16,
                ..rules
            },
        }
    }
}

/// Lists `count` numbers from `start` as numpy's `arange` does: by multiples of the step between
/// its first two numbers. A ratio that is half a rounding error off would count as another one.
fn arange(start: f64, step: f64, count: u32) -> Vec<f64> {
    let step = (start + step) - start;
    (0..count).map(|index| start + f64::from(index) * step).collect()
}

/// Rounds to a multiple of 8, ties to even, at least 8.
fn smart_round(width: f64) -> usize {
    crate::unit::round8(width)
}

fn pick<T: Copy>(candidates: &[T], rng: &mut Rng) -> T {
    *candidates.choose(rng).expect("no list of candidates is empty")
}

/// Draws from `candidates` until the value is a new one, at most as often as there are candidates.
fn pick_new<T: Copy + PartialEq>(old: T, candidates: &[T], rng: &mut Rng, value: impl Fn(T) -> T) -> T {
    let mut new = old;
    for _ in candidates {
        new = value(pick(candidates, rng));
        if new != old {
            break;
        }
    }
    new
}

/// A search space with its mutation.
#[derive(Debug, Clone)]
pub struct Mutator {
    rules: Rules,
    settings: Settings,
}

impl Mutator {
    /// Makes the mutation of `space`.
    pub fn new(space: Space, settings: Settings) -> Self {
        Self { rules: space.rules(), settings }
    }

    /// Returns a mutation of `structure`, a valid one: `mutations` fields are changed one after the
    /// other. The official searches change two.
    ///
    /// Where a budget of layers is set and no attempt keeps it, the last attempt counts, as in the
    /// official code.
    ///
    /// # Errors
    ///
    /// Fails if a super-block is not of this space, or `channel_ranges` is for other structures.
    pub fn mutate(
        &self,
        structure: &Structure,
        mutations: u32,
        rng: &mut Rng,
    ) -> Result<Structure, MutationError> {
        self.check(structure)?;
        let mut child = structure.clone();
        let blocks = child.blocks.len();
        let choices = match self.settings.last_block {
            LastBlock::Free => blocks,
            LastBlock::Frozen => (blocks - 1).max(1),
        };
        for _ in 0..mutations {
            let mut next = child.clone();
            for _ in 0..blocks {
                let index = rng.random_range(0..choices);
                let block = self.block(index, &mut child.blocks, rng);
                next = child.clone();
                next.blocks[index] = block;
                self.repair(&mut next);
                if self.keeps_layers(&next) {
                    break;
                }
            }
            child = next;
        }
        Ok(child)
    }

    fn check(&self, structure: &Structure) -> Result<(), MutationError> {
        let expected = self.rules.class;
        for (index, block) in structure.blocks.iter().enumerate() {
            if block.class.is_super() && block.class != expected {
                return Err(MutationError::Class { index, found: block.class, expected });
            }
        }
        let blocks = structure.blocks.len();
        match &self.settings.channel_ranges {
            Some(ranges) if ranges.len() != blocks => {
                Err(MutationError::Ranges { ranges: ranges.len(), blocks })
            }
            _ => Ok(()),
        }
    }

    fn keeps_layers(&self, structure: &Structure) -> bool {
        let layers: usize = structure.blocks.iter().map(Block::layers).sum();
        self.settings.layers.is_none_or(|most| layers <= most as usize)
    }

    /// Threads input channels and shrinks kernels to at most two thirds of the map.
    fn repair(&self, structure: &mut Structure) {
        structure.thread();
        let mut side = f64::from(self.settings.image_size);
        for block in &mut structure.blocks {
            // The official code goes on to negative kernels on maps of a single pixel.
            while block.kernel > 1 && block.kernel as f64 * 1.5 > side {
                block.kernel -= 2;
            }
            side /= block.stride as f64;
        }
    }

    /// Draws a replacement of block `index`.
    ///
    /// The official `k1kx` and `kxkx` mutations narrow the next block's bottleneck in passing,
    /// even if the replacement is not taken: hence `blocks` is mutable.
    fn block(&self, index: usize, blocks: &mut [Block], rng: &mut Rng) -> Block {
        let mut block = blocks[index].clone();
        let last = index + 1 == blocks.len();
        let (Some(bottleneck), Some(units)) = (block.bottleneck, block.units) else {
            if !last {
                let output = self.scale(block.output, rng).clamp(self.rules.min_stem, MAX_STEM);
                block.output = output.min(blocks[index + 1].output);
            }
            return block;
        };
        let depthwise = block.class.is_depthwise();
        if depthwise && last {
            return block;
        }
        match pick(self.rules.fields, rng) {
            Field::Output => {
                let ratio = self.ratio(bottleneck, block.output);
                block.output = self.output(index, blocks, rng);
                if depthwise {
                    block.bottleneck = Some(smart_round(block.output as f64 * ratio));
                } else if self.rules.class != Class::K1KXK1
                    && let Some(next) = blocks.get_mut(index + 1)
                {
                    next.bottleneck = next.bottleneck.map(|width| width.min(block.output));
                }
            }
            Field::Kernel => {
                block.kernel = pick_new(block.kernel, self.rules.kernels, rng, |kernel| kernel);
            }
            Field::Bottleneck if depthwise => {
                let ratio = self.ratio(bottleneck, block.output);
                let ratio = pick_new(ratio, &self.rules.ratios, rng, |ratio| ratio);
                block.bottleneck = Some(smart_round(block.output as f64 * ratio));
            }
            Field::Bottleneck => block.bottleneck = Some(self.scale(bottleneck, rng).min(block.output)),
            Field::Units => block.units = Some(self.units(index, units, blocks.len(), rng)),
        }
        if !depthwise {
            let least = block.output as f64 / MAX_SQUEEZE;
            let too_narrow = |width: usize| (width as f64) < least;
            block.bottleneck =
                block.bottleneck.map(|width| if too_narrow(width) { smart_round(least) } else { width });
        }
        block
    }

    fn scale(&self, width: usize, rng: &mut Rng) -> usize {
        smart_round(pick(&self.rules.scales, rng) * width as f64).min(self.rules.max_width)
    }

    /// Draws output channels that fit the neighbours.
    fn output(&self, index: usize, blocks: &[Block], rng: &mut Rng) -> usize {
        let block = &blocks[index];
        let mut output = self.scale(block.output, rng);
        if let Some(ranges) = &self.settings.channel_ranges
            && let Some([least, most]) = ranges[index]
        {
            output = output.min(most).max(least);
        }
        if self.rules.class == Class::K1KXK1 {
            output = output.min(4 * block.input);
        }
        output = output.max(block.input);
        if let Some(next) = blocks.get(index + 1) {
            output = output.min(next.output);
            if self.rules.class == Class::K1KXK1 {
                output = output.max(smart_round(next.output as f64 / 4.0));
            }
        }
        output
    }

    /// Answers the listed ratio that is nearest to `bottleneck` over `output`; 1 where there are none.
    fn ratio(&self, bottleneck: usize, output: usize) -> f64 {
        let ratio = bottleneck as f64 / output as f64;
        let distance = |listed: f64| (listed - ratio).abs();
        let nearest = |a, b| if distance(b) < distance(a) { b } else { a };
        self.rules.ratios.iter().copied().reduce(nearest).unwrap_or(1.0)
    }

    /// Draws a number of units for block `index` of `blocks`.
    fn units(&self, index: usize, old: usize, blocks: usize, rng: &mut Rng) -> usize {
        let old_units = old as i64;
        let step = |step: i64| (old_units + step).max(1);
        let new = pick_new(old_units, &[-2, -1, 1, 2], rng, step);
        let new = usize::try_from(new).expect("at least 1").min(Block::MAX_UNITS);
        let per_unit = self.rules.class.layers();
        let (first, others) = match self.rules.class {
            Class::K1KX | Class::KXKX => (2, 2),
            Class::K1DWK1 | Class::K1DWSEK1 => (3, 3),
            _ => (3, 2),
        };
        if index == 1 {
            return new.min(first);
        }
        match self.settings.layers {
            // The official code would go down to no unit at all.
            Some(layers) if blocks > others => {
                new.min((layers as usize / per_unit / (blocks - others)).max(1))
            }
            _ => new,
        }
    }
}

#[cfg(test)]
mod tests;
