//! Judging predictions: tables of scores, thresholds, metrics, trivial baselines, intervals.
//!
//! The path of a number: a model's scores and the [`Truth`] of a part make a [`PredictionTable`];
//! [`choose_thresholds`] looks at the validation part alone; a [`MetricSet`] computes what the metric
//! components answer; [`bootstrap`] says how sure that is; [`fit_baselines`] sends predictors that
//! look at no image down the same path.

mod baseline;
mod interval;
mod metrics;
mod predictions;
#[cfg(test)]
mod testing;
mod threshold;
mod truth;

pub use self::{
    baseline::{Baseline, FittedBaseline, fit_baselines},
    interval::{bootstrap, wilson},
    metrics::{MetricSet, PredictionScorer, evaluate_all},
    predictions::PredictionTable,
    threshold::{LabelThreshold, choose_thresholds, threshold_values},
    truth::Truth,
};
