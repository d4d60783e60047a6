//! Recall.

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
    name: "recall",
    formula: "TP / (TP + FN)",
    value: |c| ratio(c.tp, c.positives(), "no positives"),
    averages: Averages::Micro,
};

/// The recall, also called sensitivity or true positive rate.
#[derive(Debug, Clone, Copy)]
pub struct Recall;

impl Component for Recall {
    const ID: &'static str = "recall";
    const DESCRIPTION: &'static str = "Recall (sensitivity): per label, macro and micro.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for Recall {
    fn outputs(&self) -> Vec<OutputInfo> {
        METRIC.outputs()
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        METRIC.evaluate(predictions)
    }
}
