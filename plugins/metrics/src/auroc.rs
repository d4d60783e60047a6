//! Area under the receiver operating characteristic curve.

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
    name: "auroc",
    direction: Direction::Higher,
    formula: "Area under the ROC curve: the chance that a positive scores above a negative, ties one half",
    value: &auroc,
    micro: true,
};

/// The area under the ROC curve (scikit-learn's `roc_auc_score`).
#[derive(Debug, Clone, Copy)]
pub struct Auroc;

impl Component for Auroc {
    const ID: &'static str = "auroc";
    const DESCRIPTION: &'static str = "Area under the ROC curve: per label, macro and micro.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for Auroc {
    fn outputs(&self) -> Vec<OutputInfo> {
        METRIC.outputs()
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        METRIC.evaluate(predictions)
    }
}

/// The Mann–Whitney form of the area, in whole numbers up to the last division.
fn auroc(cases: &mut [Case]) -> Defined {
    let (positives, negatives) = match class_counts(cases) {
        (0, 0) => return Err("no image was assessed"),
        (0, _) => return Err("no positives"),
        (_, 0) => return Err("no negatives"),
        counts => counts,
    };
    let (mut above, mut half_wins) = (0, 0);
    for tie in ties(cases) {
        half_wins += u128::from(tie.negatives) * u128::from(2 * above + tie.positives);
        above += tie.positives;
    }
    Ok(half_wins as f64 / (2 * u128::from(positives) * u128::from(negatives)) as f64)
}
