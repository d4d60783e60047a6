//! Simulated annealing with restarts: good structures in seconds.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    chain::{Block, Chain, Evaluation, Terms},
    design::{Choice, Design},
    exact::polish,
    program::MAX_BLOCKS,
};

/// Steps between two looks at the temperature and at the request to stop.
const CHUNK: u64 = 1024;
/// Layer counts whose needed entropy is looked up.
const TABLE: usize = 2048;

/// How to anneal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Independent annealings. The best one counts.
    #[schemars(range(min = 1))]
    pub restarts: u32,
    /// Steps of each.
    #[schemars(range(min = 1))]
    pub steps: u64,
    /// Temperature at the start, relative to the best score so far.
    pub hot: f64,
    /// Temperature at the end, relative to the best score so far.
    pub cold: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { restarts: 4, steps: 4_000_000, hot: 1e-2, cold: 1e-5 }
    }
}

/// A structure that keeps all budgets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The structure.
    pub design: Design,
    /// Its score and costs.
    pub evaluation: Evaluation,
}

/// Runs all restarts in parallel, takes the best structure, the first one among equals, and
/// [polishes](polish) it; `None` if none keeps the budgets. It depends on `seed`, not on the number of threads.
///
/// `stop` is asked now and then; once it says yes the best so far is returned.
pub fn anneal(
    chain: &Chain,
    options: &Options,
    seed: u64,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Found> {
    let all: Vec<Option<Found>> =
        (0..options.restarts).into_par_iter().map(|i| restart(chain, options, seed, i, stop)).collect();
    all.into_iter().flatten().reduce(better).map(|found| polish(chain, found, stop))
}

/// Returns the better of two, the first one if they are equal.
pub fn better(first: Found, second: Found) -> Found {
    if second.evaluation.score > first.evaluation.score { second } else { first }
}

/// Runs restart number `index`.
pub fn restart(
    chain: &Chain,
    options: &Options,
    seed: u64,
    index: u32,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Found> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(index));
    let mut walk = Walk::new(chain, smallest(chain)?);
    let cooling = (options.cold / options.hot).ln();
    let mut step = 0;
    while step < options.steps && !stop() {
        let scale = walk.best.map_or(1.0, |best| best.evaluation.score.abs().max(1.0));
        let progress = step as f64 / options.steps as f64;
        let temperature = scale * options.hot * (cooling * progress).exp();
        let chunk = CHUNK.min(options.steps - step);
        for _ in 0..chunk {
            walk.step(temperature, &mut rng);
        }
        step += chunk;
    }
    // The walk judges ρ by the entropy it needs; what is returned keeps it by its definition too.
    walk.best.filter(|found| chain.keeps_budgets(&found.evaluation))
}

/// Returns a structure that is as narrow and as shallow as the space allows; `None` if the space is
/// empty. It may break budgets.
pub fn smallest(chain: &Chain) -> Option<Design> {
    let blocks = &chain.blocks;
    let mut widths: Vec<usize> = blocks.iter().map(|block| block.widths[0]).collect();
    for i in (1..blocks.len()).rev() {
        widths[i - 1] = widths[i - 1].max(widths[i].div_ceil(blocks[i].growth));
    }
    for i in 1..blocks.len() {
        widths[i] = widths[i].max(widths[i - 1]);
    }
    let step = chain.program.step;
    let choose = |(block, width): (&Block, usize)| {
        let neck = if block.kind.has_neck() { *block.necks.get(width)?.first()? } else { 0 };
        (width <= block.widths[1]).then(|| Choice {
            width: width as u32 * step,
            neck: neck as u32 * step,
            kernel: block.kernels[0].side,
            depth: block.depths[0],
        })
    };
    blocks.iter().zip(widths).map(choose).collect::<Option<Vec<Choice>>>().map(Design::from)
}

/// A walk through the space, with what each block adds kept.
struct Walk<'a> {
    chain: &'a Chain,
    /// The entropy that a number of layers needs.
    needed: Vec<f64>,
    design: Design,
    terms: [Terms; MAX_BLOCKS],
    score: f64,
    /// How much the budgets are exceeded; the walk first goes where this is 0.
    excess: f64,
    best: Option<Found>,
}

impl<'a> Walk<'a> {
    fn new(chain: &'a Chain, design: Design) -> Self {
        let needed = |layers: usize| {
            chain.log_rho.map_or(0.0, |log_rho| chain.entropy_needed(layers.max(1) as f64, log_rho).0)
        };
        let mut walk = Self {
            chain,
            needed: (0..TABLE).map(needed).collect(),
            design,
            terms: [Terms::default(); MAX_BLOCKS],
            score: f64::NEG_INFINITY,
            excess: f64::INFINITY,
            best: None,
        };
        for (i, terms) in walk.terms.iter_mut().enumerate().take(chain.blocks.len()) {
            *terms = chain.terms(i, &design);
        }
        (walk.score, walk.excess) = walk.judge(&walk.terms, &design);
        walk
    }

