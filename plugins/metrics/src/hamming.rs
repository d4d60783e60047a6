//! Hamming loss and accuracy per label.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{Direction, MetricReport, OutputInfo, PredictionMetric, Predictions},
};

use crate::{
    config::NoConfig,
    counts::{Averages, Confusion, CountMetric},
    report::{overall, ratio, supported},
};

const LABEL_ACCURACY: CountMetric = CountMetric {
    name: "label_accuracy",
    formula: "(TP + TN) / (TP + FP + TN + FN)",
    value: |c| ratio(c.correct(), c.total(), "no image was assessed"),
    averages: Averages::Macro,
};

const LOSS: &str = "hamming_loss";

/// The share of wrong labels, over all images and labels and per label.
///
/// `macro_label_accuracy` is what MedMNIST calls ACC; with rare findings it is high for a model
/// that finds nothing.
#[derive(Debug, Clone, Copy)]
pub struct Hamming;

impl Component for Hamming {
    const ID: &'static str = "hamming";
    const DESCRIPTION: &'static str = "Hamming loss, and accuracy per label and macro.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for Hamming {
    fn outputs(&self) -> Vec<OutputInfo> {
        let mut outputs = LABEL_ACCURACY.outputs();
        outputs.push(overall(
            LOSS.to_owned(),
            Direction::Lower,
            "Wrong labels over assessed labels, of all images together".to_owned(),
        ));
        outputs
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        let confusion = Confusion::of(predictions)?;
        let mut report = LABEL_ACCURACY.report(&confusion);
        let all = confusion.pooled();
        let loss = ratio(all.total() - all.correct(), all.total(), "no image has an assessed label");
        report.overall.insert(LOSS.to_owned(), supported(loss, confusion.images.len() as u64));
        Ok(report)
    }
}
