//! Intervals of proportions, and percentiles.

use crate::{Result, Undefined, distribution::normal_quantile, error::share};

/// Returns Wilson's score interval (1927) of a proportion of independent cases, at `level` such as 0.95.
///
/// # Errors
///
/// If there is no case, there are more successes than cases, or `level` is not between 0 and 1.
pub fn wilson(successes: u64, cases: u64, level: f64) -> Result<[f64; 2]> {
    share("the level", level)?;
    if cases == 0 || successes > cases {
        return Err(Undefined::Parameter {
            name: "the number of successes",
            value: successes as f64,
            allowed: "at most the number of cases, which is at least one",
        });
    }
    let z = normal_quantile(0.5 + level / 2.0);
    let (n, p) = (cases as f64, successes as f64 / cases as f64);
    let centre = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // Rounding must not move an end away from a certain 0 or 1.
    let low = if successes == 0 { 0.0 } else { (centre - half) / scale };
    let high = if successes == cases { 1.0 } else { (centre + half) / scale };
    Ok([low, high])
}

/// Returns the percentile of sorted values at a share from 0 to 1, linear between neighbours (NumPy's
/// default, type 7 of Hyndman and Fan 1996).
///
/// # Panics
///
/// Panics if `sorted` is empty.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    // Equal neighbours may be infinite.
    if sorted[below] == sorted[above] {
        return sorted[below];
    }
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_needs_cases_and_a_level() {
        assert!(wilson(0, 0, 0.95).is_err() && wilson(2, 1, 0.95).is_err() && wilson(1, 2, 1.0).is_err());
        let [low, high] = wilson(0, 10, 0.95).unwrap();
        assert_eq!(low, 0.0);
        let [mirrored, one] = wilson(10, 10, 0.95).unwrap();
        assert!(one == 1.0 && (mirrored - (1.0 - high)).abs() < 1e-15);
    }

    #[test]
    fn percentiles_are_numpy_s() {
        // numpy.percentile([1, 2, 4, 8], [0, 2.5, 50, 97.5, 100])
        let values = [1.0, 2.0, 4.0, 8.0];
        for (share, expected) in [(0.0, 1.0), (0.025, 1.075), (0.5, 3.0), (0.975, 7.7), (1.0, 8.0)] {
            assert!((percentile(&values, share) - expected).abs() < 1e-12, "{share}");
        }
        assert_eq!(percentile(&[3.0], 0.975), 3.0);
    }
}
