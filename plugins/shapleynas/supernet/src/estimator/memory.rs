//! Estimates of earlier epochs.

use serde::{Deserialize, Serialize};

/// A moving mean over epochs, weighted by precision.
///
/// An estimate weighs `1/s²`, where `s²` is the mean of its own squared standard error and that of all
/// players, as an error from few samples is itself uncertain. What is remembered weighs less by a factor
/// for each epoch that has passed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    mean: Vec<f64>,
    weight: Vec<f64>,
    variance: Vec<f64>,
}

impl Memory {
    /// Takes an epoch's estimate with its standard errors; what was remembered keeps the share `keep` of
    /// its weight.
    pub fn add(&mut self, mean: &[f64], error: &[f64], keep: f64) {
        if self.mean.is_empty() {
            *self = Self {
                mean: vec![0.0; mean.len()],
                weight: vec![0.0; mean.len()],
                variance: vec![0.0; mean.len()],
            };
        }
        let squares: Vec<f64> = error.iter().map(|error| error * error).collect();
        let pooled = squares.iter().sum::<f64>() / squares.len() as f64;
        for player in 0..mean.len() {
            // Errors of zero would weigh infinitely.
            let variance = ((squares[player] + pooled) / 2.0).max(f64::MIN_POSITIVE.sqrt());
            let (old, new) = (keep * self.weight[player], 1.0 / variance);
            let share = new / (old + new);
            self.mean[player] += share * (mean[player] - self.mean[player]);
            self.variance[player] =
                (1.0 - share).powi(2) * self.variance[player] + share.powi(2) * squares[player];
            self.weight[player] = old + new;
        }
    }

    /// Returns the mean, if anything is remembered.
    pub fn mean(&self) -> Option<&[f64]> {
        (!self.mean.is_empty()).then_some(&self.mean[..])
    }

    /// Returns the standard errors of the mean, as if the values had not changed meanwhile.
    pub fn error(&self) -> Vec<f64> {
        self.variance.iter().map(|variance| variance.sqrt()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precise_estimates_weigh_more() {
        let mut memory = Memory::default();
        memory.add(&[1.0, 1.0], &[0.1, 0.1], 0.8);
        assert_eq!((memory.mean().unwrap(), &memory.error()[..]), (&[1.0, 1.0][..], &[0.1, 0.1][..]));
        memory.add(&[2.0, 2.0], &[1.0, 1.0], 1.0);
        // The inverse-variance mean: (100 + 2) / 101, with error 1/sqrt(101).
        assert!((memory.mean().unwrap()[0] - 102.0 / 101.0).abs() < 1e-12);
        assert!((memory.error()[1] - 101.0_f64.powf(-0.5)).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_kept_of_a_forgotten_epoch_and_zero_errors_are_no_division() {
        let mut memory = Memory::default();
        memory.add(&[1.0], &[0.0], 0.0);
        memory.add(&[3.0], &[0.5], 0.0);
        assert_eq!(memory.mean().unwrap(), [3.0]);
        memory.add(&[5.0], &[0.0], 0.5);
        assert!(memory.mean().unwrap()[0].is_finite());
    }
}
