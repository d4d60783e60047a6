//! Precision.

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
    name: "precision",
    formula: "TP / (TP + FP)",
    value: |c| ratio(c.tp, c.predicted_positives(), "no predicted positives"),
    averages: Averages::Micro,
};

/// The precision, also called positive predictive value.
#[derive(Debug, Clone, Copy)]
pub struct Precision;

impl Component for Precision {
    const ID: &'static str = "precision";
    const DESCRIPTION: &'static str = "Precision (positive predictive value): per label, macro and micro.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for Precision {
    fn outputs(&self) -> Vec<OutputInfo> {
        METRIC.outputs()
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        METRIC.evaluate(predictions)
    }
}
