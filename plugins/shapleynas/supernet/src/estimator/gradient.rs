//! Gradients at random coalitions.

use rand::Rng;

use crate::game::Game;

/// Returns one estimate of all players' Shapley values, from `2 * strata` gradients.
///
/// A player's Shapley value is its mean marginal contribution to a coalition that every other player
/// joins with probability `q`, for `q` uniform between 0 and 1 (Owen 1972, "Multilinear extensions of
/// games"). The derivative by a player's presence stands for its marginal contribution. It is that
/// exactly for a multilinear game, and linear in the presence of one operation for a supernet, where
/// the error is what [`Residuals`](super::Residuals) measure. `q` is drawn once from each of `strata`
/// equal parts of [0, 1/2), and each coalition is taken with its complement, for which `1 - q` holds.
/// So groups are independent and equally distributed.
///
/// # Errors
///
/// Fails if the game does.
pub fn gradient_group<G: Game>(
    game: &mut G,
    strata: usize,
    rng: &mut impl Rng,
) -> Result<Vec<f64>, G::Error> {
    let mut sum = vec![0.0; game.players()];
    for stratum in 0..strata {
        let share = (stratum as f64 + rng.random::<f64>()) / (2 * strata) as f64;
        let coalition: Vec<bool> = (0..sum.len()).map(|_| rng.random::<f64>() < share).collect();
        let complement: Vec<bool> = coalition.iter().map(|present| !present).collect();
        for present in [coalition, complement] {
            let (_, gradient) = game.gradient(&present)?;
            for (sum, derivative) in sum.iter_mut().zip(gradient) {
                *sum += derivative;
            }
        }
    }
    let gradients = 2.0 * strata as f64;
    Ok(sum.into_iter().map(|sum| sum / gradients).collect())
}
