//! Metrics over seeds.

use std::collections::{BTreeMap, BTreeSet};

use nashost_plugin_api::metric::{MetricReport, MetricValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A metric over seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Aggregate {
    /// Mean over the seeds where it is defined.
    pub mean: Option<f64>,
    /// Standard deviation over those seeds (ddof 1): how much training varies.
    pub sd: Option<f64>,
    /// 95 % interval from resampling the patients of the test part, its ends averaged over the
    /// seeds: how much a test part of this size can tell.
    pub ci95: Option<[f64; 2]>,
    /// The value of each seed, in the order of the trials.
    pub per_seed: Vec<Option<f64>>,
    /// The interval of each seed.
    pub ci95_per_seed: Vec<Option<[f64; 2]>>,
    /// Number of things the value rests on, as the metric counts them; the least over the seeds.
    pub support: Option<u64>,
    /// Why there is no value, or which seeds or labels the mean leaves out.
    pub why: Option<String>,
}

impl Aggregate {
    fn of(values: &[Option<&MetricValue>], intervals: &[Option<[f64; 2]>]) -> Self {
        let per_seed: Vec<Option<f64>> = values.iter().map(|value| value.and_then(|v| v.value)).collect();
        let defined: Vec<f64> = per_seed.iter().copied().flatten().collect();
        let mean = mean(&defined);
        let sd = mean.filter(|_| defined.len() > 1).map(|mean| {
            let squares: f64 = defined.iter().map(|value| (value - mean).powi(2)).sum();
            (squares / (defined.len() - 1) as f64).sqrt()
        });
        let bounds: Vec<[f64; 2]> = intervals.iter().copied().flatten().collect();
        let end = |side: usize| self::mean(&bounds.iter().map(|bound| bound[side]).collect::<Vec<_>>());
        let reasons: BTreeSet<&str> =
            values.iter().flatten().filter_map(|value| value.why.as_deref()).collect();
        let mut why: Vec<String> = reasons.into_iter().map(str::to_owned).collect();
        if !defined.is_empty() && defined.len() < per_seed.len() {
            why.insert(0, format!("defined for {} of {} seeds", defined.len(), per_seed.len()));
        }
        Self {
            mean,
            sd,
            ci95: end(0).zip(end(1)).map(|(low, high)| [low, high]),
            per_seed,
            ci95_per_seed: intervals.to_vec(),
            support: values.iter().flatten().map(|value| value.support).min(),
            why: (!why.is_empty()).then(|| why.join("; ")),
        }
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The test results of one method, seed by seed.
#[derive(Debug, Default)]
pub(crate) struct Series<'a> {
    reports: Vec<&'a MetricReport>,
    intervals: Vec<&'a BTreeMap<String, [f64; 2]>>,
}

impl<'a> Series<'a> {
    pub(crate) fn push(&mut self, report: &'a MetricReport, intervals: &'a BTreeMap<String, [f64; 2]>) {
        self.reports.push(report);
        self.intervals.push(intervals);
    }

    pub(crate) fn len(&self) -> u64 {
        self.reports.len() as u64
    }

    /// Single values.
    pub(crate) fn overall(&self) -> BTreeMap<String, Aggregate> {
        let names: BTreeSet<&String> = self.reports.iter().flat_map(|report| report.overall.keys()).collect();
        let aggregate = |name: &String| {
            let values: Vec<_> = self.reports.iter().map(|report| report.overall.get(name)).collect();
            let intervals: Vec<_> = self.intervals.iter().map(|all| all.get(name).copied()).collect();
            Aggregate::of(&values, &intervals)
        };
        names.into_iter().map(|name| (name.clone(), aggregate(name))).collect()
    }

    /// Values of the label `index`.
    pub(super) fn label(&self, index: usize) -> BTreeMap<String, Aggregate> {
        let names: BTreeSet<&String> =
            self.reports.iter().flat_map(|report| report.per_label.keys()).collect();
        let aggregate = |name: &String| {
            let value = |report: &&'a MetricReport| report.per_label.get(name)?.get(index);
            let values: Vec<_> = self.reports.iter().map(value).collect();
            Aggregate::of(&values, &vec![None; values.len()])
        };
        names.into_iter().map(|name| (name.clone(), aggregate(name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_averaged_with_the_sample_deviation() {
        let values: Vec<_> = [1.0, 2.0, 4.0].map(|v| MetricValue::new(v, 20)).into();
        let values: Vec<_> = values.iter().map(Some).collect();
        let aggregate = Aggregate::of(&values, &[Some([0.0, 2.0]), Some([1.0, 4.0]), None]);
        assert_eq!(aggregate.mean, Some(7.0 / 3.0));
        // statistics.stdev([1, 2, 4])
        assert!((aggregate.sd.unwrap() - 1.527_525_231_651_946_8).abs() < 1e-15);
        assert_eq!(aggregate.ci95, Some([0.5, 3.0]));
        assert_eq!((aggregate.support, aggregate.why), (Some(20), None));
    }

    #[test]
    fn one_seed_has_no_deviation() {
        let value = MetricValue::new(0.5, 20);
        let aggregate = Aggregate::of(&[Some(&value)], &[None]);
        assert_eq!((aggregate.mean, aggregate.sd, aggregate.ci95), (Some(0.5), None, None));
    }

    #[test]
    fn undefined_is_never_zero_and_says_why() {
        let (defined, undefined) = (MetricValue::new(0.5, 9), MetricValue::undefined(0, "no positive"));
        let none = Aggregate::of(&[Some(&undefined), Some(&undefined)], &[None, None]);
        assert_eq!((none.mean, none.sd), (None, None));
        assert_eq!(none.why.as_deref(), Some("no positive"));
        let some = Aggregate::of(&[Some(&defined), Some(&undefined)], &[None, None]);
        assert_eq!((some.mean, some.per_seed), (Some(0.5), vec![Some(0.5), None]));
        assert_eq!(some.why.as_deref(), Some("defined for 1 of 2 seeds; no positive"));
    }
}
