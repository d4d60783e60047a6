//! The discrete program as data: a chain of blocks, what may vary in each, the objective, the budgets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::penalty::Penalty;

/// Most blocks of a chain, the stem and the head included.
pub const MAX_BLOCKS: usize = 8;
/// Most stages.
pub const MAX_STAGES: usize = 8;
/// Largest width and bottleneck width.
pub const MAX_WIDTH: u32 = 4096;

/// What a block of the chain is made of. The names of the official classes stand behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One convolution with BN and ReLU (`ConvKXBNRELU`): the stem, the head.
    Conv,
    /// Units 1×1, k×k, 1×1 with a projected shortcut (`SuperResK1KXK1`).
    Bottleneck,
    /// Units 1×1, depth-wise k×k, 1×1 (`SuperResK1DWK1`).
    Depthwise,
    /// The same with squeeze-and-excitation (`SuperResK1DWSEK1`).
    DepthwiseSe,
}

impl Kind {
    /// Layers of one unit, as the official code counts them.
    pub fn layers(self) -> u32 {
        match self {
            Self::Conv => 1,
            Self::Bottleneck | Self::Depthwise | Self::DepthwiseSe => 3,
        }
    }

    /// Whether its units have a bottleneck width, and so a depth that may vary.
    pub fn has_neck(self) -> bool {
        self != Self::Conv
    }
}

/// The bottleneck widths that a block may have, given its output width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Necks {
    /// The block has none.
    None,
    /// Every multiple of the program's step from `least` times the width (rounded as the official
    /// `smart_round` does) to `most` times the width (rounded down).
    Range {
        /// Least ratio to the output width.
        least: f64,
        /// Largest ratio to the output width.
        most: f64,
    },
    /// The output width times one of these, rounded as the official `smart_round` does.
    Ratios(Vec<f64>),
    /// Exactly this width.
    Fixed(u32),
}

/// What may vary in one block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockSpace {
    /// Class of the block.
    pub kind: Kind,
    /// Stride of its first unit, 1 or 2.
    pub stride: u32,
    /// Least and largest output width, multiples of the program's step.
    pub widths: [u32; 2],
    /// Its output width is at most this many times the width before it; `None`: no limit. It is
    /// never less than the width before it, except for the stem.
    #[serde(default)]
    pub growth: Option<u32>,
    /// Its bottleneck widths.
    pub necks: Necks,
    /// Sides of its kernel, ascending.
    pub kernels: Vec<u32>,
    /// Least number of units, and the largest; `None`: as many as the budgets allow.
    pub depths: (u32, Option<u32>),
}

/// A term of the objective: `weight · (ln c + 2 ln side) · T`, with the width `c` of the block that
/// ends the stage and the entropy `T` of all layers up to there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The last block of the stage.
    pub end: usize,
    /// α of the stage.
    pub weight: f64,
    /// Side of the stage's output in the score. 1 makes the term `ln c · T`.
    pub side: f64,
}

/// Monomials of a cost that is counted per unit, in input width `cin` of the unit, output width `c`
/// and bottleneck width `b`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Monomials {
    /// Constant.
    pub one: f64,
    /// times cin
    pub cin: f64,
    /// times c
    pub c: f64,
    /// times b
    pub b: f64,
    /// times cin·c
    pub cin_c: f64,
    /// times cin·b
    pub cin_b: f64,
    /// times c·b
    pub c_b: f64,
    /// times b²
    pub b2: f64,
    /// times cin, only where cin = c
    pub same: f64,
}

/// The cost of the units of a block with one kernel.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UnitCost {
    /// Cost of the first unit, from the width before the block to the block's width.
    pub first: Monomials,
    /// Cost of each further unit, where cin = c; `cin` stands at 0 there.
    pub rest: Monomials,
    /// Added to the cost of every unit: a table over b, whose entry `i` is for `b = i · step`. Empty
    /// means nothing; shorter than needed is an error.
    pub necks: Vec<f64>,
}

/// Any further cost that is a sum over units, such as a latency table fitted per block and kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Additive {
    /// Name, for messages and certificates.
    pub name: String,
    /// Largest allowed sum.
    pub max: f64,
    /// Cost by block, then by the kernels of the block, in their order.
    pub blocks: Vec<Vec<UnitCost>>,
}

