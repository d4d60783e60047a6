//! Architecture metric `zen-score`.
//!
//! With fresh N(0, 1) weights, an image batch `x ~ N(0, 1)` and a perturbed one `x + γ·e`,
//! `e ~ N(0, 1)`, both sent through the network in training mode,
//!
//! ```text
//! score = ln mean_batch Σ_{c,h,w} |f(x) − f(x + γe)|  +  Σ_BN ln sqrt(mean_c running_var_c)
//! ```
//!
//! where `f` is the last feature map before pooling. As in the official code, and unlike the
//! paper, the difference is an L1 sum (the paper has a Frobenius norm), and `running_var` starts
//! at 1 and has seen both batches: `0.81 + 0.09·v(x) + 0.1·v(x + γe)` instead of a batch variance.
//! `bn_term = "paper"` takes the batch variance of `x`.

mod evaluate;
mod noise;

use std::time::Instant;

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, Score, ScoreContext},
};
use nashost_plugin_torch::parse_device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Device;

use evaluate::{Arithmetic, Evaluator, Undefined};
use noise::Noise;

/// What happens to the running variances between repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Statistics {
    /// They start at 1 in each repeat, so that repeats are independent draws of one score.
    #[default]
    Fresh,
    /// They go on, as in the official code: the score drifts upwards with the number of repeats.
    Accumulate,
}

/// Which variance the second term takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BnTerm {
    /// The running variance after both batches (official code).
    #[default]
    Official,
    /// The variance of the unperturbed batch (Zen-NAS, algorithm 1).
    Paper,
}

/// Where random numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Generator {
    /// A generator per tensor, the same on every machine; candidates may be scored in parallel.
    #[default]
    Portable,
    /// libtorch's global CPU generator after `manual_seed`, drawn in the order of the official
    /// code, with that code's memory layout: gives its value for the same seed, one candidate at
    /// a time and at half the speed. It disturbs whatever else draws from that generator.
    Libtorch,
}

/// Configuration of [`ZenScore`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Images per batch. The official CIFAR search takes 64, its stand-alone script 16; the noise
    /// of the score comes from the weights, so that a larger batch buys little.
    #[schemars(range(min = 1))]
    pub batch: u32,
    /// Size of the perturbation.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub gamma: f64,
    /// Draws of weights and images; the value is the mean.
    #[schemars(range(min = 1))]
    pub repeats: u32,
    /// Keeps the skip connections. The official search removes them; its stand-alone script keeps
    /// them unless told otherwise.
    pub residual_links: bool,
    /// What happens to the running variances between repeats.
    pub statistics: Statistics,
    /// Which variance the second term takes.
    pub bn_term: BnTerm,
    /// Where random numbers come from.
    pub generator: Generator,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            batch: 16,
            gamma: 1e-2,
            repeats: 1,
            residual_links: false,
            statistics: Statistics::Fresh,
            bn_term: BnTerm::Official,
            generator: Generator::Portable,
        }
    }
}

/// The Zen-Score.
#[derive(Debug, Clone)]
pub struct ZenScore {
    config: Config,
}

impl Component for ZenScore {
    const ID: &'static str = "zen-score";
    const DESCRIPTION: &'static str =
        "Zen-Score: how strongly an untrained network reacts to a perturbed image, without its scale loss.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        if config.batch == 0 || config.repeats == 0 {
            return Err("`batch` and `repeats` must be at least 1".into());
        }
        if !(config.gamma > 0.0 && config.gamma.is_finite()) {
            return Err(format!("`gamma` is {}, must be a positive number", config.gamma).into());
        }
        Ok(Self { config })
    }
}

impl ArchitectureMetric for ZenScore {
    fn describe(&self) -> ArchitectureMetricInfo {
        ArchitectureMetricInfo {
            direction: Direction::Higher,
            unit: String::new(),
            parallel: self.config.generator == Generator::Portable,
        }
    }

    fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> PluginResult<Vec<Score>> {
        let device = parse_device(&context.device)?;
        Ok(candidates.iter().map(|candidate| self.score_one(candidate, device)).collect())
    }
}

impl ZenScore {
    fn score_one(&self, candidate: &Candidate, device: Device) -> Score {
        let start = Instant::now();
        let values = self.values(candidate, device);
        let seconds = start.elapsed().as_secs_f64();
        let repeats = self.config.repeats;
        match values {
            Ok(values) => {
                let (mean, deviation) = moments(&values);
                let spread = (repeats > 1).then_some(deviation);
                Score { value: Some(mean), spread, repeats, seconds, why: None }
            }
            Err(why) => Score { value: None, spread: None, repeats, seconds, why: Some(why.to_string()) },
        }
    }

    /// Returns the score of each repeat.
    fn values(&self, candidate: &Candidate, device: Device) -> Result<Vec<f64>, Undefined> {
        let _no_grad = tch::no_grad_guard();
        let Config { batch, gamma, repeats, statistics, bn_term, .. } = self.config;
        let arithmetic = match self.config.generator {
            Generator::Portable => Arithmetic::Fast,
            Generator::Libtorch => Arithmetic::Official,
        };
        let graph = match self.config.residual_links {
            true => candidate.graph.clone(),
            false => candidate.graph.without_residual_links(),
        };
        let evaluator = Evaluator::new(graph, arithmetic)?;
        let mut noise = Noise::new(self.config.generator, candidate.seed);
        let mut running = evaluator.fresh_statistics();
        let mut values = Vec::new();
        for _ in 0..repeats {
            if statistics == Statistics::Fresh {
                running = evaluator.fresh_statistics();
            }
            let measured = evaluator.measure(&mut noise, batch, gamma, device)?;
            running.update(&measured);
            let variances = match bn_term {
                BnTerm::Official => running.variances(),
                BnTerm::Paper => measured.variances(),
            };
            let scale: f64 = variances.iter().map(|variance| variance.sqrt().ln()).sum();
            let value = measured.difference.ln() + scale;
            if !value.is_finite() {
                return Err(Undefined::NotFinite(value));
            }
            values.push(value);
        }
        Ok(values)
    }
}

/// Mean and standard deviation (ddof 0).
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
