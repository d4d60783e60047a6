//! Architecture metric `zen-score-analytic`: the expected Zen-Score in closed form.
//!
//! Everything that the Zen-Score measures on a plain chain of convolutions, batch normalisations
//! and ReLUs has an expectation over weights and images that can be written down. No network is
//! built, no number drawn; a structure takes microseconds. `docs/zen-score-analytic.md` has the
//! derivation, names the approximations and says how far the values are from measured ones.

mod border;
mod chain;
mod moments;
mod superblock;
mod walk;

use std::time::Instant;

use nashost_plugin_api::{
    component::{Component, PluginResult},
    graph::Graph,
    metric::{ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, Score, ScoreContext},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::score::BnTerm;
use border::Borders;
use walk::Walk;

pub use chain::Undefined;
pub(crate) use superblock::NotSuperBlocks;

/// Configuration of [`ZenScoreAnalytic`]: that of the Zen-Score whose expectation it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Images per batch.
    #[schemars(range(min = 1))]
    pub batch: u32,
    /// Size of the perturbation.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub gamma: f64,
    /// Keeps the skip connections; networks that have any are undefined then.
    pub residual_links: bool,
    /// Which variance the second term takes.
    pub bn_term: BnTerm,
}

impl Default for Config {
    fn default() -> Self {
        Self { batch: 16, gamma: 1e-2, residual_links: false, bn_term: BnTerm::Official }
    }
}

impl Config {
    pub(crate) fn check(&self) -> PluginResult<()> {
        if self.batch == 0 {
            return Err("`batch` must be at least 1".into());
        }
        if !(self.gamma > 0.0 && self.gamma.is_finite()) {
            return Err(format!("`gamma` is {}, must be a positive number", self.gamma).into());
        }
        Ok(())
    }
}

/// Computes analytic Zen-Scores, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Analytic {
    config: Config,
    borders: Borders,
}

impl Analytic {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, borders: Borders::default() }
    }

    /// Scores a network.
    pub(crate) fn graph(&mut self, graph: &Graph) -> Result<f64, Undefined> {
        let layers = if self.config.residual_links {
            chain::layers(graph, self.config.batch)?
        } else {
            chain::layers(&graph.without_residual_links(), self.config.batch)?
        };
        let mut walk = Walk::new(&self.config, graph.input);
        layers.iter().for_each(|layer| walk.layer(layer, &mut self.borders));
        Ok(walk.score())
    }

    /// Scores the network of a super-block structure, given as the JSON text of its spec, for
    /// images of `input`: channels, height, width. Skip connections are left out.
    pub(crate) fn super_blocks(&mut self, spec: &str, input: [usize; 3]) -> Result<f64, NotSuperBlocks> {
        let mut walk = Walk::new(&self.config, input);
        superblock::walk(spec, &mut walk, &mut self.borders)?;
        Ok(walk.score())
    }
}

/// The expected Zen-Score.
#[derive(Debug, Clone)]
pub struct ZenScoreAnalytic {
    config: Config,
}

impl Component for ZenScoreAnalytic {
    const ID: &'static str = "zen-score-analytic";
    const DESCRIPTION: &'static str =
        "The expected Zen-Score of a plain chain, in closed form: nothing is built or drawn.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        config.check()?;
        Ok(Self { config })
    }
}

impl ArchitectureMetric for ZenScoreAnalytic {
    fn describe(&self) -> ArchitectureMetricInfo {
        ArchitectureMetricInfo { direction: Direction::Higher, unit: String::new(), parallel: true }
    }

    fn score(&self, candidates: &[Candidate], _: &ScoreContext) -> PluginResult<Vec<Score>> {
        let mut analytic = Analytic::new(self.config.clone());
        let score = |candidate: &Candidate| {
            let start = Instant::now();
            let value = analytic.graph(&candidate.graph);
            let seconds = start.elapsed().as_secs_f64();
            let why = value.as_ref().err().map(ToString::to_string);
            Score { value: value.ok(), spread: None, repeats: 1, seconds, why }
        };
        Ok(candidates.iter().map(score).collect())
    }
}

#[cfg(test)]
mod tests;
