//! The price of uneven depths.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::program::MAX_BLOCKS;

/// Supports are taken where the exponent is at most this.
const MAX_EXPONENT: f64 = 10.0;
/// Halvings until a mean is known to a billionth of the range it lies in.
const BISECTIONS: u32 = 40;

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

    /// Narrows ranges of depths to those at which the penalty may be `most` or less, if the other depths
    /// suit them best; returns whether something is left.
    pub(crate) fn narrow(&self, ranges: &mut [[u32; 2]; MAX_BLOCKS], most: f64) -> bool {
        if self.is_off() {
            return true;
        }
        if most < self.scale {
            return false;
        }
        let exponent = (most / self.scale).ln();
        let variance = match self.spread {
            Spread::Deviation => exponent * exponent,
            Spread::Variance => exponent,
        };
        // A little more, so that rounding excludes nothing.
        let variance = variance + 1e-9 * (1.0 + variance);
        loop {
            let before = *ranges;
            let (evenest, least) = self.evenest(ranges);
            if least > variance {
                return false;
            }
            for i in &self.blocks {
                let [low, high] = ranges[*i];
                let fits = |depth: u32| {
                    let mut fixed = *ranges;
                    fixed[*i] = [depth; 2];
                    self.evenest(&fixed).1 <= variance
                };
                // The least variance is convex in the depth: what fits is an interval around the best.
                let below = (evenest[*i] as u32).clamp(low, high);
                let above = (below + 1).min(high);
                let first = reach(below, low, &fits);
                let last = reach(above, high, &fits);
                let (Some(first), Some(last)) =
                    (first.or(last.map(|_| above)), last.or(first.map(|_| below)))
                else {
                    return false;
                };
                ranges[*i] = [first, last];
            }
            if *ranges == before {
                return true;
            }
        }
    }

    /// The real depths within ranges that are least uneven, and their variance. They are as near as
    /// their ranges let them to one number, their mean.
    fn evenest(&self, ranges: &[[u32; 2]; MAX_BLOCKS]) -> ([f64; MAX_BLOCKS], f64) {
        let at = |x: f64| ranges.map(|[low, high]| x.clamp(f64::from(low), f64::from(high)));
        let ends = self.blocks.iter().map(|i| ranges[*i]);
        let mut low = ends.clone().map(|[low, _]| f64::from(low)).fold(0.0, f64::max);
        let mut high = ends.map(|[_, high]| f64::from(high)).fold(f64::INFINITY, f64::min);
        if low <= high {
            return (at(low), 0.0);
        }
        // The mean lies between; it is above x where the depths nearest to x have a larger mean.
        (low, high) = (high, low);
        for _ in 0..BISECTIONS {
            let middle = 0.5 * (low + high);
            if self.moments(&at(middle)).0 > middle { low = middle } else { high = middle }
        }
        let depths = at(low);
        (depths, self.moments(&depths).1)
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

/// The last number that fits on the way from one that should to another; all that fit come first.
fn reach(from: u32, to: u32, fits: &impl Fn(u32) -> bool) -> Option<u32> {
    if !fits(from) {
        return None;
    }
    if fits(to) {
        return Some(to);
    }
    let (mut good, mut bad) = (from, to);
    while good.abs_diff(bad) > 1 {
        let middle = good.midpoint(bad);
        if fits(middle) { good = middle } else { bad = middle }
    }
    Some(good)
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

    proptest! {
        /// Nothing is lost, and what is left at the ends is needed.
        #[test]
        fn narrowed_ranges_hold_all_that_is_even_enough(
            lows in prop::array::uniform3(1..6u32),
            more in prop::array::uniform3(0..7u32),
            exponent in 0.0..6.0f64,
            deviation: bool,
        ) {
            let spread = if deviation { Spread::Deviation } else { Spread::Variance };
            let penalty = Penalty { scale: 10.0, spread, blocks: vec![1, 3, 4] };
            let most = 10.0 * exponent.exp();
            let mut whole = [[1, 1]; MAX_BLOCKS];
            for ((i, low), more) in penalty.blocks.iter().zip(lows).zip(more) {
                whole[*i] = [low, low + more];
            }
            let mut narrow = whole;
            let some = penalty.narrow(&mut narrow, most);
            let mut depths = [1.0; MAX_BLOCKS];
            for x in whole[1][0]..=whole[1][1] {
                for y in whole[3][0]..=whole[3][1] {
                    for z in whole[4][0]..=whole[4][1] {
                        (depths[1], depths[3], depths[4]) = (f64::from(x), f64::from(y), f64::from(z));
                        if penalty.value(&depths) <= most {
                            for (i, depth) in [(1, x), (3, y), (4, z)] {
                                prop_assert!(some && (narrow[i][0]..=narrow[i][1]).contains(&depth));
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_shallow_block_holds_the_others_down() {
        let penalty = Penalty { scale: 10.0, spread: Spread::Variance, blocks: vec![1, 2, 3, 4, 5] };
        let mut ranges = [[1, 1]; MAX_BLOCKS];
        ranges[1] = [1, 3];
        ranges[2..6].fill([1, 1000]);
        assert!(penalty.narrow(&mut ranges, 10.0 * 4_f64.exp()));
        // 3 and x, the others at their mean: the variance is (x − 3)² / 10.
        assert_eq!(ranges[1..6], [[1, 3], [1, 9], [1, 9], [1, 9], [1, 9]]);
        assert!(!penalty.narrow(&mut ranges, 9.9));
        ranges[3] = [10, 1000];
        assert!(!penalty.narrow(&mut ranges, 10.0 * 4_f64.exp()));
    }
}
