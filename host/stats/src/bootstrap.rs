//! The bootstrap over clusters: patients are drawn, and all their images come along.

use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    Result, Undefined,
    distribution::{normal_cdf, normal_quantile},
    error::{at_least, share},
    interval::percentile,
};

/// How resamples are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many; at least 1000, for the ends of an interval are far out.
    pub resamples: usize,
    /// Decides all draws, the same on every machine and with any number of threads.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { resamples: 2000, seed: 0 }
    }
}

/// Fewest resamples that are taken.
pub const LEAST: usize = 1000;

/// A statistic, its values in resamples, and its values without each cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bootstrap {
    /// The statistic of the data as they are.
    pub estimate: f64,
    /// Number of clusters.
    pub clusters: usize,
    /// Resamples in which the statistic was undefined; they do not count.
    pub undefined: usize,
    /// Its values in the other resamples, in ascending order.
    #[serde(skip)]
    replicates: Vec<f64>,
    /// Its values without one cluster each, where defined.
    #[serde(skip)]
    jackknife: Vec<f64>,
}

/// Draws `clusters` of rows with replacement and computes `statistic` of the rows of each resample.
///
/// To compare two models, let `statistic` be the difference of both on the same rows: that is the
/// paired bootstrap. A resample in which it answers `None` does not count.
///
/// # Errors
///
/// If there are fewer than two clusters, fewer than [`LEAST`] resamples are wanted, or `statistic` is
/// undefined for the data as they are or in more than half of the resamples.
pub fn bootstrap(
    clusters: &[Vec<usize>],
    settings: Settings,
    statistic: impl Fn(&[usize]) -> Option<f64> + Sync,
) -> Result<Bootstrap> {
    at_least("the list of clusters", clusters.len(), 2)?;
    at_least("the number of resamples", settings.resamples, LEAST)?;
    let gather = |which: &mut dyn Iterator<Item = usize>| -> Vec<usize> {
        which.flat_map(|cluster| clusters[cluster].iter().copied()).collect()
    };
    let all = gather(&mut (0..clusters.len()));
    let none = Undefined::Resamples { undefined: settings.resamples, resamples: settings.resamples };
    let estimate = statistic(&all).ok_or(none)?;
    let replicates = (0..settings.resamples).into_par_iter().filter_map(|number| {
        let mut draws = Draws::new(settings.seed, number);
        statistic(&gather(&mut (0..clusters.len()).map(|_| draws.below(clusters.len()))))
    });
    let replicates: Vec<f64> = replicates.collect();
    let without = (0..clusters.len()).into_par_iter().filter_map(|left_out| {
        statistic(&gather(&mut (0..clusters.len()).filter(|cluster| *cluster != left_out)))
    });
    let jackknife: Vec<f64> = without.collect();
    let undefined = settings.resamples - replicates.len();
    if 2 * undefined > settings.resamples {
        return Err(Undefined::Resamples { undefined, resamples: settings.resamples });
    }
    let mut found = Bootstrap::from_values(estimate, replicates, jackknife)?;
    (found.clusters, found.undefined) = (clusters.len(), undefined);
    Ok(found)
}

/// Numbers of one resample: ChaCha8 with the settings' seed and the resample's own stream.
struct Draws(ChaCha8Rng);

impl Draws {
    fn new(seed: u64, number: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number as u64);
        Self(rng)
    }

    /// A number below `n`, by the high half of a product (Lemire 2019); its bias is below n / 2⁶⁴.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }
}

impl Bootstrap {
    /// Takes values that were computed elsewhere: those of resamples, and those without one cluster
    /// each.
    ///
    /// # Errors
    ///
    /// If there is no replicate, or one is NaN.
    pub fn from_values(estimate: f64, mut replicates: Vec<f64>, jackknife: Vec<f64>) -> Result<Self> {
        at_least("the list of replicates", replicates.len(), 1)?;
        crate::error::ordered("the replicates", &replicates)?;
        replicates.sort_unstable_by(f64::total_cmp);
        Ok(Self { estimate, clusters: jackknife.len(), undefined: 0, replicates, jackknife })
    }

    /// The values in resamples, in ascending order.
    pub fn replicates(&self) -> &[f64] {
        &self.replicates
    }

    /// Returns the percentile interval at `level` (Efron 1979).
    ///
    /// # Errors
    ///
    /// If `level` is not between 0 and 1.
    pub fn percentile(&self, level: f64) -> Result<[f64; 2]> {
        share("the level", level)?;
        let tail = (1.0 - level) / 2.0;
        Ok([percentile(&self.replicates, tail), percentile(&self.replicates, 1.0 - tail)])
    }

    /// Returns the bias-corrected and accelerated interval at `level` (Efron 1987; Efron and Tibshirani
    /// 1993, 14.3), which moves the percentiles by the bias of the median and by the skewness of the
    /// jackknife.
    ///
    /// # Errors
    ///
    /// If `level` is not between 0 and 1, the statistic is undefined without some cluster, or no
    /// cluster matters, or the estimate lies outside of all replicates.
    pub fn bca(&self, level: f64) -> Result<[f64; 2]> {
        share("the level", level)?;
        let n = self.jackknife.len();
        if n < self.clusters {
            return Err(Undefined::TooFew {
                what: "the list of clusters that can be left out",
                found: n,
                needed: self.clusters,
            });
        }
        let mean = self.jackknife.iter().sum::<f64>() / n as f64;
        let sum = |power| self.jackknife.iter().map(|value| (mean - value).powi(power)).sum::<f64>();
        let spread = sum(2);
        if n == 0 || spread == 0.0 {
            return Err(Undefined::NoSpread { what: "the jackknife" });
        }
        let acceleration = sum(3) / (6.0 * spread.powf(1.5));
        let bias = normal_quantile(self.share_below_estimate());
        if bias.is_infinite() {
            return Err(Undefined::NoSpread { what: "the list of replicates around the estimate" });
        }
        let tail = (1.0 - level) / 2.0;
        Ok([tail, 1.0 - tail].map(|share| {
            let z = bias + normal_quantile(share);
            percentile(&self.replicates, normal_cdf(bias + z / (1.0 - acceleration * z)))
        }))
    }

