//! How sure a number is: bootstrap over patients, and Wilson's interval for proportions.

use std::collections::BTreeMap;

use nashost_plugin_api::{
    metric::Predictions,
    seed::{derive_seed, rng},
};
use nashost_stats::interval::percentile;
use rand::Rng as _;
use rayon::prelude::*;

use super::{MetricSet, PredictionTable};
use crate::error::Result;

/// Probability that an interval leaves out on each side.
const TAIL: f64 = 0.025;

/// Computes 95 % percentile intervals of all overall metrics, by drawing patients with replacement:
/// all images of a patient come or stay away together.
///
/// A resample in which a metric is undefined does not count for it. There is no interval for a metric
/// that is undefined in more than half of them, or with fewer than two patients. The result depends
/// on `seed` alone, not on the number of threads.
///
/// # Errors
///
/// Fails if a metric does.
pub fn bootstrap(
    metrics: &MetricSet<'_>,
    table: &PredictionTable,
    thresholds: &[f64],
    resamples: u32,
    seed: u64,
) -> Result<BTreeMap<String, [f64; 2]>> {
    let patients = table.truth().patients();
    if resamples == 0 || patients.len() < 2 {
        return Ok(BTreeMap::new());
    }
    let draws: Vec<BTreeMap<String, f64>> = (0..resamples)
        .into_par_iter()
        .map(|number| {
            let mut rng = rng(derive_seed(seed, &format!("bootstrap/{number}")));
            let drawn = (0..patients.len()).map(|_| &patients[rng.random_range(0..patients.len())]);
            let images: Vec<usize> = drawn.flatten().copied().collect();
            let labels = table.truth().labels().len();
            let report = metrics.compute(&Predictions {
                labels,
                scores: &gather(table.scores(), labels, &images),
                targets: &gather(table.truth().targets(), labels, &images),
                thresholds,
            })?;
            Ok(report.overall.into_iter().filter_map(|(name, value)| Some((name, value.value?))).collect())
        })
        .collect::<Result<_>>()?;

    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, value) in draws.into_iter().flatten() {
        values.entry(name).or_default().push(value);
    }
    Ok(values
        .into_iter()
        .filter(|(_, values)| 2 * values.len() >= resamples as usize)
        .map(|(name, mut values)| {
            values.sort_unstable_by(f64::total_cmp);
            (name, [percentile(&values, TAIL), percentile(&values, 1.0 - TAIL)])
        })
        .collect())
}

/// The rows `images` of a row-major matrix.
fn gather<T: Copy>(matrix: &[T], columns: usize, images: &[usize]) -> Vec<T> {
    images.iter().flat_map(|&image| &matrix[image * columns..(image + 1) * columns]).copied().collect()
}

/// Returns Wilson's 95 % score interval (1927) of a proportion, for independent trials; `None`
/// without trials or with more successes than trials.
pub fn wilson(successes: u64, trials: u64) -> Option<[f64; 2]> {
    nashost_stats::interval::wilson(successes, trials, 1.0 - 2.0 * TAIL).ok()
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::dataset::Target::{Negative, Positive};

    use super::*;
    use crate::evaluate::{Truth, testing::Decisions};

    /// 60 images of 30 patients; the first `right` patients are predicted right on both.
    fn pairs(right: usize) -> PredictionTable {
        let images = 0..60;
        let truth = Truth::new(
            vec!["finding".to_owned()],
            images.clone().map(|i| format!("image{i}")).collect(),
            images.clone().map(|i| format!("patient{}", i / 2)).collect(),
            images.clone().map(|i| if i % 2 == 0 { Positive } else { Negative }).collect(),
        );
        let score = |i: usize| if i.is_multiple_of(2) == (i / 2 < right) { 0.9 } else { 0.1 };
        PredictionTable::new(truth.unwrap(), images.map(score).collect()).unwrap()
    }

    fn intervals(table: &PredictionTable, resamples: u32, seed: u64) -> BTreeMap<String, [f64; 2]> {
        bootstrap(&MetricSet::new(&[&Decisions]).unwrap(), table, &[0.5], resamples, seed).unwrap()
    }

    #[test]
    fn patients_are_drawn_not_images() {
        let [low, high] = intervals(&pairs(15), 2000, 1)["subset_accuracy"];
        // Exact percentiles of Binomial(30, 1/2) / 30. With 60 independent images they would be 23/60
        // and 37/60.
        let near = |a: f64, b: f64| (a - b).abs() <= 1.0 / 30.0 + 1e-12;
        assert!(near(low, 10.0 / 30.0) && near(high, 20.0 / 30.0), "{low} {high}");
        assert!(low < 22.5 / 60.0 && high > 37.5 / 60.0, "{low} {high}");
    }

    #[test]
    fn the_seed_decides_and_the_number_of_threads_does_not() {
        let table = pairs(13);
        let with_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| intervals(&table, 25, 5))
        };
        assert_eq!(with_threads(1), with_threads(4));
        // Percentiles of few values in steps of 1/30 may agree by chance, but not time and again.
        let first = intervals(&table, 25, 5);
        assert!((6..12).any(|seed| intervals(&table, 25, seed) != first));
    }

    #[test]
    fn certainty_has_no_width_and_one_patient_no_interval() {
        assert_eq!(intervals(&pairs(30), 100, 1)["subset_accuracy"], [1.0, 1.0]);
        let one = crate::evaluate::testing::table(1, &[0.5], &[Positive]);
        assert!(intervals(&one, 100, 1).is_empty());
        assert!(intervals(&pairs(30), 0, 1).is_empty());
    }

    #[test]
    fn wilson_is_scipy_s() {
        // scipy.stats.binomtest(k, n).proportion_ci(method="wilson"), scipy 1.17
        for (k, n, low, high) in WILSON {
            let [got_low, got_high] = wilson(k, n).unwrap();
            assert!(
                (got_low - low).abs() < 1e-9 && (got_high - high).abs() < 1e-9,
                "{k}/{n}: {got_low} {got_high}"
            );
        }
        assert_eq!(wilson(0, 0), None);
        assert_eq!(wilson(2, 1), None);
    }

    const WILSON: [(u64, u64, f64, f64); 5] = [
        (36, 94, 0.29114203155133633, 0.4840044118360465),
        (35, 94, 0.2814318660117187, 0.4732733449563353),
        (13, 17, 0.5273820188043502, 0.9044495567791989),
        (0, 10, 0.0, 0.27753279986288926),
        (10, 10, 0.7224672001371109, 1.0),
    ];
}
