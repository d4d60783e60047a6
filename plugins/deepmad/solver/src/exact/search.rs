//! Branch and bound over regions.

use std::{ops::ControlFlow, time::Instant};

use rayon::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    certificate::{Certificate, Effort},
    dual::{Tightened, tighten},
    leaf::{Leaf, variants},
    region::Region,
    relaxation::Prices,
};
use crate::{
    anneal::{self, Found},
    chain::Chain,
    design::Design,
    program::{Program, ProgramError},
};

/// Regions that are worked on between two looks at the clock. Fixed, so that the course of a search does
/// not depend on the number of threads.
const BATCH: usize = 32;
/// Those of them that are taken because they are small, not because their bound is high: they end soon in
/// better structures, which close others.
const DIVES: usize = 8;
/// Rounds of price improvement for a region, and for one with a single depth vector.
const ROUNDS: u32 = 8;
const LAST_ROUNDS: u32 = 12;
/// Rounds for the first prices.
const FIRST_ROUNDS: u32 = 40;

/// How to search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The search ends when the upper bound is within this of the score, relative to it; 0 proves the
    /// optimum.
    #[schemars(range(min = 0.0))]
    pub gap: f64,
    /// Partial structures looked at in one region before it is split instead.
    #[schemars(range(min = 1))]
    pub limit: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { gap: 0.0, limit: 200_000 }
    }
}

/// Where a search stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Score of the best structure known.
    pub score: f64,
    /// Proven upper bound.
    pub upper_bound: f64,
    /// (upper bound − score) / |score|.
    pub gap: f64,
    /// What was done.
    pub effort: Effort,
}

/// The start of a search is unusable.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The program is unsound.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The first structure does not lie in the space.
    #[error("the structure to start from: {0}")]
    Misfit(String),
    /// The first structure breaks a budget.
    #[error("the structure to start from breaks a budget")]
    Budget,
}

/// A region that is still open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Node {
    /// Order of creation, which decides between equal bounds.
    id: u64,
    region: Region,
    prices: Prices,
    bound: f64,
}

/// Everything that a search is, between two batches. It can be written down and taken up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    program: Program,
    options: Options,
    best: Design,
    /// Prices that suit the first structure's depths.
    reference: Prices,
    /// No structure scores more than this before its penalty.
    unpenalised: f64,
    /// Largest bound among closed regions; the best score if that is higher.
    closed: f64,
    next: u64,
    open: Vec<Node>,
    effort: Effort,
}

/// A search in progress.
#[derive(Debug)]
pub struct Search {
    chain: Chain,
    state: State,
    score: f64,
}

/// What became of a region.
struct Outcome {
    children: Vec<Region>,
    prices: Prices,
    /// Bound for the children; for what was closed if there are none.
    bound: f64,
    found: Option<Found>,
    effort: Effort,
}

impl Search {
    /// Starts a search from a structure that keeps all budgets.
    ///
    /// # Errors
    ///
    /// Fails if the program or the structure is unusable.
    pub fn new(program: &Program, first: &Design, options: Options) -> Result<Self, SearchError> {
        let chain = Chain::new(program)?;
        let score = usable(&chain, first)?;
        let whole = Region::whole(&chain);
        Ok(Self::over(chain, whole, first, score, options))
    }

    /// Starts a search of the depths that differ by at most `reach` from those of a structure of this
    /// space. What it proves holds for them alone.
    pub(super) fn near(chain: &Chain, found: &Found, reach: u32, options: Options) -> Self {
        let region = Region::whole(chain).and_then(|mut region| {
            for (depths, choice) in region.depths.iter_mut().zip(found.design.choices()) {
                let near = [choice.depth.saturating_sub(reach), choice.depth + reach];
                *depths = [depths[0].max(near[0]), depths[1].min(near[1])];
            }
            region.propagate(chain).then_some(region)
        });
        Self::over(chain.clone(), region, &found.design, found.evaluation.score, options)
    }

    fn over(chain: Chain, region: Option<Region>, first: &Design, score: f64, options: Options) -> Self {
        let mut state = State {
            program: chain.program().clone(),
            options,
            best: *first,
            reference: Prices::initial(&chain, first, score),
            unpenalised: f64::MAX,
            closed: score,
            next: 1,
            open: Vec::new(),
            effort: Effort::default(),
        };
        if let Some(region) = region {
            let begin = cpu_seconds();
            let mut prices = state.reference;
            // The first structure's depths tell what budgets are worth near the optimum.
            let mut near = region;
            for (depths, choice) in near.depths.iter_mut().zip(first.choices()) {
                *depths = [choice.depth; 2];
            }
            if near.propagate(&chain) {
                let tightened = tighten(&chain, &near, &prices, &prices, score, FIRST_ROUNDS);
                state.effort.relaxations += tightened.solved;
                prices = tightened.prices;
            }
            let tightened = tighten(&chain.without_penalty(), &region, &prices, &prices, score, FIRST_ROUNDS);
            state.effort.relaxations += tightened.solved;
            state.unpenalised = tightened.bound;
            state.reference = prices;
            // Nothing is proven about it yet.
            state.open.push(Node { id: 0, region, prices, bound: f64::MAX });
            state.effort.cpu_seconds = cpu_seconds() - begin;
        }
        state.effort.open = state.open.len() as u64;
        Self { chain, state, score }
    }

