//! Improves a structure by searching all that is near it.

use super::search::{Options, Search};
use crate::{
    anneal::Found,
    chain::{Block, Chain},
};

/// Depths differ by at most this from those of the structure.
const REACH: u32 = 3;
/// What is left to gain when a neighbourhood is left, relative to the score.
const GAP: f64 = 1e-4;
/// Partial structures looked at in one region before it is split.
const LIMIT: u64 = 50_000;
/// Work after which it ends, in partial structures looked at: some five seconds.
const WORK: f64 = 2e8;
/// The work of finding the best bottleneck for a width, beside that of its stretches.
const BASE: usize = 16;
/// Partial structures that cost as much as one such piece of work.
const SHARE: f64 = 0.2;

/// Searches the structures of all widths whose depths differ by at most three from those of `found`, by
/// branch and bound within a fixed amount of work; again and again from the best, until it is no better
/// by more than a ten-thousandth. Annealing finds good widths, but seldom moves units from a block to another.
///
/// Deterministic; once `stop` says yes the best so far is returned.
pub fn polish(chain: &Chain, found: Found, stop: &(dyn Fn() -> bool + Sync)) -> Found {
    let mut best = found;
    let relaxation = relaxation_work(chain);
    let mut done = 0.0;
    loop {
        let options = Options { gap: GAP, limit: LIMIT };
        let mut search = Search::near(chain, &best, REACH, options);
        loop {
            let effort = search.progress().effort;
            let work = done + effort.relaxations as f64 * relaxation + effort.nodes as f64;
            if search.is_done() || stop() || work > WORK {
                done = work;
                break;
            }
            search.batch(stop);
        }
        let start = best.evaluation.score;
        let design = *search.best();
        let Some(evaluation) = chain.evaluate(&design) else { return best };
        best = Found { design, evaluation };
        let moved = evaluation.score > start + GAP * start.abs();
        if !moved || stop() || done > WORK {
            return best;
        }
    }
}

/// The work of a relaxation: of the best bottlenecks for each width of each block.
fn relaxation_work(chain: &Chain) -> f64 {
    let work = |block: &Block| {
        let widths = (block.widths[1] + 1 - block.widths[0]) * block.kernels.len();
        // A list is searched for its hull, a range has a formula.
        let necks = if block.concave { 8 } else { 2 * block.necks[block.widths[1]].len() };
        (widths * (BASE + necks)) as f64
    };
    chain.blocks.iter().map(work).sum::<f64>() * SHARE
}
