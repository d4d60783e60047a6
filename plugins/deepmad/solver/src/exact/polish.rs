//! Improves a structure by searching through neighbouring depth vectors.

use super::{
    dual::tighten,
    leaf::{Leaf, variants},
    region::Region,
    relaxation::Prices,
};
use crate::{anneal::Found, chain::Chain};

/// Rounds of price improvement for the first prices, and for a depth vector.
const FIRST_ROUNDS: u32 = 40;
const ROUNDS: u32 = 12;
/// Partial structures looked at in one depth vector.
const LIMIT: u64 = 200_000;

/// Searches the depth vector of a structure, and those that differ by one unit in one block or by one
/// unit moved between two blocks, for better structures; again and again from the best, until no
/// neighbour is better. Annealing finds good widths, but seldom moves a unit from a block to another.
///
/// Deterministic; once `stop` says yes the best so far is returned.
pub fn polish(chain: &Chain, found: Found, stop: &dyn Fn() -> bool) -> Found {
    let mut best = found;
    let Some(whole) = Region::whole(chain) else { return best };
    let mut prices = Prices::initial(chain, &best.design, best.evaluation.score);
    let n = chain.blocks.len();
    let mut moves: Vec<[Option<usize>; 2]> = vec![[None, None]];
    for i in 0..n {
        moves.extend([[Some(i), None], [None, Some(i)]]);
        moves.extend((0..n).filter(|j| *j != i).map(|j| [Some(i), Some(j)]));
    }
    let mut rounds = FIRST_ROUNDS;
    loop {
        let start = best;
        for [up, down] in &moves {
            if stop() {
                return best;
            }
            let Some(region) = neighbour(chain, &whole, &start, *up, *down) else { continue };
            let target = best.evaluation.score;
            let tightened = tighten(chain, &region, &prices, &prices, target, rounds);
            if rounds == FIRST_ROUNDS {
                (prices, rounds) = (tightened.prices, ROUNDS);
            }
            if tightened.bound > target {
                let sets = variants(chain, &tightened.prices);
                let ended = Leaf::search(chain, &tightened.region, &sets, target, LIMIT);
                best = ended.found.unwrap_or(best);
            }
        }
        if best == start {
            return best;
        }
    }
}

/// The region of the depths of `from` with one unit more in block `up` and one less in block `down`.
fn neighbour(
    chain: &Chain,
    whole: &Region,
    from: &Found,
    up: Option<usize>,
    down: Option<usize>,
) -> Option<Region> {
    let mut region = *whole;
    for (i, choice) in from.design.choices().iter().enumerate() {
        let depth = (choice.depth + u32::from(up == Some(i))).checked_sub(u32::from(down == Some(i)))?;
        let [low, high] = whole.depths[i];
        if !(low..=high).contains(&depth) {
            return None;
        }
        region.depths[i] = [depth; 2];
    }
    region.propagate(chain).then_some(region)
}