    /// Takes up a search where [`Search::state`] wrote it down.
    ///
    /// # Errors
    ///
    /// Fails if the state does not fit its own program.
    pub fn resume(state: State) -> Result<Self, SearchError> {
        let chain = Chain::new(&state.program)?;
        let score = usable(&chain, &state.best)?;
        Ok(Self { chain, state, score })
    }

    /// Returns everything that [`Search::resume`] needs.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether nothing is open any more, or the gap is as small as wanted.
    pub fn is_done(&self) -> bool {
        self.state.open.is_empty()
    }

    /// Returns the best structure known.
    pub fn best(&self) -> &Design {
        &self.state.best
    }

    /// Returns where the search stands.
    pub fn progress(&self) -> Progress {
        let open = self.state.open.iter().map(|node| node.bound);
        let upper_bound = open.fold(self.state.closed.max(self.score), f64::max);
        let gap = (upper_bound - self.score) / self.score.abs().max(f64::MIN_POSITIVE);
        Progress { score: self.score, upper_bound, gap, effort: self.state.effort }
    }

    /// Returns what has been proven so far.
    pub fn certificate(&self) -> Certificate {
        let Progress { score, upper_bound, gap, effort } = self.progress();
        Certificate {
            program: self.state.program.clone(),
            structure: self.state.best,
            score,
            upper_bound,
            gap,
            proven: self.is_done(),
            effort,
        }
    }

