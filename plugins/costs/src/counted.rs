//! Costs that follow from the graph alone.

use std::{marker::PhantomData, time::Instant};

use nashost_plugin_api::{
    component::{Component, PluginResult},
    graph::Costs,
    metric::{ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, Score, ScoreContext},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// A number among the [`Costs`] of a graph.
pub trait Quantity: Send + Sync + 'static {
    /// The name users type.
    const ID: &'static str;
    /// One sentence.
    const DESCRIPTION: &'static str;
    /// Its unit; empty for a plain count.
    const UNIT: &'static str;

    /// Picks the number.
    fn of(costs: &Costs) -> u64;
}

/// The metric `params`.
#[derive(Debug)]
pub struct Params;

impl Quantity for Params {
    const ID: &'static str = "params";
    const DESCRIPTION: &'static str = "Number of trainable values: weights and biases of convolutions, fully connected layers and normalisations.";
    const UNIT: &'static str = "";

    fn of(costs: &Costs) -> u64 {
        costs.params
    }
}

/// The metric `macs`.
#[derive(Debug)]
pub struct Macs;

impl Quantity for Macs {
    const ID: &'static str = "macs";
    const DESCRIPTION: &'static str =
        "Multiply-adds of convolutions and fully connected layers for one image, biases not counted.";
    const UNIT: &'static str = "";

    fn of(costs: &Costs) -> u64 {
        costs.macs
    }
}

/// The metric `activation-memory`.
#[derive(Debug)]
pub struct ActivationMemory;

impl Quantity for ActivationMemory {
    const ID: &'static str = "activation-memory";
    const DESCRIPTION: &'static str = "Bytes of fp32 values alive at once while one image passes through: the image and \
         every layer's answer until its last reader ran.";
    const UNIT: &'static str = "bytes";

    fn of(costs: &Costs) -> u64 {
        4 * costs.peak_activations
    }
}

/// Which way a count is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// Small is good: a cost.
    #[default]
    Lower,
    /// Large is good: a control for scores, many of which are said to measure little else.
    Higher,
}

/// Configuration of [`Counted`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CountedConfig {
    /// Which way the search goes; budgets do not look at it.
    pub better: Better,
}

/// An architecture metric that answers `Q`.
#[derive(Debug)]
pub struct Counted<Q> {
    better: Better,
    quantity: PhantomData<Q>,
}

impl<Q: Quantity> Component for Counted<Q> {
    const ID: &'static str = Q::ID;
    const DESCRIPTION: &'static str = Q::DESCRIPTION;
    type Config = CountedConfig;

    fn create(config: CountedConfig) -> PluginResult<Self> {
        Ok(Self { better: config.better, quantity: PhantomData })
    }
}

impl<Q: Quantity> ArchitectureMetric for Counted<Q> {
    fn describe(&self) -> ArchitectureMetricInfo {
        let direction = match self.better {
            Better::Lower => Direction::Lower,
            Better::Higher => Direction::Higher,
        };
        ArchitectureMetricInfo { direction, unit: Q::UNIT.to_owned(), parallel: true }
    }

    fn score(&self, candidates: &[Candidate], _: &ScoreContext) -> PluginResult<Vec<Score>> {
        let score = |candidate: &Candidate| {
            let start = Instant::now();
            let costs = candidate.graph.costs();
            Score {
                value: costs.as_ref().ok().map(|costs| Q::of(costs) as f64),
                spread: None,
                repeats: 1,
                seconds: start.elapsed().as_secs_f64(),
                why: costs.err().map(|error| error.to_string()),
            }
        };
        Ok(candidates.iter().map(score).collect())
    }
}
