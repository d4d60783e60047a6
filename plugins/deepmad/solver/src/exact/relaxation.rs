//! The bound: budgets priced, convex terms replaced by supports, and the rest solved along the chain.
//!
//! Let `S_i` be the entropy of block i and `A_i` the sum of the stage factors `α (ln c + 2 ln side)` of
//! the stages that end at block i or later; the objective is `Σ A_i S_i − penalty`. With prices λ on
//! the resources and ν on `T_j ≥ τ(D_j)`, and with affine supports in place of the convex functions τ
//! and penalty, everything that is left is a sum over blocks, coupled by two numbers only: the width
//! between neighbours, and `A_i`. So it is maximised block by block from the stem:
//!
//! `U_i(c, A) = max over c', b, k, L of A·S_i − cost_i + U_{i-1}(c', A + factor of stage end i−1)`.
//!
//! - `U_i(c, ·)` is a maximum of affine functions, so it is convex, and interpolation between grid
//!   values is an upper bound.
//! - With the widths, b and k fixed, everything is affine in L: the ends of its range suffice.
//! - With the widths, k and L fixed, the best b maximises `y(b) − p·b` with a price p that is affine in
//!   c'. It moves down along the concave hull of y as c' grows, so the loop over c' falls into a few
//!   stretches with one b each.
//!
//! `A` stands for `A_i` plus the prices ν of the stages that end at block i or later.

use super::{
    region::Region,
    stretch::{End, Scratch, peak},
    table::{Grid, Level, Usage},
};
use crate::{
    chain::{Chain, Kernel, MAX_RESOURCES},
    program::{MAX_BLOCKS, MAX_STAGES, UnitCost},
};

/// Rounding errors of a bound are below this times the magnitude of what it adds up: a few hundred
/// operations of relative error 2⁻⁵³ each make less than 10⁻¹³.
const ROUNDING: f64 = 1e-12;
/// Multipliers, and where convex terms are supported. Any of them give a valid bound.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Prices {
    /// λ by resource, 0 where it is not bounded.
    pub(crate) resources: [f64; MAX_RESOURCES],
    /// ν by stage.
    pub(crate) stages: [f64; MAX_STAGES],
    /// Depths at which the penalty and τ are supported.
    pub(crate) anchor: [f64; MAX_BLOCKS],
}

/// The choice behind an entry of a table.
#[derive(Debug, Clone, Copy, Default)]
struct Pick {
    before: usize,
    kernel: usize,
    neck: usize,
    depth: u32,
}

/// A solved relaxation.
#[derive(Debug)]
pub(crate) struct Relaxation<'a> {
    chain: &'a Chain,
    region: Region,
    /// Σ ν of the stages that end at the block or later.
    later: [f64; MAX_BLOCKS],
    /// What a unit of a block adds through the supports.
    per_unit: [f64; MAX_BLOCKS],
    /// What does not depend on the structure.
    constant: f64,
    priced: Vec<Vec<UnitCost>>,
    levels: Vec<Level>,
    /// Least and largest A of each block.
    ranges: [[f64; 2]; MAX_BLOCKS],
    /// Bound for the whole region.
    pub(crate) bound: f64,
    /// What bounds must exceed the value of a structure by to be safe.
    pub(crate) rounding: f64,
    /// What the best structure uses, if it was asked for.
    pub(crate) usage: Usage,
    /// Bounds by width of the last block and of the one before, without the constant.
    last: Vec<f64>,
    before_last: Vec<f64>,
}

impl<'a> Relaxation<'a> {
    /// Solves the relaxation over a region; `with_usage` also says what its best structure uses.
    pub(crate) fn solve(chain: &'a Chain, region: &Region, prices: &Prices, with_usage: bool) -> Self {
        let n = chain.blocks.len();
        let mut this = Self {
            chain,
            region: *region,
            later: [0.0; MAX_BLOCKS],
            per_unit: [0.0; MAX_BLOCKS],
            constant: 0.0,
            priced: Vec::with_capacity(n),
            levels: Vec::with_capacity(n),
            ranges: [[0.0; 2]; MAX_BLOCKS],
            bound: f64::NEG_INFINITY,
            rounding: 0.0,
            usage: Usage::default(),
            last: Vec::new(),
            before_last: Vec::new(),
        };
        this.price(prices);
        for i in 0..n - 1 {
            let level = this.level(i, with_usage);
            this.levels.push(level);
        }
        this.close(with_usage);
        this
    }

