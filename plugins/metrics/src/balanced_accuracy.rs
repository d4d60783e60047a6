//! Balanced accuracy.

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
    name: "balanced_accuracy",
    formula: "(TP / (TP + FN) + TN / (TN + FP)) / 2",
    value: |c| {
        let recall = ratio(c.tp, c.positives(), "no positives")?;
        let specificity = ratio(c.tn, c.negatives(), "no negatives")?;
        Ok((recall + specificity) / 2.0)
    },
    averages: Averages::Macro,
};

/// The mean of recall and specificity; undefined if one of them is.
#[derive(Debug, Clone, Copy)]
pub struct BalancedAccuracy;

impl Component for BalancedAccuracy {
    const ID: &'static str = "balanced-accuracy";
    const DESCRIPTION: &'static str =
        "Balanced accuracy, the mean of recall and specificity: per label and macro.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for BalancedAccuracy {
    fn outputs(&self) -> Vec<OutputInfo> {
        METRIC.outputs()
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        METRIC.evaluate(predictions)
    }
}
