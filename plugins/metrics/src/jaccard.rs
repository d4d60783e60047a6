//! Jaccard index.

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
    name: "jaccard",
    formula: "TP / (TP + FP + FN)",
    value: |c| ratio(c.tp, c.positives() + c.fp, "no positives and none predicted"),
    averages: Averages::Samples,
};

/// The Jaccard index: intersection over union of true and predicted label sets.
#[derive(Debug, Clone, Copy)]
pub struct Jaccard;

impl Component for Jaccard {
    const ID: &'static str = "jaccard";
    const DESCRIPTION: &'static str = "Jaccard index: per label, macro, micro and over samples.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for Jaccard {
    fn outputs(&self) -> Vec<OutputInfo> {
        METRIC.outputs()
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        METRIC.evaluate(predictions)
    }
}
