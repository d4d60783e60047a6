//! Effect sizes of two independent samples that use only their order.

use serde::Serialize;

use crate::{
    Result,
    distribution::normal_quantile,
    error::{at_least, ordered, share},
    rank::Ranks,
};

/// How far one sample lies above another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Dominance {
    /// Cliff's δ (1993): P(x > y) − P(x < y), from −1 to 1.
    pub cliffs_delta: f64,
    /// Vargha's and Delaney's A₁₂ (2000): P(x > y) + P(x = y) / 2, from 0 to 1.
    pub a12: f64,
    /// Interval of δ; none if a sample has a single value.
    pub delta_interval: Option<[f64; 2]>,
}

impl Dominance {
    /// Interval of A₁₂.
    pub fn a12_interval(&self) -> Option<[f64; 2]> {
        self.delta_interval.map(|bounds| bounds.map(|bound| (bound + 1.0) / 2.0))
    }
}

/// Computes Cliff's δ and A₁₂ of `x` over `y`, with Cliff's asymmetric interval of δ at `level` (Cliff
/// 1996; Feng and Cliff 2004, eq. 8). If one sample lies wholly above the other, where the sample
/// variance is 0, the interval is the one for |δ| = 1 of the same source.
///
/// # Errors
///
/// If a sample is empty or has a NaN, or `level` is not between 0 and 1.
pub fn dominance(x: &[f64], y: &[f64], level: f64) -> Result<Dominance> {
    at_least("the first sample", x.len(), 1)?;
    at_least("the second sample", y.len(), 1)?;
    ordered("the first sample", x)?;
    ordered("the second sample", y)?;
    share("the level", level)?;
    let (n1, n2) = (x.len() as f64, y.len() as f64);
    let rows = row_dominance(x, y);
    let columns: Vec<f64> = row_dominance(y, x).iter().map(|d| -d).collect();
    let delta = rows.iter().sum::<f64>() / n1;
    let delta_interval = (x.len() > 1 && y.len() > 1).then(|| {
        let z = normal_quantile(0.5 + level / 2.0);
        if delta.abs() == 1.0 {
            let few = n1.min(n2);
            let edge = (few - z * z) / (few + z * z);
            return if delta > 0.0 { [edge, 1.0] } else { [-1.0, -edge] };
        }
        let square = |means: &[f64]| means.iter().map(|d| (d - delta).powi(2)).sum::<f64>();
        // Σ (d − δ)² over all cells d of −1, 0, 1, whose mean is δ: the untied ones less n₁ n₂ δ².
        let cells = (n1 * n2 - ties(x, y) as f64) - n1 * n2 * delta * delta;
        let unbiased = (n2 * n2 * square(&rows) + n1 * n1 * square(&columns) - cells)
            / (n1 * n2 * (n1 - 1.0) * (n2 - 1.0));
        // The unbiased variance may be negative; this is its least possible value.
        let variance = unbiased.max((1.0 - delta * delta) / (n1 * n2 - 1.0));
        let middle = delta - delta.powi(3);
        let half = z * variance.sqrt() * ((1.0 - delta * delta).powi(2) + z * z * variance).sqrt();
        let scale = 1.0 - delta * delta + z * z * variance;
        [((middle - half) / scale).max(-1.0), ((middle + half) / scale).min(1.0)]
    });
    Ok(Dominance { cliffs_delta: delta, a12: (delta + 1.0) / 2.0, delta_interval })
}

/// For each x, the share of `y` below it minus the share above it.
fn row_dominance(x: &[f64], y: &[f64]) -> Vec<f64> {
    let mut sorted = y.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let row = |x: &f64| {
        let below = sorted.partition_point(|y| y < x);
        let above = sorted.len() - sorted.partition_point(|y| y <= x);
        (below as f64 - above as f64) / sorted.len() as f64
    };
    x.iter().map(row).collect()
}

/// Number of pairs of equal values.
fn ties(x: &[f64], y: &[f64]) -> u64 {
    let mut sorted = y.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let equal = |x: &f64| sorted.partition_point(|y| y <= x) - sorted.partition_point(|y| y < x);
    x.iter().map(|x| equal(x) as u64).sum()
}

/// Returns the rank-biserial correlation of paired differences: the share of the rank sum on the
/// positive side minus that on the negative (Kerby 2014), 0 if all are zero.
///
/// # Errors
///
/// If there is no difference, or a NaN.
pub fn matched_rank_biserial(differences: &[f64]) -> Result<f64> {
    at_least("the list of differences", differences.len(), 1)?;
    ordered("the differences", differences)?;
    let moved: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let ranks = Ranks::of(&moved.iter().map(|d| d.abs()).collect::<Vec<_>>()).ranks;
    let all: f64 = ranks.iter().sum();
    let signed: f64 = moved.iter().zip(&ranks).map(|(d, rank)| d.signum() * rank).sum();
    Ok(if all == 0.0 { 0.0 } else { signed / all })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Alternative, Method, mann_whitney::mann_whitney};

    #[test]
    fn full_dominance_has_an_interval_that_knows_the_sample_size() {
        let found = dominance(&[4.0, 5.0, 6.0, 7.0, 8.0], &[0.0, 1.0, 2.0, 3.0, 3.5], 0.95).unwrap();
        assert_eq!((found.cliffs_delta, found.a12), (1.0, 1.0));
        let [low, high] = found.delta_interval.unwrap();
        // (5 − 1.96²) / (5 + 1.96²)
        assert!((low - 0.131_035_1).abs() < 1e-6 && high == 1.0, "{low}");
        assert_eq!(dominance(&[1.0], &[2.0, 3.0], 0.95).unwrap().delta_interval, None);
    }

    #[test]
    fn samples_of_many_runs_take_no_time() {
        // Cell by cell it would be 4 · 10¹⁰ of them.
        let x: Vec<f64> = (0..200_000).map(|i| f64::from(i % 1000)).collect();
        let found = dominance(&x, &x, 0.95).unwrap();
        assert!(found.cliffs_delta.abs() < 1e-12);
        let [low, high] = found.delta_interval.unwrap();
        assert!(-0.01 < low && low < 0.0 && (low + high).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn delta_is_what_mann_whitney_counts(
            x in prop::collection::vec((-9i32..9).prop_map(f64::from), 2..15),
            y in prop::collection::vec((-9i32..9).prop_map(f64::from), 2..15),
        ) {
            let found = dominance(&x, &y, 0.95).unwrap();
            let test = mann_whitney(&x, &y, Alternative::TwoSided, Method::Auto, true).unwrap();
            let pairs = (x.len() * y.len()) as f64;
            prop_assert!((found.cliffs_delta - (test.u1 - test.u2) / pairs).abs() < 1e-12);
            let [low, high] = found.delta_interval.unwrap();
            prop_assert!(-1.0 <= low && low <= found.cliffs_delta + 1e-12);
            prop_assert!(found.cliffs_delta - 1e-12 <= high && high <= 1.0);
            let equal = x.iter().flat_map(|x| y.iter().filter(move |y| x == *y)).count();
            prop_assert_eq!(ties(&x, &y), equal as u64);
            let back = dominance(&y, &x, 0.95).unwrap();
            let [back_low, back_high] = back.delta_interval.unwrap();
            prop_assert!((back.cliffs_delta + found.cliffs_delta).abs() < 1e-12);
            prop_assert!((back_low + high).abs() < 1e-9 && (back_high + low).abs() < 1e-9);
        }
    }
}
