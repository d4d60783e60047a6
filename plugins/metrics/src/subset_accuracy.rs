//! Share of images with the right label set.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{Direction, MetricReport, OutputInfo, PredictionMetric, Predictions},
};

use crate::{config::NoConfig, counts::Confusion, report::overall};

const NAME: &str = "subset_accuracy";

/// The share of images on which every assessed label is right (scikit-learn's multi-label
/// `accuracy_score`).
#[derive(Debug, Clone, Copy)]
pub struct SubsetAccuracy;

impl Component for SubsetAccuracy {
    const ID: &'static str = "subset-accuracy";
    const DESCRIPTION: &'static str = "Share of images on which every assessed label is right.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for SubsetAccuracy {
    fn outputs(&self) -> Vec<OutputInfo> {
        vec![overall(NAME.to_owned(), Direction::Higher, Self::DESCRIPTION.to_owned())]
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        let mut report = MetricReport::default();
        report.overall.insert(NAME.to_owned(), Confusion::of(predictions)?.subset_accuracy());
        Ok(report)
    }
}