    /// Works until the search is done or `observe`, which is called after every batch, breaks it off.
    /// `stop` is asked more often; once it says yes, the batch in work is given up.
    pub fn run(
        &mut self,
        mut observe: impl FnMut(&Progress) -> ControlFlow<()>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Certificate {
        while !self.is_done() && !stop() {
            self.batch(stop);
            if observe(&self.progress()).is_break() {
                break;
            }
        }
        self.certificate()
    }

    /// Works on the open regions with the highest bounds, in parallel. If `stop` says yes meanwhile, the
    /// search stays as it was.
    pub fn batch(&mut self, stop: &(dyn Fn() -> bool + Sync)) {
        let begin = Instant::now();
        let nodes = self.pick();
        let target = self.target();
        let work =
            |node: &Node| if stop() { None } else { Some(expand(&self.chain, node, target, &self.state)) };
        let outcomes: Option<Vec<Outcome>> = nodes.par_iter().map(work).collect();
        let Some(outcomes) = outcomes else {
            self.state.open.extend(nodes);
            return;
        };
        for (node, outcome) in nodes.iter().zip(outcomes) {
            self.take(node, outcome);
        }
        // What was trimmed away may reach the target, though not exceed it.
        self.state.closed = self.state.closed.max(target);
        // A better structure closes regions.
        let target = self.target();
        let closed = &mut self.state.closed;
        self.state.open.retain(|node| {
            let open = node.bound > target;
            if !open {
                *closed = closed.max(node.bound);
            }
            open
        });
        self.state.effort.open = self.state.open.len() as u64;
        self.state.effort.wall_seconds += begin.elapsed().as_secs_f64();
    }

    /// What a bound must not exceed for its region to be closed.
    fn target(&self) -> f64 {
        self.score + self.state.options.gap * self.score.abs()
    }

    fn pick(&mut self) -> Vec<Node> {
        let open = &mut self.state.open;
        let higher = |x: &Node, y: &Node| x.bound.total_cmp(&y.bound).then(y.id.cmp(&x.id));
        open.sort_by(higher);
        let mut picked = open.split_off(open.len().saturating_sub(BATCH - DIVES));
        open.sort_by(|x, y| y.region.depth_vectors().total_cmp(&x.region.depth_vectors()).then(higher(x, y)));
        picked.extend(open.split_off(open.len().saturating_sub(DIVES)));
        picked
    }

    fn take(&mut self, node: &Node, outcome: Outcome) {
        let Outcome { children, prices, bound, found, effort } = outcome;
        let total = &mut self.state.effort;
        total.regions += effort.regions;
        total.relaxations += effort.relaxations;
        total.searches += effort.searches;
        total.nodes += effort.nodes;
        total.cpu_seconds += effort.cpu_seconds;
        if let Some(found) = found.filter(|found| found.evaluation.score > self.score) {
            self.score = found.evaluation.score;
            self.state.best = found.design;
        }
        let bound = bound.min(node.bound);
        if children.is_empty() {
            self.state.closed = self.state.closed.max(bound);
        }
        for region in children {
            self.state.open.push(Node { id: self.state.next, region, prices, bound });
            self.state.next += 1;
        }
    }
}

fn usable(chain: &Chain, design: &Design) -> Result<f64, SearchError> {
    if let Some(misfit) = chain.misfit(design) {
        return Err(SearchError::Misfit(misfit));
    }
    let evaluation = chain.evaluate(design).filter(|evaluation| chain.keeps_budgets(evaluation));
    Ok(evaluation.ok_or(SearchError::Budget)?.score)
}

/// Bounds a region, and closes, searches or splits it.
fn expand(chain: &Chain, node: &Node, target: f64, state: &State) -> Outcome {
    let begin = cpu_seconds();
    let mut effort = Effort { regions: 1, ..Effort::default() };
    let mut region = node.region;
    let outcome = |children, prices, bound, found, mut effort: Effort| {
        effort.cpu_seconds = cpu_seconds() - begin;
        Outcome { children, prices, bound, found, effort }
    };
    // What beats the target has no larger penalty than this.
    let most = state.unpenalised - target;
    if !chain.program.penalty.narrow(&mut region.depths, most) || !region.propagate(chain) {
        return outcome(Vec::new(), node.prices, target, None, effort);
    }
    let rounds = if region.is_one_depth() { LAST_ROUNDS } else { ROUNDS };
    let tightened = tighten(chain, &region, &node.prices, &state.reference, target, rounds);
    effort.relaxations += tightened.solved;
    let Tightened { region, prices, bound, .. } = tightened;
    if bound <= target {
        return outcome(Vec::new(), prices, bound, None, effort);
    }
    if !region.is_one_depth() {
        return outcome(split_depths(&tightened), prices, bound, None, effort);
    }
    let sets = variants(chain, &prices);
    effort.relaxations += sets.len() as u64;
    effort.searches += 1;
    // One vector of widths cannot be split any more.
    let limit = if region.is_one_width() { u64::MAX } else { state.options.limit };
    let ended = Leaf::search(chain, &region, &sets, target, limit);
    effort.nodes += ended.nodes;
    if ended.complete {
        // Everything above the target would have been found.
        let closed = ended.found.map_or(target, |found| found.evaluation.score);
        return outcome(Vec::new(), prices, closed, ended.found, effort);
    }
    outcome(split_widths(&region, chain.blocks.len()), prices, bound, ended.found, effort)
}

/// Cuts the depth range that weakens the bound most.
fn split_depths(tightened: &Tightened) -> Vec<Region> {
    let region = &tightened.region;
    let spread = |i: usize| {
        let [low, high] = region.depths[i];
        if low == high {
            f64::NEG_INFINITY
        } else {
            f64::from(high - low) * (0.1 + tightened.disagreement[i])
        }
    };
    let i = (0..region.depths.len()).max_by(|x, y| spread(*x).total_cmp(&spread(*y))).unwrap_or(0);
    let [low, high] = region.depths[i];
    // Open ranges are cut by their ratio, narrow ones in the middle.
    let at = if high > 3 * low + 8 {
        f64::from(low).max(4.0) * (f64::from(high) / f64::from(low).max(4.0)).sqrt()
    } else {
        f64::from(low + high) / 2.0
    };
    region.split_depth(i, (at as u32).clamp(low, high - 1)).to_vec()
}

/// Cuts the widths with the largest ratio.
fn split_widths(region: &Region, blocks: usize) -> Vec<Region> {
    let ratio = |i: usize| {
        let [low, high] = region.widths[i];
        high as f64 / low as f64
    };
    let i = (0..blocks).max_by(|x, y| ratio(*x).total_cmp(&ratio(*y))).unwrap_or(0);
    let [low, high] = region.widths[i];
    let at = ((low * high) as f64).sqrt() as usize;
    region.split_width(i, at.clamp(low, high - 1)).to_vec()
}

/// Seconds that this thread has been on a processor.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Anneals for a first structure and proves from there; `None` if annealing finds none.
///
/// # Errors
///
/// Fails if the program is unsound.
pub fn solve(
    program: &Program,
    annealing: &anneal::Options,
    options: Options,
    seed: u64,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Certificate>, SearchError> {
    let chain = Chain::new(program)?;
    let Some(found) = anneal::anneal(&chain, annealing, seed, stop) else { return Ok(None) };
    let mut search = Search::new(program, &found.design, options)?;
    Ok(Some(search.run(|_| ControlFlow::Continue(()), stop)))
}
