//! Specificity.

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
    name: "specificity",
    formula: "TN / (TN + FP)",
    value: |c| ratio(c.tn, c.negatives(), "no negatives"),
    averages: Averages::Micro,
};

/// The specificity, also called true negative rate.
#[derive(Debug, Clone, Copy)]
pub struct Specificity;

impl Component for Specificity {
    const ID: &'static str = "specificity";
    const DESCRIPTION: &'static str = "Specificity (true negative rate): per label, macro and micro.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for Specificity {
    fn outputs(&self) -> Vec<OutputInfo> {
        METRIC.outputs()
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        METRIC.evaluate(predictions)
    }
}
