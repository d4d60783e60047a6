//! Improves a structure by searching all that is near it.

use super::search::{Options, Search};
use crate::{anneal::Found, chain::Chain};

/// Depths differ by at most this from those of the structure.
const REACH: u32 = 3;
/// What is left to gain when a neighbourhood is left, relative to the score.
const GAP: f64 = 1e-4;
/// Partial structures looked at in one region before it is split.
const LIMIT: u64 = 50_000;
/// Relaxations, and partial structures, after which a neighbourhood is left.
const RELAXATIONS: u64 = 12_000;
const NODES: u64 = 40_000_000;

/// Searches the structures of all widths whose depths differ by at most three from those of `found`, by
/// branch and bound within a fixed amount of work; again and again from the best, until it is no better
/// by more than a ten-thousandth. Annealing finds good widths, but seldom moves units from a block to another.
///
/// Deterministic; once `stop` says yes the best so far is returned.
pub fn polish(chain: &Chain, found: Found, stop: &(dyn Fn() -> bool + Sync)) -> Found {
    let mut best = found;
    loop {
        let options = Options { gap: GAP, limit: LIMIT };
        let mut search = Search::near(chain, &best, REACH, options);
        loop {
            let effort = search.progress().effort;
            if search.is_done() || stop() || effort.relaxations > RELAXATIONS || effort.nodes > NODES {
                break;
            }
            search.batch(stop);
        }
        let start = best.evaluation.score;
        let design = *search.best();
        let Some(evaluation) = chain.evaluate(&design) else { return best };
        best = Found { design, evaluation };
        let moved = evaluation.score > start + GAP * start.abs();
        if !moved || stop() {
            return best;
        }
    }
}
