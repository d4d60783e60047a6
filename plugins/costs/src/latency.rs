//! Measured latency.

use std::time::Instant;

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, Score, ScoreContext},
};
use nashost_plugin_torch::{Mode, Network, TorchError, gaussian, parse_device};
use schemars::JsonSchema;
use serde::Deserialize;
use tch::{Cuda, Device};

/// Fewest timed runs: below, a median says little.
const MIN_RUNS: u32 = 10;

/// How latency is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LatencyConfig {
    /// Images per forward pass.
    #[schemars(range(min = 1))]
    pub batch_size: u32,
    /// Timed passes.
    #[schemars(range(min = 10))]
    pub runs: u32,
    /// Untimed passes before.
    pub warm_up: u32,
}

impl Default for LatencyConfig {
    fn default() -> Self {
        Self { batch_size: 1, runs: 30, warm_up: 5 }
    }
}

/// The metric `latency`: milliseconds per image of a forward pass in fp32 evaluation mode, without
/// gradients, on the run's device.
///
/// The value is the median of the timed passes and the spread their standard deviation. On a GPU
/// each pass is timed from an idle device to an idle device. Numbers of different machines,
/// thread counts or libtorch builds cannot be compared.
#[derive(Debug)]
pub struct Latency {
    config: LatencyConfig,
}

impl Component for Latency {
    const ID: &'static str = "latency";
    const DESCRIPTION: &'static str = "Measured milliseconds per image of a forward pass on the run's device: median and deviation of the runs.";
    type Config = LatencyConfig;

    fn create(config: LatencyConfig) -> PluginResult<Self> {
        if config.batch_size == 0 {
            return Err("`batch_size` must be at least 1".into());
        }
        if config.runs < MIN_RUNS {
            return Err(format!("`runs` is {}, but at least {MIN_RUNS} are needed", config.runs).into());
        }
        Ok(Self { config })
    }
}

impl ArchitectureMetric for Latency {
    fn describe(&self) -> ArchitectureMetricInfo {
        ArchitectureMetricInfo { direction: Direction::Lower, unit: "ms".to_owned(), parallel: false }
    }

    fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> PluginResult<Vec<Score>> {
        let device = parse_device(&context.device)?;
        let score = |candidate: &Candidate| {
            let start = Instant::now();
            let times = self.measure(candidate, device);
            let seconds = start.elapsed().as_secs_f64();
            match times.map(|times| summarize(&times)) {
                Ok((median, spread)) => Score {
                    value: Some(median),
                    spread: Some(spread),
                    repeats: self.config.runs,
                    seconds,
                    why: None,
                },
                Err(error) => {
                    Score { value: None, spread: None, repeats: 0, seconds, why: Some(chain(&error)) }
                }
            }
        };
        Ok(candidates.iter().map(score).collect())
    }
}

impl Latency {
    /// Returns the milliseconds per image of each timed pass.
    fn measure(&self, candidate: &Candidate, device: Device) -> Result<Vec<f64>, TorchError> {
        let _no_grad = tch::no_grad_guard();
        let network = Network::new(candidate.graph.clone())?;
        let weights = network.initialize(candidate.seed).to_device(device);
        let [channels, height, width] = candidate.graph.input.map(|size| size as i64);
        let batch = i64::from(self.config.batch_size);
        let images = gaussian(candidate.seed, &[batch, channels, height, width]).f_to(device)?;
        let pass = || -> Result<f64, TorchError> {
            synchronize(device);
            let start = Instant::now();
            let logits = network.forward(&weights, &images, Mode::Eval)?;
            synchronize(device);
            let elapsed = start.elapsed();
            drop(logits);
            Ok(elapsed.as_secs_f64() * 1e3 / f64::from(self.config.batch_size))
        };
        for _ in 0..self.config.warm_up {
            pass()?;
        }
        (0..self.config.runs).map(|_| pass()).collect()
    }
}

/// Waits until a GPU has nothing left to do; without, one would time the launches.
fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        // A device index is a small number.
        Cuda::synchronize(index as i64);
    }
}

/// Returns median and standard deviation (ddof 0).
fn summarize(times: &[f64]) -> (f64, f64) {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let median =
        if sorted.len().is_multiple_of(2) { (sorted[half - 1] + sorted[half]) / 2.0 } else { sorted[half] };
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / count;
    (median, variance.sqrt())
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_is_median_and_deviation() {
        assert_eq!(summarize(&[5.0, 1.0, 3.0]), (3.0, f64::sqrt(8.0 / 3.0)));
        // One slow run moves the deviation, not the value.
        let (median, deviation) = summarize(&[1.0, 1.0, 1.0, 101.0]);
        assert_eq!(median, 1.0);
        assert!((deviation - 1875_f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn too_few_runs_are_refused() {
        let create = |json: &str| {
            let config = serde_json::from_str(json).map_err(|error| error.to_string())?;
            Latency::create(config).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(create("{}"), Ok(()));
        assert_eq!(create(r#"{"runs":10,"warm_up":0}"#), Ok(()));
        assert_eq!(create(r#"{"runs":9}"#), Err("`runs` is 9, but at least 10 are needed".to_owned()));
        assert!(create(r#"{"batch_size":0}"#).is_err());
        assert!(create(r#"{"batch":1}"#).unwrap_err().contains("unknown field `batch`"));
    }
}
