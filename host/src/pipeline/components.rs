//! Plugin components in the roles that the rest of the host gives them.

use nashost_plugin_api::{
    abi::foreign::ForeignPredictionMetric,
    component::Kind,
    metric::{MetricReport, OutputInfo, Predictions},
};
use nashost_plugin_torch::GradGuard;
use serde_json::json;

use crate::{error::Result, evaluate::PredictionScorer, plugin::Registry};

/// A prediction metric of a plugin.
pub(crate) struct PluginScorer {
    metric: ForeignPredictionMetric,
    outputs: Vec<OutputInfo>,
}

impl PluginScorer {
    /// Creates the metrics named in `eval.metrics`, or all there are.
    ///
    /// # Errors
    ///
    /// Fails if a metric is unknown or its plugin is refused.
    pub(crate) fn all(registry: &Registry, names: &[String]) -> Result<Vec<Self>> {
        let names = if names.is_empty() { registry.ids(Kind::PredictionMetric) } else { names.to_vec() };
        names
            .iter()
            .map(|name| {
                let metric = registry.prediction_metric(name, &json!({}))?;
                let outputs = metric.outputs()?;
                Ok(Self { metric, outputs })
            })
            .collect()
    }
}

impl PredictionScorer for PluginScorer {
    fn id(&self) -> &str {
        self.metric.id()
    }

    fn outputs(&self) -> Vec<OutputInfo> {
        self.outputs.clone()
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> Result<MetricReport> {
        let _grad = GradGuard::save();
        Ok(self.metric.evaluate(predictions)?)
    }
}