    /// Sets up everything that depends on prices alone.
    fn price(&mut self, prices: &Prices) {
        let chain = self.chain;
        let n = chain.blocks.len();
        let (constant, slopes) = chain.program.penalty.support(&prices.anchor);
        let mut magnitude = constant.abs();
        self.constant = -constant;
        for (slot, slope) in self.per_unit.iter_mut().zip(slopes) {
            *slot = -slope;
        }
        for (resource, price) in chain.resources.iter().zip(&prices.resources) {
            if *price > 0.0 {
                self.constant += price * resource.max;
                magnitude += price * resource.max;
            }
        }
        for (i, block) in chain.blocks.iter().enumerate() {
            let Some(stage) = block.stage else { continue };
            let price = prices.stages[stage];
            for later in &mut self.later[..=i] {
                *later += price;
            }
            let (Some(log_rho), true) = (chain.log_rho, price > 0.0) else { continue };
            let layers = (0..=i).map(|m| chain.blocks[m].layers * prices.anchor[m]).sum();
            let (needed, slope) = chain.entropy_needed(layers, log_rho);
            self.constant -= price * (needed - slope * layers);
            magnitude += price * (needed.abs() + slope.abs() * layers);
            for m in 0..=i {
                self.per_unit[m] -= price * slope * chain.blocks[m].layers;
            }
        }
        let mut range = [0.0; 2];
        for i in (0..n).rev() {
            let block = &chain.blocks[i];
            if let Some(stage) = block.stage {
                let [low, high] = self.region.widths[i];
                range[0] += chain.factors[stage][low];
                range[1] += chain.factors[stage][high];
            }
            self.ranges[i] = range.map(|a| a + self.later[i]);
            let deepest = f64::from(self.region.depths[i][1]);
            let logs = chain.logs.last().copied().unwrap_or(0.0).abs() + 3.0;
            magnitude += deepest * (self.ranges[i][1] * 2.0 * logs + self.per_unit[i].abs());
        }
        self.rounding = ROUNDING * magnitude;
        for block in &chain.blocks {
            let kernels = block.kernels.iter().map(|kernel| sum(kernel, prices));
            self.priced.push(kernels.collect());
        }
    }