/// What a structure may cost. An absent budget does not bind.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// Largest number of parameters, by the official count (convolutions and BN, no classifier).
    pub params: Option<f64>,
    /// Largest number of FLOPs, by the official count.
    pub flops: Option<f64>,
    /// Largest number of layers.
    pub layers: Option<u32>,
    /// Largest effectiveness ρ, at every stage end.
    pub rho: Option<f64>,
    /// A further additive cost.
    pub additive: Option<Additive>,
}

/// The whole program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Name, for certificates.
    pub name: String,
    /// Side of the image that FLOPs are counted for.
    pub image: u32,
    /// Channels of the image.
    pub channels: u32,
    /// Widths and bottleneck widths are multiples of this.
    pub step: u32,
    /// The chain, stem first.
    pub blocks: Vec<BlockSpace>,
    /// The objective's terms, by ascending end.
    pub stages: Vec<Stage>,
    /// What the objective loses for uneven depths.
    pub penalty: Penalty,
    /// The budgets.
    pub budgets: Budgets,
}

/// A program that says nothing, or contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("program `{program}`: {problem}")]
pub struct ProgramError {
    program: String,
    problem: String,
}

impl Program {
    /// Checks every number.
    ///
    /// # Errors
    ///
    /// Fails with the first problem.
    pub fn check(&self) -> Result<(), ProgramError> {
        self.problem().map_or(Ok(()), |problem| Err(self.error(problem)))
    }

    pub(crate) fn error(&self, problem: String) -> ProgramError {
        ProgramError { program: self.name.clone(), problem }
    }

    fn problem(&self) -> Option<String> {
        if !(2..=MAX_BLOCKS).contains(&self.blocks.len()) {
            return Some(format!("has {} blocks, not 2 to {MAX_BLOCKS}", self.blocks.len()));
        }
        if self.image == 0 || self.channels == 0 || self.step == 0 {
            return Some("`image`, `channels` and `step` must be positive".into());
        }
        self.blocks
            .iter()
            .enumerate()
            .find_map(|(i, block)| self.block_problem(block).map(|what| format!("block {i}: {what}")))
            .or_else(|| {
                (self.blocks[0].kind != Kind::Conv).then(|| "block 0: the stem must be `conv`".into())
            })
            .or_else(|| self.stage_problem())
            .or_else(|| self.penalty_problem())
            .or_else(|| self.budget_problem())
    }

    fn block_problem(&self, block: &BlockSpace) -> Option<String> {
        let [low, high] = block.widths;
        if low == 0
            || low > high
            || high > MAX_WIDTH
            || !low.is_multiple_of(self.step)
            || !high.is_multiple_of(self.step)
        {
            return Some(format!(
                "`widths` {low}..{high} are no multiples of {} up to {MAX_WIDTH}",
                self.step
            ));
        }
        if !(1..=2).contains(&block.stride) {
            return Some(format!("`stride` is {}, must be 1 or 2", block.stride));
        }
        if block.growth == Some(0) {
            return Some("`growth` must be positive".into());
        }
        if block.kernels.is_empty() || block.kernels.iter().any(|k| !(1..=15).contains(k)) {
            return Some("`kernels` must be 1 to 15, and not empty".into());
        }
        let (least, most) = block.depths;
        if least == 0 || most.is_some_and(|most| most < least) {
            return Some("`depths` must be from 1, and not empty".into());
        }
        if !block.kind.has_neck() {
            let plain = block.necks == Necks::None && block.depths == (1, Some(1));
            return (!plain).then(|| "`conv` has no `necks` and the depth 1".into());
        }
        let widest = match &block.necks {
            Necks::None => return Some("`necks` are missing".into()),
            Necks::Range { least, most } if !(*least >= 0.0 && least <= most) => {
                return Some("`necks` are an empty range".into());
            }
            Necks::Range { most, .. } => most * f64::from(high),
            Necks::Ratios(ratios) if ratios.is_empty() || ratios.iter().any(|r| r.is_nan() || *r <= 0.0) => {
                return Some("`necks` must be positive ratios".into());
            }
            Necks::Ratios(ratios) => ratios.iter().fold(0.0, |a: f64, r| a.max(*r)) * f64::from(high),
            Necks::Fixed(b) if *b == 0 || !b.is_multiple_of(self.step) => {
                return Some(format!("the fixed bottleneck {b} is no multiple of {}", self.step));
            }
            Necks::Fixed(b) => f64::from(*b),
        };
        (widest > f64::from(8 * MAX_WIDTH)).then(|| "`necks` are too wide".into())
    }

