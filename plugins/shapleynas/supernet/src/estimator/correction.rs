//! What gradients miss.

use rand::{Rng, seq::index};
use serde::{Deserialize, Serialize};

use super::sampled::mean_and_error;
use crate::game::Game;

/// Differences between exact marginal contributions and derivatives, by kind of player.
///
/// The mean of a kind is a control variate's correction: gradients are cheap and cover all players,
/// exact contributions are few. A mean within its noise corrects nothing, and one above it is reduced
/// by the share of the noise (positive-part James-Stein).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Residuals {
    kinds: Vec<Vec<f64>>,
}

impl Residuals {
    /// `kinds` is the number of kinds of players.
    pub fn new(kinds: usize) -> Self {
        Self { kinds: vec![Vec::new(); kinds] }
    }

    /// Measures one difference for each of `count` different players at one random coalition: takes one
    /// gradient and `count` values. `kind` tells a player's kind.
    ///
    /// # Errors
    ///
    /// Fails if the game does.
    pub fn measure<G: Game>(
        &mut self,
        game: &mut G,
        count: usize,
        kind: &dyn Fn(usize) -> usize,
        rng: &mut impl Rng,
    ) -> Result<(), G::Error> {
        let share = rng.random::<f64>();
        let mut present: Vec<bool> = (0..game.players()).map(|_| rng.random::<f64>() < share).collect();
        let (value, gradient) = game.gradient(&present)?;
        for player in index::sample(rng, present.len(), count.min(present.len())) {
            present[player] = !present[player];
            let other = game.value(&present)?;
            present[player] = !present[player];
            let marginal = if present[player] { value - other } else { other - value };
            self.kinds[kind(player)].push(marginal - gradient[player]);
        }
        Ok(())
    }

    /// Returns what to add to the estimate of a player of this kind, and its standard error.
    pub fn correction(&self, kind: usize) -> (f64, f64) {
        let residuals = &self.kinds[kind];
        if residuals.len() < 2 {
            return (0.0, 0.0);
        }
        let (mean, error) = mean_and_error(residuals);
        if mean.abs() <= error {
            return (0.0, 0.0);
        }
        let kept = 1.0 - (error / mean).powi(2);
        (kept * mean, kept * error)
    }
}