    /// The share of replicates below the estimate, equal ones counting half.
    fn share_below_estimate(&self) -> f64 {
        let below = self.replicates.partition_point(|value| *value < self.estimate);
        let up_to = self.replicates.partition_point(|value| *value <= self.estimate);
        (below + up_to) as f64 / (2 * self.replicates.len()) as f64
    }

    /// Returns the two-sided p of "the statistic is 0": twice the share of replicates on the other side
    /// of 0 or at it, at most 1. With B resamples, one is added on both sides of the fraction, so that
    /// it is never 0 (Davison and Hinkley 1997, 4.2).
    pub fn p_of_zero(&self) -> f64 {
        let up_to = self.replicates.partition_point(|value| *value <= 0.0);
        let from = self.replicates.len() - self.replicates.partition_point(|value| *value < 0.0);
        let tail = (up_to.min(from) + 1) as f64 / (self.replicates.len() + 1) as f64;
        (2.0 * tail).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(values: &[f64]) -> impl Fn(&[usize]) -> Option<f64> + Sync + '_ {
        |rows| Some(rows.iter().map(|&row| values[row]).sum::<f64>() / rows.len() as f64)
    }

    fn singles(n: usize) -> Vec<Vec<usize>> {
        (0..n).map(|row| vec![row]).collect()
    }

    #[test]
    fn the_variance_of_a_mean_is_the_textbook_s() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17)).collect();
        let settings = Settings { resamples: 20_000, seed: 3 };
        let found = bootstrap(&singles(40), settings, mean_of(&values)).unwrap();
        let mean = values.iter().sum::<f64>() / 40.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1600.0;
        let drawn = found.replicates();
        let centre = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let spread = drawn.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / drawn.len() as f64;
        // Four standard errors of the Monte Carlo estimates: σ/√B, and σ²√(2/B).
        assert!((centre - mean).abs() < 4.0 * (variance / 20_000.0).sqrt(), "{centre} {mean}");
        assert!((spread / variance - 1.0).abs() < 4.0 * (2.0 / 20_000.0f64).sqrt(), "{spread} {variance}");
    }

    #[test]
    fn rows_of_a_cluster_come_together() {
        // 30 patients with two equal images each: the interval is that of 30 values, not of 60.
        let values: Vec<f64> = (0..60).map(|row| f64::from(u8::from(row / 2 % 2 == 0))).collect();
        let pairs: Vec<Vec<usize>> = (0..30).map(|patient| vec![2 * patient, 2 * patient + 1]).collect();
        let width = |clusters: &[Vec<usize>]| {
            let found = bootstrap(clusters, Settings::default(), mean_of(&values)).unwrap();
            let [low, high] = found.percentile(0.95).unwrap();
            high - low
        };
        let ratio = width(&pairs) / width(&singles(60));
        // √2 up to the steps of 1/30 and 1/60 that the ends are on.
        assert!((1.2..1.7).contains(&ratio), "{ratio}");
    }

    #[test]
    fn the_seed_decides_and_the_number_of_threads_does_not() {
        let values: Vec<f64> = (0..25).map(|i| f64::from(i % 7)).collect();
        let with = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let settings = Settings { resamples: 1000, seed };
            pool.install(|| bootstrap(&singles(25), settings, mean_of(&values)).unwrap())
        };
        assert_eq!(with(1, 5), with(3, 5));
        assert_ne!(with(1, 5), with(1, 6));
        // The draws are part of the interface: results must repeat with later versions.
        let mut draws = Draws::new(1, 2);
        assert_eq!([(); 6].map(|()| draws.below(100)), DRAWS);
    }

    const DRAWS: [usize; 6] = [87, 68, 33, 51, 96, 44];

    #[test]
    fn what_is_undefined_does_not_count_and_is_counted() {
        let values = [1.0, 0.0, 0.0, 1.0];
        let picky = |rows: &[usize]| {
            let sum: f64 = rows.iter().map(|&row| values[row]).sum();
            (sum > 0.0).then_some(1.0 / sum)
        };
        let found = bootstrap(&singles(4), Settings::default(), picky).unwrap();
        // No positive in four draws: 1 of 16; 2000 × 1/16 with four deviations.
        assert!((82..168).contains(&found.undefined), "{}", found.undefined);
        assert_eq!(found.replicates().len() + found.undefined, 2000);
        let never = bootstrap(&singles(4), Settings::default(), |rows| (rows == [0, 1, 2, 3]).then_some(1.0));
        assert!(matches!(never, Err(Undefined::Resamples { .. })));
        let few = Settings { resamples: 10, seed: 1 };
        assert!(matches!(bootstrap(&singles(4), few, picky), Err(Undefined::TooFew { .. })));
        assert!(matches!(bootstrap(&singles(1), Settings::default(), picky), Err(Undefined::TooFew { .. })));
    }

    #[test]
    fn a_constant_has_no_width_and_no_acceleration() {
        let found = bootstrap(&singles(9), Settings::default(), |_| Some(0.5)).unwrap();
        assert_eq!(found.percentile(0.95), Ok([0.5, 0.5]));
        assert!(matches!(found.bca(0.95), Err(Undefined::NoSpread { .. })));
        assert!((found.p_of_zero() - 2.0 / 2001.0).abs() < 1e-15);
    }
}
