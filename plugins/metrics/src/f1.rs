//! F1 score.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{MetricReport, OutputInfo, PredictionMetric, Predictions},
};

use crate::{
    config::NoConfig,
    counts::{Averages, CountMetric},
    report::ratio,
};

const METRIC: CountMetric = CountMetric {
    name: "f1",
    formula: "2·TP / (2·TP + FP + FN)",
    value: |c| ratio(2 * c.tp, c.positives() + c.predicted_positives(), "no positives and none predicted"),
    averages: Averages::Samples,
};

/// The F1 score. A label without positives of which some are predicted has F1 0; it is undefined
/// only if none are predicted either, as in scikit-learn.
#[derive(Debug, Clone, Copy)]
pub struct F1;

impl Component for F1 {
    const ID: &'static str = "f1";
    const DESCRIPTION: &'static str = "F1 score: per label, macro, micro and over samples.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for F1 {
    fn outputs(&self) -> Vec<OutputInfo> {
        METRIC.outputs()
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        METRIC.evaluate(predictions)
    }
}