    fn stage_problem(&self) -> Option<String> {
        if self.stages.is_empty() || self.stages.len() > MAX_STAGES {
            return Some(format!("has {} stages, not 1 to {MAX_STAGES}", self.stages.len()));
        }
        if self.stages.windows(2).any(|pair| pair[0].end >= pair[1].end) {
            return Some("stages must end at ascending blocks".into());
        }
        let end = self.stages.last().map_or(0, |stage| stage.end);
        if end + 1 != self.blocks.len() {
            return Some(format!("the last stage ends at block {end}, not at the last block"));
        }
        let sound = |stage: &Stage| stage.weight >= 0.0 && stage.weight.is_finite() && stage.side >= 1.0;
        (!self.stages.iter().all(sound)).then(|| "a stage's weight is negative or its side below 1".into())
    }

    fn penalty_problem(&self) -> Option<String> {
        let Penalty { scale, blocks, .. } = &self.penalty;
        if !(*scale >= 0.0 && scale.is_finite()) {
            return Some("the penalty's scale must not be negative".into());
        }
        let wrong = blocks.iter().find(|i| **i >= self.blocks.len());
        wrong.map(|i| format!("the penalty names block {i}, which is none"))
    }

    fn budget_problem(&self) -> Option<String> {
        let Budgets { params, flops, layers, rho, additive } = &self.budgets;
        let numbers = [*params, *flops, layers.map(f64::from), *rho, additive.as_ref().map(|a| a.max)];
        if numbers.iter().flatten().any(|x| !(*x > 0.0 && x.is_finite())) {
            return Some("budgets must be positive".into());
        }
        let open = self.blocks.iter().any(|block| block.depths.1.is_none());
        if open && params.is_none() && flops.is_none() && layers.is_none() {
            return Some("nothing bounds the depth: give `params`, `flops` or `layers`".into());
        }
        let Additive { name, blocks, .. } = additive.as_ref()?;
        if blocks.len() != self.blocks.len() {
            return Some(format!("`{name}` has {} blocks, not {}", blocks.len(), self.blocks.len()));
        }
        for (i, (costs, block)) in blocks.iter().zip(&self.blocks).enumerate() {
            if costs.len() != block.kernels.len() {
                return Some(format!("`{name}`, block {i}: one cost for each kernel is needed"));
            }
            let bad = |x: f64| x.is_nan() || x < 0.0;
            let negative = |m: &Monomials| {
                [m.b2, m.cin_b, m.c_b, m.b, m.cin_c, m.cin, m.c, m.one, m.same].iter().any(|x| bad(*x))
            };
            if costs.iter().any(|cost| {
                negative(&cost.first) || negative(&cost.rest) || cost.necks.iter().any(|x| bad(*x))
            }) {
                return Some(format!("`{name}`, block {i}: a cost is negative"));
            }
        }
        None
    }
}

/// The official `smart_round`: the multiple of `step` nearest to `x`, the even one in the middle, and
/// at least one step.
pub fn smart_round(x: f64, step: u32) -> u32 {
    let step = f64::from(step);
    // Bounded by MAX_WIDTH times a ratio, so the cast is exact.
    (step * (x / step).round_ties_even().max(1.0)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset;

    #[test]
    fn rounding_is_the_official_one() {
        let cases = [(1.0, 8), (12.0, 16), (20.0, 16), (28.0, 32), (67.2, 64), (96.0, 96), (100.0, 96)];
        for (x, rounded) in cases {
            assert_eq!(smart_round(x, 8), rounded, "{x}");
        }
    }

    #[test]
    fn problems_are_told_with_their_place() {
        let sound = preset::find("deepmad-r18").expect("a preset");
        sound.check().expect("a sound preset");
        let mut bad = sound.clone();
        bad.blocks[2].widths = [8, 12];
        assert!(bad.check().unwrap_err().to_string().contains("block 2: `widths` 8..12"), "{bad:?}");
        let mut bad = sound.clone();
        bad.budgets = Budgets::default();
        assert!(bad.check().unwrap_err().to_string().contains("nothing bounds the depth"));
        let mut bad = sound;
        bad.stages.pop();
        assert!(bad.check().unwrap_err().to_string().contains("last stage ends at block 4"));
    }
}
