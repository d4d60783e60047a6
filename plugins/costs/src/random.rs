//! A control: random numbers for scores.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, Score, ScoreContext},
    seed::derive_seed,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Configuration of [`Random`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RandomConfig {
    /// Another seed is another ranking of all structures.
    pub seed: u64,
}

/// The metric `random`: a number between 0 and 1 that depends on the structure and the seed alone.
///
/// A control for every other metric: a search cannot learn anything from it, but is under the same
/// budgets and in the same space. Equal structures have equal scores, so that luck cannot be
/// drawn twice.
#[derive(Debug)]
pub struct Random {
    seed: u64,
}

impl Component for Random {
    const ID: &'static str = "random";
    const DESCRIPTION: &'static str =
        "A control: a random number between 0 and 1 for each structure, the same whenever it is asked for.";
    type Config = RandomConfig;

    fn create(config: RandomConfig) -> PluginResult<Self> {
        Ok(Self { seed: config.seed })
    }
}

impl ArchitectureMetric for Random {
    fn describe(&self) -> ArchitectureMetricInfo {
        ArchitectureMetricInfo { direction: Direction::Higher, unit: String::new(), parallel: true }
    }

    fn score(&self, candidates: &[Candidate], _: &ScoreContext) -> PluginResult<Vec<Score>> {
        let score = |candidate: &Candidate| {
            // 53 random bits, as many as a double holds below 1.
            let bits = derive_seed(self.seed, &candidate.spec.to_string()) >> 11;
            let value = Some(bits as f64 / (1_u64 << 53) as f64);
            Score { value, spread: None, repeats: 1, seconds: 0.0, why: None }
        };
        Ok(candidates.iter().map(score).collect())
    }
}
