//! Expected calibration error.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{Direction, MetricReport, OutputInfo, PredictionMetric, Predictions},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cases::{Case, CaseMetric},
    report::Defined,
};

/// Configuration of [`Ece`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EceConfig {
    /// Number of bins of equal width.
    #[schemars(range(min = 1))]
    pub bins: u32,
}

impl Default for EceConfig {
    fn default() -> Self {
        Self { bins: 15 }
    }
}

/// The expected calibration error of each label.
///
/// Guo et al. 2017, eq. (3), for each label as a binary task on the *positive* probability (not on
/// the confidence of the decision): bins ((b − 1)/B, b/B], 0 in the first; the absolute difference
/// of mean probability and share of positives, weighted by the images in the bin.
#[derive(Debug, Clone, Copy)]
pub struct Ece {
    bins: usize,
}

impl Component for Ece {
    const ID: &'static str = "ece";
    const DESCRIPTION: &'static str =
        "Expected calibration error of the positive probability, equal-width bins: per label and macro.";
    type Config = EceConfig;

    fn create(config: EceConfig) -> PluginResult<Self> {
        if config.bins == 0 {
            return Err("`bins` must be at least 1".into());
        }
        Ok(Self { bins: config.bins as usize })
    }
}

impl Ece {
    fn with_metric<T>(&self, use_metric: impl FnOnce(CaseMetric<'_>) -> T) -> T {
        use_metric(CaseMetric {
            name: "ece",
            direction: Direction::Lower,
            formula: &format!(
                "Expected calibration error of the positive probability in {} bins of equal width",
                self.bins
            ),
            value: &|cases| self.value(cases),
            micro: false,
        })
    }

    fn value(&self, cases: &[Case]) -> Defined {
        if cases.is_empty() {
            return Err("no image was assessed");
        }
        // Positives minus probabilities of each bin: count · (share of positives − mean probability).
        let mut gaps = vec![0.0; self.bins];
        for case in cases {
            let bin = (case.score * self.bins as f64).ceil() as usize;
            gaps[bin.clamp(1, self.bins) - 1] += f64::from(u8::from(case.positive)) - case.score;
        }
        Ok(gaps.iter().map(|gap| gap.abs()).sum::<f64>() / cases.len() as f64)
    }
}

impl PredictionMetric for Ece {
    fn outputs(&self) -> Vec<OutputInfo> {
        self.with_metric(|metric| metric.outputs())
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        self.with_metric(|metric| metric.evaluate(predictions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_closed_on_the_right_and_the_first_holds_zero() {
        let ece = Ece::create(EceConfig { bins: 2 }).unwrap();
        let case = |score, positive| Case { score, positive };
        // 0 and 0.5 share a bin: |1 − 0.5| = 0.5; 1.0 is alone: |0 − 1| = 1.
        let cases = [case(0.0, false), case(0.5, true), case(1.0, false)];
        assert_eq!(ece.value(&cases), Ok(0.5));
    }

    #[test]
    fn no_bins_are_refused() {
        assert!(Ece::create(EceConfig { bins: 0 }).is_err());
    }
}
