//! The components.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use nashost_plugin_api::{
    architecture::Geometry,
    component::{Component, PluginResult},
    graph::Graph,
    metric::{ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, Score, ScoreContext},
    sdk,
    seed::derive_seed,
};
use nashost_plugin_torch::parse_device;
use schemars::JsonSchema;
use serde::Deserialize;
use tch::Device;

use crate::{
    jacov, naswot, network, synflow,
    undefined::Undefined,
    vote::{REFERENCES, Scale, Scales, reference},
};

/// What users may set of a score with a batch of images.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// Images in a batch. Scores of different batch sizes cannot be compared.
    #[schemars(range(min = 2))]
    pub batch: u32,
    /// Draws of weights and images; the score is their mean, its spread their deviation.
    #[schemars(range(min = 1))]
    pub repeats: u32,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { batch: 32, repeats: 1 }
    }
}

/// What users may set of `synflow`.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RepeatConfig {
    /// Draws of weights; the score is their mean, its spread their deviation.
    #[schemars(range(min = 1))]
    pub repeats: u32,
}

impl Default for RepeatConfig {
    fn default() -> Self {
        Self { repeats: 1 }
    }
}

fn check(batch: u32, repeats: u32) -> PluginResult<()> {
    match (batch, repeats) {
        (0 | 1, _) => Err("`batch` is at least 2: images are compared with each other".into()),
        (_, 0) => Err("`repeats` is at least 1".into()),
        _ => Ok(()),
    }
}

const INFO: ArchitectureMetricInfo =
    ArchitectureMetricInfo { direction: Direction::Higher, unit: String::new(), parallel: true };

/// Scores each candidate with `value`, which is given the seed of the repeat.
fn score_all(
    candidates: &[Candidate],
    context: &ScoreContext,
    repeats: u32,
    value: impl Fn(&Graph, u64, Device) -> Result<f64, Undefined>,
) -> PluginResult<Vec<Score>> {
    let device = parse_device(&context.device)?;
    let mut scores = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        sdk::check_cancelled()?;
        let start = Instant::now();
        let seed = |repeat| derive_seed(candidate.seed, &format!("repeat/{repeat}"));
        let values: Result<Vec<f64>, _> =
            (0..repeats).map(|repeat| value(&candidate.graph, seed(repeat), device)).collect();
        let seconds = start.elapsed().as_secs_f64();
        scores.push(match values {
            Ok(values) => {
                let n = values.len() as f64;
                let mean = values.iter().sum::<f64>() / n;
                let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
                let spread = (repeats > 1).then(|| variance.sqrt());
                Score { value: Some(mean), spread, repeats, seconds, why: None }
            }
            Err(why) => Score { value: None, spread: None, repeats, seconds, why: Some(why.to_string()) },
        });
    }
    Ok(scores)
}

fn naswot_of(graph: &Graph, batch: u32, seed: u64, device: Device) -> Result<f64, Undefined> {
    let network = network::without_dropout(graph)?;
    let weights = network.initialize(derive_seed(seed, "weights")).to_device(device);
    naswot::score(&network, &weights, &network::images(&network, batch, seed, device))
}

fn jacov_of(graph: &Graph, batch: u32, seed: u64, device: Device) -> Result<f64, Undefined> {
    let network = network::without_dropout(graph)?;
    let weights = network.initialize(derive_seed(seed, "weights")).to_device(device);
    jacov::score(&network, &weights, &network::images(&network, batch, seed, device))
}

fn synflow_of(graph: &Graph, seed: u64, device: Device) -> Result<f64, Undefined> {
    let network = network::linear_flow(graph)?;
    let weights = network.initialize(derive_seed(seed, "weights"));
    synflow::score(&network, &weights, device)
}

/// The metric `naswot`.
#[derive(Debug, Clone, Copy)]
pub struct Naswot(BatchConfig);

impl Component for Naswot {
    const ID: &'static str = "naswot";
    const DESCRIPTION: &'static str = "NASWOT: how differently the ReLUs answer to different images";
    type Config = BatchConfig;

    fn create(config: BatchConfig) -> PluginResult<Self> {
        check(config.batch, config.repeats)?;
        Ok(Self(config))
    }
}

impl ArchitectureMetric for Naswot {
    fn describe(&self) -> ArchitectureMetricInfo {
        INFO
    }

    fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> PluginResult<Vec<Score>> {
        let BatchConfig { batch, repeats } = self.0;
        score_all(candidates, context, repeats, |graph, seed, device| naswot_of(graph, batch, seed, device))
    }
}

/// The metric `jacov`.
#[derive(Debug, Clone, Copy)]
pub struct Jacov(BatchConfig);

impl Component for Jacov {
    const ID: &'static str = "jacov";
    const DESCRIPTION: &'static str = "Jacobian covariance: how differently images move the answer";
    type Config = BatchConfig;

    fn create(config: BatchConfig) -> PluginResult<Self> {
        check(config.batch, config.repeats)?;
        Ok(Self(config))
    }
}

impl ArchitectureMetric for Jacov {
    fn describe(&self) -> ArchitectureMetricInfo {
        INFO
    }

    fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> PluginResult<Vec<Score>> {
        let BatchConfig { batch, repeats } = self.0;
        score_all(candidates, context, repeats, |graph, seed, device| jacov_of(graph, batch, seed, device))
    }
}

/// The metric `synflow`.
#[derive(Debug, Clone, Copy)]
pub struct Synflow(RepeatConfig);

impl Component for Synflow {
    const ID: &'static str = "synflow";
    const DESCRIPTION: &'static str = "SynFlow: how much flows through the absolute weights (logarithm)";
    type Config = RepeatConfig;

    fn create(config: RepeatConfig) -> PluginResult<Self> {
        check(2, config.repeats)?;
        Ok(Self(config))
    }
}

impl ArchitectureMetric for Synflow {
    fn describe(&self) -> ArchitectureMetricInfo {
        INFO
    }

    fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> PluginResult<Vec<Score>> {
        score_all(candidates, context, self.0.repeats, synflow_of)
    }
}

/// The metric `vote`.
#[derive(Debug)]
pub struct Vote {
    config: BatchConfig,
    scales: Mutex<Scales>,
}

impl Component for Vote {
    const ID: &'static str = "vote";
    const DESCRIPTION: &'static str = "naswot, jacov and synflow together, each among reference networks";
    type Config = BatchConfig;

    fn create(config: BatchConfig) -> PluginResult<Self> {
        check(config.batch, config.repeats)?;
        Ok(Self { config, scales: Mutex::default() })
    }
}

impl Vote {
    fn members(&self, graph: &Graph, seed: u64, device: Device) -> Result<[f64; 3], Undefined> {
        let batch = self.config.batch;
        Ok([
            naswot_of(graph, batch, seed, device)?,
            jacov_of(graph, batch, seed, device)?,
            synflow_of(graph, seed, device)?,
        ])
    }

    /// The scales of the members at a geometry; they are measured once.
    fn scales(&self, geometry: &Geometry, name: &str, device: Device) -> PluginResult<[Scale; 3]> {
        let key = ((geometry.input, geometry.outputs), name.to_owned());
        // A panic of another holder leaves a map without the scales that it was measuring.
        let mut scales = self.scales.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = scales.get(&key) {
            return Ok(*known);
        }
        let mut scores = [const { Vec::new() }; 3];
        for index in 0..REFERENCES {
            sdk::check_cancelled()?;
            let graph = reference(index, geometry)?;
            let members = self.members(&graph, derive_seed(index, "vote/seed"), device)?;
            scores.iter_mut().zip(members).for_each(|(scores, score)| scores.push(score));
        }
        let measured: Option<Vec<Scale>> = scores.into_iter().map(Scale::of).collect();
        let measured = measured.and_then(|scales| scales.try_into().ok());
        let measured: [Scale; 3] =
            measured.ok_or("the reference networks have no scale at this geometry; raise `batch`")?;
        scales.insert(key, measured);
        Ok(measured)
    }
}

impl ArchitectureMetric for Vote {
    fn describe(&self) -> ArchitectureMetricInfo {
        INFO
    }

    fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> PluginResult<Vec<Score>> {
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let scales = self.scales(&context.geometry, &context.device, parse_device(&context.device)?)?;
        score_all(candidates, context, self.config.repeats, |graph, seed, device| {
            let members = self.members(graph, seed, device)?;
            Ok(scales.iter().zip(members).map(|(scale, score)| scale.place(score)).sum())
        })
    }
}
