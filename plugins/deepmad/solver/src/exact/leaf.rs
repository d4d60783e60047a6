//! Depth-first search through one depth vector.

use super::{
    curve::Curve,
    region::Region,
    relaxation::{Prices, Relaxation},
};
use crate::{
    anneal::Found,
    chain::{Chain, MAX_RESOURCES},
    design::{Choice, Design},
};

/// Most price sets.
pub(crate) const MAX_SETS: usize = 8;

/// Blocks are fixed from the last to the first. What is known then is the value of the fixed part and
/// A; what is left is bounded by each of several relaxations, whose prices suit different shortages.
pub(crate) struct Leaf<'a> {
    chain: &'a Chain,
    region: Region,
    sets: Vec<Relaxation<'a>>,
    /// What must be exceeded.
    floor: f64,
    found: Option<Found>,
    nodes: u64,
    limit: u64,
    design: Design,
}

/// How a search ended.
pub(crate) struct Ended {
    /// Whether everything was searched.
    pub(crate) complete: bool,
    /// The best structure above the floor.
    pub(crate) found: Option<Found>,
    /// Partial structures looked at.
    pub(crate) nodes: u64,
}

/// A partial structure: blocks from `i + 1` on are fixed, and the width of block `i` is.
#[derive(Clone, Copy)]
struct Partial {
    i: usize,
    width: usize,
    /// By price set: the fixed blocks' part of the Lagrangian, the constant included.
    value: [f64; MAX_SETS],
    /// By price set: A of block `i`.
    weight: [f64; MAX_SETS],
    left: [f64; MAX_RESOURCES],
}

/// Returns prices that suit other shortages than `prices` do.
pub(crate) fn variants(chain: &Chain, prices: &Prices) -> Vec<Prices> {
    let mut all = vec![*prices];
    let bounded: Vec<usize> = (0..chain.resources.len()).filter(|r| prices.resources[*r] > 0.0).collect();
    let mut scaled = |resources: &[(usize, f64)], stages: f64| {
        let mut other = *prices;
        for (r, factor) in resources {
            other.resources[*r] *= factor;
        }
        for price in &mut other.stages {
            *price *= stages;
        }
        if all.len() < MAX_SETS && !all.contains(&other) {
            all.push(other);
        }
    };
    scaled(&[], 2.0);
    scaled(&[], 4.0);
    for r in &bounded {
        scaled(&[(*r, 3.0)], 1.0);
        scaled(&[(*r, 0.4)], 0.6);
    }
    all
}

impl<'a> Leaf<'a> {
    /// Searches a region with one depth vector for structures that score more than `floor`.
    pub(crate) fn search(
        chain: &'a Chain,
        region: &Region,
        prices: &[Prices],
        floor: f64,
        limit: u64,
    ) -> Ended {
        let sets: Vec<Relaxation<'_>> =
            prices.iter().map(|prices| Relaxation::solve(chain, region, prices, false)).collect();
        let n = chain.blocks.len();
        let design = (0..n).map(|_| Choice::default()).collect();
        let mut leaf = Self { chain, region: *region, sets, floor, found: None, nodes: 0, limit, design };
        let mut left = [0.0; MAX_RESOURCES];
        for (left, resource) in left.iter_mut().zip(&chain.resources) {
            *left = resource.max;
        }
        let [low, high] = region.widths[n - 1];
        for width in low..=high {
            let mut root = Partial { i: n - 1, width, value: [0.0; MAX_SETS], weight: [0.0; MAX_SETS], left };
            for (s, set) in leaf.sets.iter().enumerate() {
                root.value[s] = set.constant() + set.rounding;
                root.weight[s] = set.own(n - 1, width);
            }
            leaf.descend(&root);
        }
        Ended { complete: leaf.nodes <= limit, found: leaf.found, nodes: leaf.nodes }
    }

    fn descend(&mut self, partial: &Partial) {
        if self.nodes > self.limit {
            return;
        }
        let Partial { i, width, .. } = *partial;
        let block = &self.chain.blocks[i];
        for kernel in 0..block.kernels.len() {
            if i == 0 {
                self.place(i, width, kernel, 0);
                self.evaluate();
                continue;
            }
            let (from, to) = self.sets[0].before(i, width);
            for before in from..=to {
                self.kernel(partial, kernel, before);
            }
        }
    }

