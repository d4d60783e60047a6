//! Brier score.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{Direction, MetricReport, OutputInfo, PredictionMetric, Predictions},
};

use crate::{
    cases::{Case, CaseMetric},
    config::NoConfig,
    report::Defined,
};

const METRIC: CaseMetric<'_> = CaseMetric {
    name: "brier",
    direction: Direction::Lower,
    formula: "Mean squared difference of the positive probability and the truth (1 or 0)",
    value: &brier,
    micro: false,
};

/// The Brier score of each label (scikit-learn's `brier_score_loss`).
#[derive(Debug, Clone, Copy)]
pub struct Brier;

impl Component for Brier {
    const ID: &'static str = "brier";
    const DESCRIPTION: &'static str = "Brier score of the positive probability: per label and macro.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for Brier {
    fn outputs(&self) -> Vec<OutputInfo> {
        METRIC.outputs()
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        METRIC.evaluate(predictions)
    }
}

fn brier(cases: &mut [Case]) -> Defined {
    if cases.is_empty() {
        return Err("no image was assessed");
    }
    let sum: f64 = cases.iter().map(|case| (case.score - f64::from(u8::from(case.positive))).powi(2)).sum();
    Ok(sum / cases.len() as f64)
}
