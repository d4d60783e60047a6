//! Metrics that change the state of torch on the thread that trains.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{MetricReport, OutputInfo, PredictionMetric, Predictions},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// No settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {}

/// Leaves the thread without gradients.
pub struct GradThief;

/// Sets torch's generator to where it was before.
pub struct Reseeder;

impl Component for GradThief {
    const ID: &'static str = "grad-thief";
    const DESCRIPTION: &'static str = "Leaves the thread without gradients.";
    type Config = Config;

    fn create(_: Config) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for GradThief {
    fn outputs(&self) -> Vec<OutputInfo> {
        Vec::new()
    }

    fn evaluate(&self, _: &Predictions<'_>) -> PluginResult<MetricReport> {
        // The guard would give them back when it goes.
        std::mem::forget(tch::no_grad_guard());
        Ok(MetricReport::default())
    }
}

impl Component for Reseeder {
    const ID: &'static str = "reseeder";
    const DESCRIPTION: &'static str = "Sets torch's generator back.";
    type Config = Config;

    fn create(_: Config) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for Reseeder {
    fn outputs(&self) -> Vec<OutputInfo> {
        Vec::new()
    }

    fn evaluate(&self, _: &Predictions<'_>) -> PluginResult<MetricReport> {
        tch::manual_seed(7);
        Ok(MetricReport::default())
    }
}

nashost_plugin_api::register!(prediction_metric: GradThief);
nashost_plugin_api::register!(prediction_metric: Reseeder);
