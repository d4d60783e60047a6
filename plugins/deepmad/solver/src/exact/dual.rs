//! Prices that make the bound of a region low.

use super::{
    region::Region,
    relaxation::{Prices, Relaxation},
};
use crate::{
    chain::{Chain, MAX_RESOURCES},
    design::Design,
    program::{MAX_BLOCKS, MAX_STAGES},
};

/// A price changes at most by this factor in one step.
const MAX_CHANGE: f64 = 3.0;

/// Relative distance from the target beyond which prices are doubted: those of a very deep region are of
/// no use to its shallow parts.
const FAR: f64 = 0.03;
/// Share of the target that a price counts as having at least, in the length of its steps.
const FLOOR: f64 = 0.02;
/// Prices worth less than this share of the distance to the target are dropped.
const NEGLIGIBLE: f64 = 1e-9;

/// A region after its prices have been improved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tightened {
    /// The region without the widths that cannot hold anything above the target.
    pub(crate) region: Region,
    /// The best prices met.
    pub(crate) prices: Prices,
    /// The bound at these prices, rounding included; at most the target if the region is closed.
    pub(crate) bound: f64,
    /// How much the solutions at different prices disagree about each depth: standard deviations.
    pub(crate) disagreement: [f64; MAX_BLOCKS],
    /// Relaxations solved.
    pub(crate) solved: u64,
}

impl Prices {
    /// Prices to begin with: each budget is worth about a sixth of the score, and the last stage's need
    /// of entropy a fifth of what entropy is worth there.
    pub(crate) fn initial(chain: &Chain, design: &Design, score: f64) -> Self {
        let mut prices =
            Self { resources: [0.0; MAX_RESOURCES], stages: [0.0; MAX_STAGES], anchor: [1.0; MAX_BLOCKS] };
        for (price, resource) in prices.resources.iter_mut().zip(&chain.resources) {
            if resource.max.is_finite() {
                *price = score.abs() / 6.0 / resource.max;
            }
        }
        let last = chain.program.stages.len() - 1;
        if chain.log_rho.is_some() {
            let width = design.choices().last().map_or(0, |choice| choice.width / chain.program.step);
            prices.stages[last] = 0.2 * chain.factors[last][width as usize];
        }
        for (anchor, choice) in prices.anchor.iter_mut().zip(design.choices()) {
            *anchor = f64::from(choice.depth);
        }
        prices
    }

    fn clamp(&mut self, region: &Region) {
        for (anchor, [low, high]) in self.anchor.iter_mut().zip(region.depths) {
            *anchor = anchor.clamp(f64::from(low), f64::from(high));
        }
    }
}

/// Improves prices by subgradient steps towards `target` (Polyak's rule), at most `rounds` of them, and
/// trims the region meanwhile. It begins at `start`, or at `reference` where `start` is useless.
pub(crate) fn tighten(
    chain: &Chain,
    region: &Region,
    start: &Prices,
    reference: &Prices,
    target: f64,
    rounds: u32,
) -> Tightened {
    let mut region = *region;
    let mut prices = *start;
    prices.clamp(&region);
    let mut best = (f64::INFINITY, prices);
    let mut theta = 1.0;
    let mut sums = [[0.0; 2]; MAX_BLOCKS];
    let mut solved = 0;
    for round in 0..rounds {
        let mut relaxation = Relaxation::solve(chain, &region, &prices, true);
        solved += 1;
        if round == 0 && relaxation.bound > target + FAR * target.abs() {
            let anchor = prices.anchor;
            let other = Prices { anchor, ..*reference };
            let second = Relaxation::solve(chain, &region, &other, true);
            solved += 1;
            if second.bound < relaxation.bound {
                (relaxation, prices) = (second, other);
            }
        }
        let bound = relaxation.bound + relaxation.rounding;
        if bound < best.0 {
            best = (bound, prices);
        } else {
            theta *= 0.6;
        }
        if bound <= target {
            break;
        }
        relaxation.trim(&mut region, target);
        if !region.propagate(chain) {
            best.0 = target;
            break;
        }
        for (sum, depth) in sums.iter_mut().zip(relaxation.usage.depths) {
            *sum = [sum[0] + depth, sum[1] + depth * depth];
        }
        step(chain, &mut prices, &relaxation, theta, bound - target, FLOOR * target.abs());
        let pull = 1.0 / f64::from(round + 2);
        for (anchor, depth) in prices.anchor.iter_mut().zip(relaxation.usage.depths).take(chain.blocks.len())
        {
            *anchor += pull * (depth - *anchor);
        }
        prices.clamp(&region);
    }
    let count = solved as f64;
    let disagreement = sums.map(|[x, square]| (square / count - (x / count).powi(2)).max(0.0).sqrt());
    Tightened { region, prices: best.1, bound: best.0, disagreement, solved }
}

/// One step against the subgradient. Every price is scaled by its budget, so that all are in units of
/// the objective.
fn step(
    chain: &Chain,
    prices: &mut Prices,
    relaxation: &Relaxation<'_>,
    theta: f64,
    excess: f64,
    floor: f64,
) {
    let usage = &relaxation.usage;
    // (price, scale, slope of the bound in the scaled price)
    let mut moves: Vec<(&mut f64, f64, f64)> = Vec::new();
    for ((price, resource), used) in prices.resources.iter_mut().zip(&chain.resources).zip(usage.costs) {
        if resource.max.is_finite() {
            moves.push((price, resource.max, 1.0 - used / resource.max));
        }
    }
    if let Some(log_rho) = chain.log_rho {
        let layers = |depths: &[f64; MAX_BLOCKS], end: usize| -> f64 {
            (0..=end).map(|i| chain.blocks[i].layers * depths[i]).sum()
        };
        for (stage, price) in prices.stages.iter_mut().enumerate().take(chain.program.stages.len()) {
            let end = chain.program.stages[stage].end;
            let anchor = layers(&prices.anchor, end);
            let (needed, slope) = chain.entropy_needed(anchor, log_rho);
            let needed_there = needed + slope * (layers(&usage.depths, end) - anchor);
            let scale = needed.max(1.0);
            moves.push((price, scale, (usage.stages[stage] - needed_there) / scale));
        }
    }
    // A price of 0 that should fall stays.
    moves.retain(|(price, _, slope)| **price > 0.0 || *slope < 0.0);
    // Steps are relative to the prices, so that a price that is far too high falls fast.
    let metric = |price: f64, scale: f64| (price * scale + floor).powi(2);
    let norm: f64 = moves.iter().map(|(price, scale, slope)| metric(**price, *scale) * slope * slope).sum();
    if norm == 0.0 {
        return;
    }
    for (price, scale, slope) in moves {
        let length = theta * excess / norm * metric(*price, scale);
        let scaled = *price * scale;
        // A new price starts small.
        let most = scaled * MAX_CHANGE + floor;
        let moved = (scaled - length * slope).clamp(scaled / MAX_CHANGE, most);
        *price = if moved > NEGLIGIBLE * excess { moved / scale } else { 0.0 };
    }
}