    /// Tries the bottlenecks of one kernel behind one width.
    fn kernel(&mut self, partial: &Partial, kernel: usize, before: usize) {
        let Partial { i, width, .. } = *partial;
        let chain = self.chain;
        let block = &chain.blocks[i];
        let units = f64::from(self.region.depths[i][0]);
        let (cin, c) = (chain.size(before), chain.size(width));
        self.nodes += 1;
        // By set: the bound without what depends on b, and A before this block.
        let mut base = [0.0; MAX_SETS];
        let mut weight = [0.0; MAX_SETS];
        let entropy = 0.5 * cin.log + 0.5 * (units - 1.0) * c.log + units * block.kernels[kernel].log;
        for (s, set) in self.sets.iter().enumerate() {
            weight[s] = partial.weight[s] + set.own(i - 1, before);
            base[s] = partial.value[s]
                + set.ahead(i, before, weight[s])
                + partial.weight[s] * entropy
                + set.per_unit(i) * units;
            if base[s] == f64::NEG_INFINITY {
                return;
            }
        }
        let mut step = Step { partial, kernel, before, base, weight };
        if !block.kind.has_neck() {
            self.neck(&mut step, 0);
            return;
        }
        let necks = &block.necks[width];
        if !block.concave {
            for neck in necks {
                self.neck(&mut step, *neck);
            }
            return;
        }
        let (Some(least), Some(most)) = (necks.first().copied(), necks.last().copied()) else { return };
        let unit = self.sets[0].unit(i, kernel);
        let more = units - 1.0;
        let curve = Curve {
            logs: &chain.logs,
            step: chain.step,
            log_weight: partial.weight[0] * units * block.neck_power,
            square: unit.first.b2 + more * unit.rest.b2,
            table: &[],
            units,
        };
        let price = unit.first.b
            + unit.first.cin_b * cin.channels
            + unit.first.c_b * c.channels
            + more * (unit.rest.b + unit.rest.c_b * c.channels);
        let peak = curve.peak(price, least, most);
        // The first set's bound is concave in b: once it is too low it stays so.
        for neck in (least..=peak).rev() {
            if !self.neck(&mut step, neck) {
                break;
            }
        }
        for neck in peak + 1..=most {
            if !self.neck(&mut step, neck) {
                break;
            }
        }
    }

    /// Tries one bottleneck; returns whether the first set's bound was high enough.
    fn neck(&mut self, step: &mut Step<'_>, neck: usize) -> bool {
        let Partial { i, width, .. } = *step.partial;
        let chain = self.chain;
        let block = &chain.blocks[i];
        let depth = self.region.depths[i][0];
        let units = f64::from(depth);
        let (cin, c, b) = (chain.size(step.before), chain.size(width), chain.size(neck));
        let inner = if block.kind.has_neck() { units * block.neck_power * b.log } else { 0.0 };
        self.nodes += 1;
        let mut fits = [0.0; MAX_SETS];
        for (s, set) in self.sets.iter().enumerate() {
            let cost = set.unit(i, step.kernel).at(cin.channels, c.channels, b.channels, neck, units);
            fits[s] = step.base[s] + step.partial.weight[s] * inner - cost;
            if fits[s] <= self.floor {
                return s > 0;
            }
        }
        let terms = block.terms(cin, c, step.kernel, b, units);
        let mut next = Partial {
            i: i - 1,
            width: step.before,
            value: [0.0; MAX_SETS],
            weight: step.weight,
            left: step.partial.left,
        };
        for (left, cost) in next.left.iter_mut().zip(&terms.costs).take(chain.resources.len()) {
            *left -= cost;
            if *left < 0.0 {
                return true;
            }
        }
        for (s, set) in self.sets.iter().enumerate() {
            next.value[s] = fits[s] - set.ahead(i, step.before, step.weight[s]);
        }
        self.place(i, width, step.kernel, neck);
        self.descend(&next);
        true
    }

    fn place(&mut self, i: usize, width: usize, kernel: usize, neck: usize) {
        let step = self.chain.program.step;
        self.design.choices_mut()[i] = Choice {
            width: width as u32 * step,
            neck: neck as u32 * step,
            kernel: self.chain.blocks[i].kernels[kernel].side,
            depth: self.region.depths[i][0],
        };
    }

    fn evaluate(&mut self) {
        let Some(evaluation) = self.chain.evaluate(&self.design) else { return };
        if evaluation.score > self.floor && self.chain.keeps_budgets(&evaluation) {
            self.floor = evaluation.score;
            self.found = Some(Found { design: self.design, evaluation });
        }
    }
}

/// A block's choices but for the bottleneck.
struct Step<'p> {
    partial: &'p Partial,
    kernel: usize,
    before: usize,
    base: [f64; MAX_SETS],
    weight: [f64; MAX_SETS],
}