    /// Makes a few random changes, and keeps them or not.
    fn step(&mut self, temperature: f64, rng: &mut ChaCha8Rng) {
        let mut design = self.design;
        let mut changed = 0_u32;
        for _ in 0..rng.random_range(1..=3) {
            changed |= self.change(&mut design, rng);
        }
        if changed == 0 || !self.repair(&mut design, changed) {
            return;
        }
        let mut terms = self.terms;
        for (i, terms) in terms.iter_mut().enumerate().take(self.chain.blocks.len()) {
            // A block's terms depend on its own choices and on the width before it.
            if changed & (1 << i) != 0 || (i > 0 && changed & (1 << (i - 1)) != 0) {
                *terms = self.chain.terms(i, &design);
            }
        }
        let (score, excess) = self.judge(&terms, &design);
        let accepted = if self.excess > 0.0 {
            excess <= self.excess
        } else {
            excess == 0.0
                && (score >= self.score || rng.random::<f64>() < ((score - self.score) / temperature).exp())
        };
        if accepted {
            (self.design, self.terms, self.score, self.excess) = (design, terms, score, excess);
            if excess == 0.0 && self.best.is_none_or(|best| score > best.evaluation.score) {
                self.best = Some(Found { design, evaluation: self.chain.combine(&terms, &design) });
            }
        }
    }

    /// Changes one number; returns a bit for the block.
    fn change(&self, design: &mut Design, rng: &mut ChaCha8Rng) -> u32 {
        let blocks = &self.chain.blocks;
        let i = rng.random_range(0..blocks.len());
        let block = &blocks[i];
        let step = self.chain.program.step;
        let choice = &mut design.choices_mut()[i];
        let before = *choice;
        let what = rng.random_range(0..10);
        if what < 6 {
            // Mostly small changes, now and then a large one.
            let largest = if rng.random_range(0..3) == 0 { 12 } else { 2 };
            let change = step * rng.random_range(1..=largest);
            let up = rng.random::<bool>();
            let value = if what < 3 { &mut choice.width } else { &mut choice.neck };
            if what < 3 || block.kind.has_neck() {
                *value = if up { *value + change } else { value.saturating_sub(change) };
            }
        } else if what < 9 {
            choice.depth = if rng.random() { choice.depth + 1 } else { choice.depth - 1 };
        } else {
            choice.kernel = block.kernels[rng.random_range(0..block.kernels.len())].side;
        }
        u32::from(*choice != before) << i
    }

    /// Moves the bottlenecks of changed blocks to the nearest that the space has; returns whether the
    /// structure lies in the space then.
    fn repair(&self, design: &mut Design, changed: u32) -> bool {
        let step = self.chain.program.step;
        let mut before = 0_usize;
        for (i, block) in self.chain.blocks.iter().enumerate() {
            let choice = &mut design.choices_mut()[i];
            let width = (choice.width / step) as usize;
            let sound = (block.widths[0]..=block.widths[1]).contains(&width)
                && (block.depths[0]..=block.depths[1]).contains(&choice.depth)
                && (i == 0 || (before..=before.saturating_mul(block.growth)).contains(&width));
            if !sound {
                return false;
            }
            before = width;
            if changed & (1 << i) != 0 && block.kind.has_neck() {
                let Some(neck) = nearest(&block.necks[width], (choice.neck / step) as usize) else {
                    return false;
                };
                choice.neck = neck as u32 * step;
            }
        }
        true
    }

    /// Returns the score, and by how much budgets are exceeded, each relative to itself.
    #[inline]
    fn judge(&self, terms: &[Terms; MAX_BLOCKS], design: &Design) -> (f64, f64) {
        let chain = self.chain;
        let (mut entropy, mut layers, mut score, mut excess) = (0.0, 0.0, 0.0, 0.0);
        let mut costs = [0.0; crate::chain::MAX_RESOURCES];
        let mut depths = [0.0; MAX_BLOCKS];
        for (i, (block, choice)) in chain.blocks.iter().zip(design.choices()).enumerate() {
            for (sum, cost) in costs.iter_mut().zip(&terms[i].costs) {
                *sum += cost;
            }
            entropy += terms[i].entropy;
            layers += terms[i].layers;
            depths[i] = f64::from(choice.depth);
            if let Some(stage) = block.stage {
                score += chain.factors[stage][(choice.width / chain.program.step) as usize] * entropy;
                if let Some(log_rho) = chain.log_rho {
                    let known = self.needed.get(layers as usize).copied();
                    let needed = known.unwrap_or_else(|| chain.entropy_needed(layers, log_rho).0);
                    excess += (needed / entropy - 1.0).max(0.0);
                }
            }
        }
        for (resource, cost) in chain.resources.iter().zip(&costs) {
            excess += (cost / resource.max - 1.0).max(0.0);
        }
        (score - chain.program.penalty.value(&depths[..chain.blocks.len()]), excess)
    }
}

/// The element of an ascending list that is nearest to `x`.
fn nearest(list: &[usize], x: usize) -> Option<usize> {
    let at = list.partition_point(|y| *y < x);
    let above = list.get(at).copied();
    let below = at.checked_sub(1).map(|i| list[i]);
    match (below, above) {
        (Some(low), Some(high)) => Some(if x - low <= high - x { low } else { high }),
        (low, high) => low.or(high),
    }
}
