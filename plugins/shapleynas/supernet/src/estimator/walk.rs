//! Walks that remove one player after the other.

use rand::{Rng, seq::SliceRandom as _};

use crate::game::Game;

/// One walk.
#[derive(Debug, Clone, PartialEq)]
pub struct Walk {
    /// What was lost when each player left; 0 for those that were still there at the end.
    pub losses: Vec<f64>,
    /// Values asked for after the first one, of all players.
    pub evaluations: usize,
    /// Value of all players together.
    pub full: f64,
}

/// Removes the players in `order` until `stop` says so of a value and the full one. Where `keep` holds
/// for a player and those present, the player stays and loses nothing, but the value is asked for.
///
/// # Errors
///
/// Fails if the game does.
pub fn walk<G: Game>(
    game: &mut G,
    order: &[usize],
    keep: &dyn Fn(usize, &[bool]) -> bool,
    stop: &dyn Fn(f64, f64) -> bool,
) -> Result<Walk, G::Error> {
    let mut present = vec![true; game.players()];
    let full = game.value(&present)?;
    let mut walk = Walk { losses: vec![0.0; present.len()], evaluations: 0, full };
    let mut before = full;
    for &player in order {
        present[player] = keep(player, &present);
        let after = game.value(&present)?;
        walk.losses[player] = before - after;
        walk.evaluations += 1;
        before = after;
        if stop(after, full) {
            break;
        }
    }
    Ok(walk)
}

/// Returns the order of walk `index` of a group: one random order, moved on by equal parts `shifts`
/// times, each forwards and backwards.
///
/// So every player is met at `2 * shifts` places spread over the walk (position-stratified and
/// antithetic), each order is uniformly distributed, and `rng` must be the same for the whole group.
/// A group has `2 * shifts` walks.
pub fn order(players: usize, shifts: usize, index: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..players).collect();
    order.shuffle(rng);
    order.rotate_left(index / 2 % shifts * players / shifts);
    if index % 2 == 1 {
        order.reverse();
    }
    order
}
