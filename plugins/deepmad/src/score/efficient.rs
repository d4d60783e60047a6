//! Architecture metric `efficient-score`: the effectiveness ρ, depth over mean width.

use nashost_plugin_api::{
    architecture::Spec,
    component::{Component, PluginResult},
    metric::{ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, Score, ScoreContext},
};
use nashost_tinynas::stage::efficient_score;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Undefined, evaluate::structure, exact};

/// A configuration without keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}

/// The effectiveness of DeepMAD, usually a budget.
#[derive(Debug, Clone)]
pub struct EfficientScore;

impl Component for EfficientScore {
    const ID: &'static str = "efficient-score";
    const DESCRIPTION: &'static str =
        "DeepMAD's effectiveness ρ of a TinyNAS structure: depth over mean width, at the worst stage.";
    type Config = NoOptions;

    fn create(_: NoOptions) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl ArchitectureMetric for EfficientScore {
    fn describe(&self) -> ArchitectureMetricInfo {
        ArchitectureMetricInfo { direction: Direction::Lower, unit: String::new(), parallel: true }
    }

    fn score(&self, candidates: &[Candidate], _: &ScoreContext) -> PluginResult<Vec<Score>> {
        Ok(candidates.iter().map(|candidate| exact(|| effectiveness(&candidate.spec))).collect())
    }
}

fn effectiveness(spec: &Spec) -> Result<f64, Undefined> {
    let structure = structure(spec)?;
    efficient_score(&structure).map_err(|class| Undefined::Class { class, method: "get_width" })
}