    pub(super) fn chain(&self) -> &'a Chain {
        self.chain
    }

    /// What does not depend on the structure.
    pub(super) fn constant(&self) -> f64 {
        self.constant
    }

    /// What one unit of block `i` adds through the supports.
    pub(super) fn per_unit(&self, i: usize) -> f64 {
        self.per_unit[i]
    }

    /// The priced cost of a kernel of block `i`.
    #[inline]
    pub(super) fn unit(&self, i: usize, kernel: usize) -> &UnitCost {
        &self.priced[i][kernel]
    }

    /// Bounds the blocks before block `i`, if the last of them has the width `before` and its A is
    /// `weight`.
    #[inline]
    pub(super) fn ahead(&self, i: usize, before: usize, weight: f64) -> f64 {
        self.levels[i - 1].get(before, weight)
    }

    /// What block `i` adds to A if its width is `width`.
    #[inline]
    pub(super) fn own(&self, i: usize, width: usize) -> f64 {
        let chain = self.chain;
        // The price ν of the stage is the step of `later`.
        let next = if i + 1 < chain.blocks.len() { self.later[i + 1] } else { 0.0 };
        chain.blocks[i].stage.map_or(0.0, |stage| chain.factors[stage][width] + self.later[i] - next)
    }

    /// The widths that may stand before block `i` if its own is `width`.
    #[inline]
    pub(super) fn before(&self, i: usize, width: usize) -> (usize, usize) {
        let [low, high] = self.region.widths[i - 1];
        (low.max(width.div_ceil(self.chain.blocks[i].growth)), high.min(width))
    }

    /// The ends of the depths of block `i`.
    fn ends(&self, i: usize) -> impl Iterator<Item = u32> + use<> {
        let [low, high] = self.region.depths[i];
        std::iter::once(low).chain((high > low).then_some(high))
    }

    fn level(&self, i: usize, with_usage: bool) -> Level {
        let [low, high] = self.region.widths[i];
        let grid = Grid::new(self.ranges[i][0], self.ranges[i][1]);
        let count = high + 1 - low;
        let mut level = Level {
            grid,
            low,
            count,
            values: vec![f64::NEG_INFINITY; grid.len * count],
            usage: if with_usage { vec![Usage::default(); grid.len * count] } else { Vec::new() },
        };
        if i == 0 {
            self.stem(&mut level, with_usage);
            return level;
        }
        let previous = &self.levels[i - 1];
        let mut rest = vec![0.0; previous.count];
        let mut scratch = Scratch::default();
        for a in 0..grid.len {
            let weight = grid.at(a);
            for (offset, slot) in rest.iter_mut().enumerate() {
                let width = previous.low + offset;
                *slot = previous.get(width, weight + self.own(i - 1, width))
                    + 0.5 * weight * self.chain.logs[width];
            }
            for width in low..=high {
                let end = End { i, width, weight, before: self.before(i, width) };
                let (value, pick) = self.best(&end, &rest, previous.low, &mut scratch);
                let at = a * count + width - low;
                level.values[at] = value;
                if with_usage && value > f64::NEG_INFINITY {
                    let a = weight + self.own(i - 1, pick.before);
                    level.usage[at] = self.extend(i, width, pick, previous.usage(pick.before, a));
                }
            }
        }
        level
    }

    fn stem(&self, level: &mut Level, with_usage: bool) {
        let channels = f64::from(self.chain.program.channels);
        for a in 0..level.grid.len {
            let weight = level.grid.at(a);
            for offset in 0..level.count {
                let width = level.low + offset;
                let at = a * level.count + offset;
                for (k, kernel) in self.chain.blocks[0].kernels.iter().enumerate() {
                    let cost = self.priced[0][k].first.at(channels, self.chain.step * width as f64, 0.0);
                    let value = weight * (0.5 * channels.ln() + kernel.log) - cost + self.per_unit[0];
                    if value > level.values[at] {
                        level.values[at] = value;
                        if with_usage {
                            let pick = Pick { before: 0, kernel: k, neck: 0, depth: 1 };
                            level.usage[at] = self.extend(0, width, pick, Usage::default());
                        }
                    }
                }
            }
        }
    }

    /// The best way to end at `width` of block `i`, over everything before.
    fn best(&self, end: &End, rest: &[f64], rest_low: usize, scratch: &mut Scratch) -> (f64, Pick) {
        let (from, to) = end.before;
        let mut value = f64::NEG_INFINITY;
        let mut winner = None;
        if from > to {
            return (value, Pick::default());
        }
        for depth in self.ends(end.i) {
            for kernel in 0..self.priced[end.i].len() {
                self.stretches(end, depth, kernel, scratch);
                for stretch in &scratch.stretches {
                    let part = &rest[stretch.from - rest_low..=stretch.to - rest_low];
                    let best = stretch.constant + peak(part, stretch.slope * self.chain.step, stretch.from);
                    if best > value {
                        value = best;
                        winner = Some((*stretch, depth, kernel));
                    }
                }
            }
        }
        let Some((stretch, depth, kernel)) = winner else { return (value, Pick::default()) };
        let worth =
            |before: &usize| rest[before - rest_low] + stretch.slope * self.chain.step * *before as f64;
        let before = (stretch.from..=stretch.to).max_by(|x, y| worth(x).total_cmp(&worth(y)));
        (value, Pick { before: before.unwrap_or(stretch.from), kernel, neck: stretch.neck, depth })
    }

    /// Adds block `i` to what the blocks before it use.
    fn extend(&self, i: usize, width: usize, pick: Pick, mut usage: Usage) -> Usage {
        let chain = self.chain;
        let before = if i == 0 { chain.channels() } else { chain.size(pick.before) };
        let neck = chain.size(pick.neck);
        let depth = f64::from(pick.depth);
        let terms = chain.blocks[i].terms(before, chain.size(width), pick.kernel, neck, depth);
        for (sum, cost) in usage.costs.iter_mut().zip(&terms.costs) {
            *sum += cost;
        }
        usage.entropy += terms.entropy;
        usage.depths[i] = f64::from(pick.depth);
        if let Some(stage) = self.chain.blocks[i].stage {
            usage.stages[stage] = usage.entropy;
        }
        usage
    }

    /// Solves the last block, where A is known exactly.
    fn close(&mut self, with_usage: bool) {
        let chain = self.chain;
        let i = chain.blocks.len() - 1;
        let previous = &self.levels[i - 1];
        let [low, high] = self.region.widths[i];
        let mut last = vec![f64::NEG_INFINITY; high + 1 - low];
        let mut before_last = vec![f64::NEG_INFINITY; previous.count];
        let mut rest = vec![0.0; previous.count];
        let mut values = vec![0.0; previous.count];
        let mut scratch = Scratch::default();
        let mut winner = None;
        let mut top = f64::NEG_INFINITY;
        for width in low..=high {
            let (from, to) = self.before(i, width);
            if from > to {
                continue;
            }
            let weight = self.own(i, width);
            let end = End { i, width, weight, before: (from, to) };
            for before in from..=to {
                rest[before - previous.low] = previous.get(before, weight + self.own(i - 1, before))
                    + 0.5 * weight * chain.logs[before];
            }
            values[from - previous.low..=to - previous.low].fill(f64::NEG_INFINITY);
            for depth in self.ends(i) {
                for kernel in 0..self.priced[i].len() {
                    self.stretches(&end, depth, kernel, &mut scratch);
                    for stretch in &scratch.stretches {
                        for before in stretch.from..=stretch.to {
                            let at = before - previous.low;
                            let part = stretch.constant + stretch.slope * chain.step * before as f64;
                            let value = rest[at] + part;
                            if value > values[at] {
                                values[at] = value;
                            }
                        }
                    }
                    if with_usage {
                        let (value, before) = max(&values[from - previous.low..=to - previous.low]);
                        if value > top {
                            top = value;
                            let before = before + from;
                            let neck = scratch
                                .stretches
                                .iter()
                                .find(|s| (s.from..=s.to).contains(&before))
                                .map_or(0, |s| s.neck);
                            winner = Some((width, Pick { before, kernel, neck, depth }));
                        }
                    }
                }
            }
            for before in from..=to {
                let at = before - previous.low;
                before_last[at] = values[at].max(before_last[at]);
                last[width - low] = values[at].max(last[width - low]);
            }
        }
        if let Some((width, pick)) = winner {
            let a = self.own(i, width) + self.own(i - 1, pick.before);
            self.usage = self.extend(i, width, pick, previous.usage(pick.before, a));
        }
        self.bound = self.constant + last.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
        self.last = last;
        self.before_last = before_last;
    }

    /// Takes the ends of the last two blocks' widths away where nothing better than `target` is.
    pub(crate) fn trim(&self, region: &mut Region, target: f64) {
        let n = self.chain.blocks.len();
        for (i, bounds) in [(n - 1, &self.last), (n - 2, &self.before_last)] {
            let low = self.region.widths[i][0];
            let good = |bound: &f64| self.constant + bound + self.rounding > target;
            let (Some(first), Some(last)) = (bounds.iter().position(good), bounds.iter().rposition(good))
            else {
                continue;
            };
            let range = &mut region.widths[i];
            *range = [range[0].max(low + first), range[1].min(low + last)];
        }
    }
}

/// The costs of a kernel's units, all resources together at their prices.
fn sum(kernel: &Kernel, prices: &Prices) -> UnitCost {
    let mut total = UnitCost::default();
    for (cost, price) in kernel.costs.iter().zip(&prices.resources) {
        total.first.add(*price, &cost.first);
        total.rest.add(*price, &cost.rest);
        if *price > 0.0 && !cost.necks.is_empty() {
            total.necks.resize(cost.necks.len().max(total.necks.len()), 0.0);
            for (sum, entry) in total.necks.iter_mut().zip(&cost.necks) {
                *sum += price * entry;
            }
        }
    }
    total
}

/// The largest value and its index.
fn max(values: &[f64]) -> (f64, usize) {
    let mut best = (f64::NEG_INFINITY, 0);
    for (i, value) in values.iter().enumerate() {
        if *value > best.0 {
            best = (*value, i);
        }
    }
    best
}
