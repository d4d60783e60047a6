//! Independent estimates of the same values, and what follows from them.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use crate::space::{CellType, EDGES, NODES, OP_COUNT, Player, edges_into};

/// Independent, equally distributed estimates of all players' values.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sampled {
    samples: Vec<Vec<f64>>,
}

impl Sampled {
    /// Adds one estimate of all values.
    pub fn push(&mut self, sample: Vec<f64>) {
        self.samples.push(sample);
    }

    /// Returns the number of estimates.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Returns the estimates, by sample.
    pub fn samples(&self) -> &[Vec<f64>] {
        &self.samples
    }

    /// Returns the means.
    pub fn mean(&self) -> Vec<f64> {
        self.columns(|column| column.iter().sum::<f64>() / column.len() as f64)
    }

    /// Returns the standard errors of the means; infinite if there are fewer than two estimates.
    pub fn error(&self) -> Vec<f64> {
        self.columns(|column| mean_and_error(column).1)
    }

    /// Returns by how many standard errors an interval of this confidence reaches to either side:
    /// Student's quantile. `None` if there are fewer than two estimates.
    pub fn quantile(&self, confidence: f64) -> Option<f64> {
        let freedom = self.len().checked_sub(1).filter(|&freedom| freedom > 0)?;
        let student = StudentsT::new(0.0, 1.0, freedom as f64).ok()?;
        Some(student.inverse_cdf(0.5 + confidence / 2.0))
    }

    fn columns(&self, f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        let players = self.samples.first().map_or(0, Vec::len);
        let column = |player| self.samples.iter().map(|sample| sample[player]).collect::<Vec<_>>();
        (0..players).map(|player| f(&column(player))).collect()
    }

    /// Returns how many edges have a best operation and how many nodes have two best edges that are
    /// told from the others at this confidence, by paired differences; of [`EDGES`] and [`NODES`] of
    /// both cell types. An edge is as good as its best operation is better than its mean one.
    pub fn separated(&self, confidence: f64) -> [usize; 2] {
        let Some(quantile) = self.quantile(confidence) else { return [0, 0] };
        let mean = self.mean();
        let above = |difference: &dyn Fn(&[f64]) -> f64| {
            let differences: Vec<f64> = self.samples.iter().map(|sample| difference(sample)).collect();
            let (mean, error) = mean_and_error(&differences);
            mean > quantile * error
        };
        let mut counts = [0, 0];
        for cell in CellType::ALL {
            let player = |edge, op| Player { cell, edge, op }.index();
            let best =
                |edge| (0..OP_COUNT).max_by(|&a, &b| mean[player(edge, a)].total_cmp(&mean[player(edge, b)]));
            let best: Vec<usize> = (0..EDGES).filter_map(best).collect();
            counts[0] += (0..EDGES)
                .filter(|&edge| {
                    let top = player(edge, best[edge]);
                    let mut others = (0..OP_COUNT).filter(|&op| op != best[edge]);
                    others.all(|op| above(&|sample| sample[top] - sample[player(edge, op)]))
                })
                .count();
            let strength = |sample: &[f64], edge: usize| {
                let sum: f64 = (0..OP_COUNT).map(|op| sample[player(edge, op)]).sum();
                sample[player(edge, best[edge])] - sum / OP_COUNT as f64
            };
            counts[1] += (0..NODES)
                .filter(|&node| {
                    let mut edges: Vec<usize> = edges_into(node).collect();
                    edges.sort_by(|&a, &b| strength(&mean, b).total_cmp(&strength(&mean, a)));
                    edges[2..]
                        .iter()
                        .all(|&weak| above(&|sample| strength(sample, edges[1]) - strength(sample, weak)))
                })
                .count();
        }
        counts
    }
}

/// Returns the mean and its standard error.
pub(super) fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, f64::INFINITY);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0) / n).sqrt())
}
