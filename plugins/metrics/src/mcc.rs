//! Matthews correlation coefficient.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{MetricReport, OutputInfo, PredictionMetric, Predictions},
};

use crate::{
    config::NoConfig,
    counts::{Averages, CountMetric, Counts},
    report::Defined,
};

const METRIC: CountMetric = CountMetric {
    name: "mcc",
    formula: "(TP·TN − FP·FN) / √((TP + FN)·(TN + FP)·(TP + FP)·(TN + FN))",
    value: mcc,
    averages: Averages::Macro,
};

/// The Matthews correlation coefficient; undefined if truth or predictions are all of one class.
#[derive(Debug, Clone, Copy)]
pub struct Mcc;

impl Component for Mcc {
    const ID: &'static str = "mcc";
    const DESCRIPTION: &'static str = "Matthews correlation coefficient: per label and macro.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for Mcc {
    fn outputs(&self) -> Vec<OutputInfo> {
        METRIC.outputs()
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        METRIC.evaluate(predictions)
    }
}

fn mcc(c: Counts) -> Defined {
    let margins = [
        (c.positives(), "no positives"),
        (c.negatives(), "no negatives"),
        (c.predicted_positives(), "no predicted positives"),
        (c.predicted_negatives(), "no predicted negatives"),
    ];
    if let Some(&(_, reason)) = margins.iter().find(|(count, _)| *count == 0) {
        return Err(reason);
    }
    let covariance = i128::from(c.tp) * i128::from(c.tn) - i128::from(c.fp) * i128::from(c.fneg);
    // Paired so that the roots are exact for perfect predictions.
    let scale = (c.positives() as f64 * c.predicted_positives() as f64).sqrt()
        * (c.negatives() as f64 * c.predicted_negatives() as f64).sqrt();
    // Rounding must not carry the value past ±1.
    Ok((covariance as f64 / scale).clamp(-1.0, 1.0))
}
