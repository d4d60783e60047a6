//! Architecture metrics `mad-score` and `efficient-score`, closed formulas of a structure.
//!
//! With `T_j` the sum of the units' log-std entropies from the image to the end of stage `j`,
//! `c_j` its channels and `r_j` the side of its map (notation of [`nashost_tinynas::stage`]),
//!
//! ```text
//! deepmad   Σ_j α_j (ln c_j + ln r_j²) T_j  −  β Q(L)
//! madnas    Σ_j α_j (T_j + ln c_j)
//! ρ         max_j D_j exp(−2 T_j / D_j)
//! ```
//!
//! `Q` punishes uneven numbers of units `L` of the super-blocks; see [`Objective`].

mod efficient;
mod evaluate;

use std::time::Instant;

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, Score, ScoreContext},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use efficient::{EfficientScore, NoOptions};
pub use evaluate::{Evaluator, Parts, Undefined, uneven};

/// Which formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Entropy times the logarithm of the output volume, less the depth penalty (DeepMAD).
    #[default]
    Deepmad,
    /// Entropy plus the logarithm of the channels (MAE-DET, and the `…-like` networks); has no
    /// penalty.
    Madnas,
}

/// Which depth penalty `Q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// `exp(std)` as in the official code: over all super-blocks, but without the first two in
    /// `k1kxk1` (which must have five) and without the first in `kxkx`. In `k1kxk1` the first two
    /// depths are so free of cost that the best structures keep them at 1.
    Official,
    /// `exp(std)` over all super-blocks but the first, which is bounded anyway. What the official
    /// code's comments say it does.
    #[default]
    Repaired,
    /// `exp(Var)` over all super-blocks, as published. The published networks were not found
    /// with it: it would cost them more than 10⁹.
    Paper,
}

/// How the side of the map is followed through squeeze-and-excitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SeMaps {
    /// Every map after an excitation counts as 1×1, as in the official code.
    Official,
    /// As the maps are.
    #[default]
    Repaired,
}

/// Configuration of [`MadScore`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which formula.
    pub variant: Variant,
    /// Which depth penalty; `deepmad` only.
    pub objective: Objective,
    /// Weights `α` of the stages (`multi_block_ratio`), one per stage of the structures. By
    /// default `[1, 1, 1, 1, 8]` for `deepmad` and `[0, 0, 0, 0, 1]` for `madnas`.
    #[schemars(length(min = 1))]
    pub stage_weights: Option<Vec<f64>>,
    /// Weight `β` of the depth penalty (`depth_penalty_ratio`); `deepmad` only.
    pub depth_penalty: f64,
    /// Exponent of channels in the entropy (`alpha1`); `deepmad` only.
    pub channel_exponent: f64,
    /// Exponent of kernels in the entropy (`alpha2`); `deepmad` only.
    pub kernel_exponent: f64,
    /// Side of the images that the score is meant for; the run's by default. The official search
    /// always takes 224, whatever it searches for.
    #[schemars(range(min = 1, max = 65_536))]
    pub resolution: Option<u32>,
    /// How the side of the map is followed through squeeze-and-excitation; `deepmad` only.
    pub se_maps: SeMaps,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            variant: Variant::Deepmad,
            objective: Objective::Repaired,
            stage_weights: None,
            depth_penalty: 10.0,
            channel_exponent: 1.0,
            kernel_exponent: 1.0,
            resolution: None,
            se_maps: SeMaps::Repaired,
        }
    }
}

impl Config {
    /// The score that the official search computes for its DeepMAD configurations.
    pub fn official() -> Self {
        Self {
            objective: Objective::Official,
            se_maps: SeMaps::Official,
            resolution: Some(224),
            ..Self::default()
        }
    }

    /// The stage weights, given or by default.
    pub fn stage_weights(&self) -> Vec<f64> {
        self.stage_weights.clone().unwrap_or_else(|| match self.variant {
            Variant::Deepmad => vec![1.0, 1.0, 1.0, 1.0, 8.0],
            Variant::Madnas => vec![0.0, 0.0, 0.0, 0.0, 1.0],
        })
    }

    fn check(&self) -> PluginResult<()> {
        let weights = self.stage_weights();
        if weights.is_empty() || weights.iter().any(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            return Err("`stage_weights` must be numbers of at least 0, one per stage".into());
        }
        let numbers = [
            ("depth_penalty", self.depth_penalty),
            ("channel_exponent", self.channel_exponent),
            ("kernel_exponent", self.kernel_exponent),
        ];
        if let Some((name, value)) =
            numbers.into_iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0))
        {
            return Err(format!("`{name}` is {value}, must be a number of at least 0").into());
        }
        if self.resolution == Some(0) {
            return Err("`resolution` must be at least 1".into());
        }
        Ok(())
    }
}

/// The score of DeepMAD.
#[derive(Debug, Clone)]
pub struct MadScore {
    evaluator: Evaluator,
}

impl Component for MadScore {
    const ID: &'static str = "mad-score";
    const DESCRIPTION: &'static str = "DeepMAD's entropy score of a TinyNAS structure, in closed form.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        config.check()?;
        Ok(Self { evaluator: Evaluator::new(config) })
    }
}

impl ArchitectureMetric for MadScore {
    fn describe(&self) -> ArchitectureMetricInfo {
        ArchitectureMetricInfo { direction: Direction::Higher, unit: String::new(), parallel: true }
    }

    fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> PluginResult<Vec<Score>> {
        let [_, height, width] = context.geometry.input;
        Ok(candidates
            .iter()
            .map(|candidate| exact(|| self.evaluator.score_spec(&candidate.spec, [height, width])))
            .collect())
    }
}

/// Answers an exact value with the time it took.
fn exact(value: impl FnOnce() -> Result<f64, Undefined>) -> Score {
    let start = Instant::now();
    let value = value();
    let seconds = start.elapsed().as_secs_f64();
    let why = value.as_ref().err().map(ToString::to_string);
    Score { value: value.ok(), spread: None, repeats: 1, seconds, why }
}
