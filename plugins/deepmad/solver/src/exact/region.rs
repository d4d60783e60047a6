//! A box of structures: ranges of widths and depths.

use serde::{Deserialize, Serialize};

use crate::{
    chain::{Chain, LAYERS},
    program::MAX_BLOCKS,
};

/// Ranges of widths (in steps) and depths, by block; both ends belong to them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Region {
    pub(crate) widths: [[usize; 2]; MAX_BLOCKS],
    pub(crate) depths: [[u32; 2]; MAX_BLOCKS],
}

impl Region {
    /// The whole space; `None` if it is empty.
    pub(crate) fn whole(chain: &Chain) -> Option<Self> {
        let mut region = Self { widths: [[1, 1]; MAX_BLOCKS], depths: [[1, 1]; MAX_BLOCKS] };
        for (i, block) in chain.blocks.iter().enumerate() {
            region.widths[i] = block.widths;
            region.depths[i] = block.depths;
        }
        region.propagate(chain).then_some(region)
    }

    /// Takes away what order, growth and the number of layers exclude; returns whether something is
    /// left.
    pub(crate) fn propagate(&mut self, chain: &Chain) -> bool {
        let n = chain.blocks.len();
        for i in 1..n {
            let growth = chain.blocks[i].growth;
            self.widths[i][0] = self.widths[i][0].max(self.widths[i - 1][0]);
            self.widths[i][1] = self.widths[i][1].min(self.widths[i - 1][1].saturating_mul(growth));
        }
        for i in (1..n).rev() {
            let growth = chain.blocks[i].growth;
            self.widths[i - 1][1] = self.widths[i - 1][1].min(self.widths[i][1]);
            self.widths[i - 1][0] = self.widths[i - 1][0].max(self.widths[i][0].div_ceil(growth));
        }
        let most = chain.resources[LAYERS].max;
        let least: f64 = (0..n).map(|i| chain.blocks[i].layers * f64::from(self.depths[i][0])).sum();
        if least > most {
            return false;
        }
        if most.is_finite() {
            for i in 0..n {
                let spare = ((most - least) / chain.blocks[i].layers).floor() as u32;
                self.depths[i][1] = self.depths[i][1].min(self.depths[i][0].saturating_add(spare));
            }
        }
        self.widths[..n].iter().all(|[low, high]| low <= high)
    }

    /// Whether every width is decided.
    pub(crate) fn is_one_width(&self) -> bool {
        self.widths.iter().all(|[low, high]| low == high)
    }

    /// Whether every depth is decided.
    pub(crate) fn is_one_depth(&self) -> bool {
        self.depths.iter().all(|[low, high]| low == high)
    }

    /// Number of depth vectors.
    pub(crate) fn depth_vectors(&self) -> f64 {
        self.depths.iter().map(|[low, high]| f64::from(high - low) + 1.0).product()
    }

    /// Cuts the depths of block `i` in two: up to `at`, and above.
    pub(crate) fn split_depth(&self, i: usize, at: u32) -> [Self; 2] {
        let mut parts = [*self; 2];
        parts[0].depths[i][1] = at;
        parts[1].depths[i][0] = at + 1;
        parts
    }

    /// Cuts the widths of block `i` in two: up to `at`, and above.
    pub(crate) fn split_width(&self, i: usize, at: usize) -> [Self; 2] {
        let mut parts = [*self; 2];
        parts[0].widths[i][1] = at;
        parts[1].widths[i][0] = at + 1;
        parts
    }
}
