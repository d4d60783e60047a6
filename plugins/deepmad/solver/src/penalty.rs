//! The price of uneven depths.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::program::MAX_BLOCKS;

/// Supports are taken where the exponent is at most this.
const MAX_EXPONENT: f64 = 10.0;

/// Which of three penalties the objective has. The paper's and the code's differ, and the code's
/// leaves out stages by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// As the released code computes it: exp of the standard deviation; the first two super-blocks
    /// of bottleneck networks are left out, so nothing holds their depths.
    Official,
    /// As the code means it: exp of the standard deviation over all super-blocks but the first.
    #[default]
    Repaired,
    /// As the paper writes it: exp of the variance, over all super-blocks.
    Paper,
}

/// How unevenness is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// Population standard deviation.
    Deviation,
    /// Population variance.
    Variance,
}

/// `scale · exp(spread of the depths of some blocks)`, taken off the objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Penalty {
    /// β; 0 turns the penalty off.
    pub scale: f64,
    /// How unevenness is measured.
    pub spread: Spread,
    /// The blocks whose depths count. Without any there is no penalty.
    pub blocks: Vec<usize>,
}

impl Penalty {
    /// Returns the penalty of a depth vector (entries by block; fractions are allowed).
    pub fn value(&self, depths: &[f64]) -> f64 {
        if self.is_off() {
            return 0.0;
        }
        let (_, variance) = self.moments(depths);
        self.scale
            * match self.spread {
                Spread::Deviation => variance.sqrt().exp(),
                Spread::Variance => variance.exp(),
            }
    }

    /// Returns an affine function that nowhere exceeds the penalty, as (constant, slope by block). It
    /// touches the penalty at `at` unless the penalty is astronomic there.
    ///
    /// Such functions exist because the penalty is convex: the standard deviation is a norm of a linear
    /// map, the variance a convex quadratic, and exp is convex and increasing.
    pub(crate) fn support(&self, at: &[f64; MAX_BLOCKS]) -> (f64, [f64; MAX_BLOCKS]) {
        let mut slope = [0.0; MAX_BLOCKS];
        if self.is_off() {
            return (0.0, slope);
        }
        let (mean, variance) = self.moments(at);
        // Nearer to the mean the support is as valid, and its numbers are not so large as to drown
        // all others.
        let spread = match self.spread {
            Spread::Deviation => variance.sqrt(),
            Spread::Variance => variance,
        };
        let pull = if spread > MAX_EXPONENT { MAX_EXPONENT / spread } else { 1.0 };
        let mut point = *at;
        for i in &self.blocks {
            point[*i] = mean + pull * (at[*i] - mean);
        }
        let (mean, variance) = self.moments(&point);
        let value = self.value(&point);
        let count = self.blocks.len() as f64;
        let factor = match self.spread {
            // At the minimum of the norm zero is a subgradient.
            Spread::Deviation if variance < 1e-12 => 0.0,
            Spread::Deviation => value / (count * variance.sqrt()),
            Spread::Variance => 2.0 * value / count,
        };
        // Without a slope the constant must be the minimum itself.
        let mut constant = if factor == 0.0 { self.scale } else { value };
        for i in &self.blocks {
            slope[*i] = factor * (point[*i] - mean);
            constant -= slope[*i] * point[*i];
        }
        (constant, slope)
    }

    fn is_off(&self) -> bool {
        self.scale == 0.0 || self.blocks.is_empty()
    }

    fn moments(&self, depths: &[f64]) -> (f64, f64) {
        let count = self.blocks.len() as f64;
        let mean = self.blocks.iter().map(|i| depths[*i]).sum::<f64>() / count;
        let squares: f64 = self.blocks.iter().map(|i| (depths[*i] - mean).powi(2)).sum();
        (mean, squares / count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What the bounds rest on.
        #[test]
        fn supports_stay_below(
            at in prop::array::uniform8(1.0..40.0f64),
            other in prop::array::uniform8(1..30u32),
            deviation: bool,
        ) {
            let spread = if deviation { Spread::Deviation } else { Spread::Variance };
            let penalty = Penalty { scale: 10.0, spread, blocks: vec![1, 3, 4] };
            let other = other.map(f64::from);
            let (constant, slope) = penalty.support(&at);
            let terms = [1, 3, 4].map(|i: usize| slope[i] * other[i]);
            let line = constant + terms.iter().sum::<f64>();
            let scale = constant.abs() + terms.iter().map(|t| t.abs()).sum::<f64>();
            let truth = penalty.value(&other);
            prop_assert!(line <= truth + 1e-12 * scale, "{line} {truth}");
        }
    }
}
