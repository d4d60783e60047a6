//! Tables of U, and what stands behind their entries.

use crate::{
    chain::MAX_RESOURCES,
    program::{MAX_BLOCKS, MAX_STAGES},
};

/// Grid values are at most this far apart, as far as [`MAX_GRID`] allows.
const SPACING: f64 = 5.0;
/// Most grid values.
const MAX_GRID: usize = 12;

/// What the best structure of a relaxation uses: its constraints' slopes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Usage {
    pub(crate) costs: [f64; MAX_RESOURCES],
    /// T_j by stage.
    pub(crate) stages: [f64; MAX_STAGES],
    pub(crate) depths: [f64; MAX_BLOCKS],
    /// Entropy of all blocks so far.
    pub(super) entropy: f64,
}

impl Usage {
    /// The mixture that interpolation stands for.
    pub(super) fn mix(x: &Self, y: &Self, part: f64) -> Self {
        fn lerp<const N: usize>(x: &[f64; N], y: &[f64; N], part: f64) -> [f64; N] {
            std::array::from_fn(|i| x[i] + part * (y[i] - x[i]))
        }
        Self {
            costs: lerp(&x.costs, &y.costs, part),
            stages: lerp(&x.stages, &y.stages, part),
            depths: lerp(&x.depths, &y.depths, part),
            entropy: x.entropy + part * (y.entropy - x.entropy),
        }
    }
}

/// Evenly spaced values of A.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Grid {
    low: f64,
    spacing: f64,
    pub(super) len: usize,
}

impl Grid {
    pub(super) fn new(low: f64, high: f64) -> Self {
        let len = (1 + ((high - low) / SPACING).ceil() as usize).clamp(2, MAX_GRID);
        // Never empty, so that positions are defined.
        let spacing = ((high - low) / (len - 1) as f64).max(1e-9);
        Self { low, spacing, len }
    }

    pub(super) fn at(&self, index: usize) -> f64 {
        self.low + self.spacing * index as f64
    }

    /// Returns the grid value below and the part of the way to the next.
    #[inline]
    pub(super) fn position(&self, x: f64) -> (usize, f64) {
        let t = (x - self.low) / self.spacing;
        let index = (t as usize).min(self.len - 2);
        (index, t - index as f64)
    }
}

/// U of one block, by grid value and width.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) grid: Grid,
    /// Least width.
    pub(super) low: usize,
    /// Number of widths.
    pub(super) count: usize,
    pub(super) values: Vec<f64>,
    pub(super) usage: Vec<Usage>,
}

impl Level {
    #[inline]
    pub(super) fn get(&self, width: usize, a: f64) -> f64 {
        let (j, part) = self.grid.position(a);
        let at = j * self.count + width - self.low;
        let (x, y) = (self.values[at], self.values[at + self.count]);
        // An entry without any structure is −∞ on the whole grid.
        if x == f64::NEG_INFINITY { x } else { x + part * (y - x) }
    }

    pub(super) fn usage(&self, width: usize, a: f64) -> Usage {
        let (j, part) = self.grid.position(a);
        let at = j * self.count + width - self.low;
        Usage::mix(&self.usage[at], &self.usage[at + self.count], part)
    }
}
