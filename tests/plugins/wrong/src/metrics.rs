//! Metrics that can go wrong.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    dataset::Target,
    metric::{
        ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, MetricReport, MetricValue,
        OutputInfo, PredictionMetric, Predictions, Score, ScoreContext,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Config, never_the_same, of_this_thread};

/// The mean score of what was assessed.
#[derive(Debug)]
pub struct WrongPredictionMetric(Config);

impl Component for WrongPredictionMetric {
    const ID: &'static str = "wrong-prediction-metric";
    const DESCRIPTION: &'static str = "A metric that can go wrong.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        Ok(Self(config))
    }
}

impl PredictionMetric for WrongPredictionMetric {
    fn outputs(&self) -> Vec<OutputInfo> {
        vec![OutputInfo {
            name: "wrong_mean".to_owned(),
            direction: Direction::Higher,
            per_label: false,
            description: String::new(),
        }]
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        self.0.enter();
        let cells = predictions.scores.iter().zip(predictions.targets);
        let counts = |target: &Target| self.0.is("masked") || *target != Target::NotAssessed;
        let scores: Vec<f64> = cells.filter(|(_, target)| counts(target)).map(|(score, _)| *score).collect();
        let n = scores.len();
        let mut mean = scores.iter().sum::<f64>() / n as f64;
        if self.0.is("images") {
            mean += predictions.scores.first().copied().unwrap_or_default();
        }
        if self.0.is("threads") {
            mean += of_this_thread() as f64;
        }
        let value = match n {
            0 if !self.0.is("defined") => MetricValue::undefined(0, "nothing was assessed"),
            _ => MetricValue::new(mean, n as u64),
        };
        let name = if self.0.is("outputs") { "right_mean" } else { "wrong_mean" };
        Ok(MetricReport { overall: [(name.to_owned(), value)].into(), ..MetricReport::default() })
    }
}

/// The number of nodes.
#[derive(Debug)]
pub struct WrongArchitectureMetric(Config);

impl Component for WrongArchitectureMetric {
    const ID: &'static str = "wrong-architecture-metric";
    const DESCRIPTION: &'static str = "A metric that can go wrong.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        Ok(Self(config))
    }
}

impl ArchitectureMetric for WrongArchitectureMetric {
    fn describe(&self) -> ArchitectureMetricInfo {
        let unit = if self.0.is("describe") { never_the_same().to_string() } else { String::new() };
        ArchitectureMetricInfo { direction: Direction::Higher, unit, parallel: true }
    }

    fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> PluginResult<Vec<Score>> {
        self.0.enter();
        if context.device != "cpu" {
            assert!(!self.0.is("nonsense"), "there is no other device than the CPU");
            return Err("only on the CPU".into());
        }
        let score = |(index, candidate): (usize, &Candidate)| {
            let extra = match self.0.wrong.as_str() {
                "seed" => never_the_same(),
                "neighbours" => index as u64,
                "threads" => of_this_thread(),
                _ => 0,
            };
            let value = (candidate.graph.nodes.len() as u64 + extra) as f64;
            let value = (!self.0.is("defined")).then_some(value);
            Score { value, spread: None, repeats: 1, seconds: 0.0, why: None }
        };
        Ok(candidates.iter().enumerate().map(score).collect())
    }
}

/// A metric that takes any settings.
#[derive(Debug)]
pub struct LaxMetric(WrongArchitectureMetric);

/// Settings that allow unknown keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LaxConfig {}

impl Component for LaxMetric {
    const ID: &'static str = "lax-metric";
    const DESCRIPTION: &'static str = "Takes any settings.";
    type Config = LaxConfig;

    fn create(_: LaxConfig) -> PluginResult<Self> {
        Ok(Self(WrongArchitectureMetric(Config::default())))
    }
}

impl ArchitectureMetric for LaxMetric {
    fn describe(&self) -> ArchitectureMetricInfo {
        self.0.describe()
    }

    fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> PluginResult<Vec<Score>> {
        self.0.score(candidates, context)
    }
}
