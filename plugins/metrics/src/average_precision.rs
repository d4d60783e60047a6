//! Average precision.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{Direction, MetricReport, OutputInfo, PredictionMetric, Predictions},
};

use crate::{
    cases::{Case, CaseMetric, class_counts, ties},
    config::NoConfig,
    report::Defined,
};

const METRIC: CaseMetric<'_> = CaseMetric {
    name: "average_precision",
    direction: Direction::Higher,
    formula: "Sum over descending scores of precision times the step in recall, without interpolation",
    value: &average_precision,
    micro: true,
};

/// The average precision (scikit-learn's `average_precision_score`). By chance it is the
/// prevalence of the label.
#[derive(Debug, Clone, Copy)]
pub struct AveragePrecision;

impl Component for AveragePrecision {
    const ID: &'static str = "average-precision";
    const DESCRIPTION: &'static str =
        "Average precision (AUPRC as a step function): per label, macro and micro.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for AveragePrecision {
    fn outputs(&self) -> Vec<OutputInfo> {
        METRIC.outputs()
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        METRIC.evaluate(predictions)
    }
}

fn average_precision(cases: &mut [Case]) -> Defined {
    let positives = match class_counts(cases) {
        (0, 0) => return Err("no image was assessed"),
        (0, _) => return Err("no positives"),
        (positives, _) => positives,
    };
    let (mut found, mut predicted, mut sum) = (0, 0, 0.0);
    for tie in ties(cases) {
        found += tie.positives;
        predicted += tie.positives + tie.negatives;
        sum += tie.positives as f64 * (found as f64 / predicted as f64);
    }
    Ok(sum / positives as f64)
}
