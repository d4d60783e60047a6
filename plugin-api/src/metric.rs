//! Metrics, of predictions and of structures.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    architecture::{Geometry, Spec},
    component::{Component, PluginResult},
    dataset::Target,
    graph::Graph,
};

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Larger is better.
    #[default]
    Higher,
    /// Smaller is better.
    Lower,
}

/// One number a metric answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputInfo {
    /// Name in tables and configurations, snake_case (`macro_f1`).
    pub name: String,
    /// Which way is better.
    pub direction: Direction,
    /// Whether there is one value per label instead of a single one.
    pub per_label: bool,
    /// The formula in a sentence, with its source.
    pub description: String,
}

/// A value, or the reason why there is none. Undefined is never 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricValue {
    /// The value.
    pub value: Option<f64>,
    /// Number of things the value rests on: positives for per-label values, labels for macro
    /// means, images otherwise.
    pub support: u64,
    /// Why `value` is missing, or which labels a mean leaves out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl MetricValue {
    /// A defined value.
    pub fn new(value: f64, support: u64) -> Self {
        Self { value: Some(value), support, why: None }
    }

    /// An undefined value.
    pub fn undefined(support: u64, why: impl Into<String>) -> Self {
        Self { value: None, support, why: Some(why.into()) }
    }
}

/// Predictions of one model on one part of a split. Row-major, `n × labels`.
#[derive(Debug, Clone, Copy)]
pub struct Predictions<'a> {
    /// Number of labels.
    pub labels: usize,
    /// Probabilities in 0…1.
    pub scores: &'a [f64],
    /// What is true.
    pub targets: &'a [Target],
    /// One per label; a label is predicted where `score > threshold` (strict).
    pub thresholds: &'a [f64],
}

impl Predictions<'_> {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.scores.len().checked_div(self.labels).unwrap_or(0)
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether label `label` is predicted on image `image`.
    pub fn predicted(&self, image: usize, label: usize) -> bool {
        self.scores[image * self.labels + label] > self.thresholds[label]
    }

    /// What is true of label `label` on image `image`.
    pub fn target(&self, image: usize, label: usize) -> Target {
        self.targets[image * self.labels + label]
    }
}

/// The values of a prediction metric, keyed by [`OutputInfo::name`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MetricReport {
    /// Single values.
    pub overall: BTreeMap<String, MetricValue>,
    /// One value per label.
    pub per_label: BTreeMap<String, Vec<MetricValue>>,
}

/// A metric of predictions. May be called from any thread at any time.
///
/// ```
/// use nashost_plugin_api::{
///     component::{Component, PluginResult},
///     dataset::Target,
///     metric::{Direction, MetricReport, MetricValue, OutputInfo, PredictionMetric, Predictions},
///     testing,
/// };
///
/// #[derive(Default, serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields, default)]
/// struct Config {}
///
/// /// Share of the findings that are predicted.
/// struct Found;
///
/// impl Component for Found {
///     const ID: &'static str = "found";
///     const DESCRIPTION: &'static str = "Share of the findings that are predicted.";
///     type Config = Config;
///
///     fn create(_: Config) -> PluginResult<Self> {
///         Ok(Self)
///     }
/// }
///
/// impl PredictionMetric for Found {
///     fn outputs(&self) -> Vec<OutputInfo> {
///         vec![OutputInfo {
///             name: "found".to_owned(),
///             direction: Direction::Higher,
///             per_label: false,
///             description: "predicted findings / findings".to_owned(),
///         }]
///     }
///
///     fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
///         let (mut found, mut findings) = (0, 0);
///         for image in 0..predictions.len() {
///             for label in 0..predictions.labels {
///                 if predictions.target(image, label) == Target::Positive {
///                     findings += 1;
///                     found += u64::from(predictions.predicted(image, label));
///                 }
///             }
///         }
///         let value = match findings {
///             0 => MetricValue::undefined(0, "there is no finding"),
///             n => MetricValue::new(found as f64 / n as f64, n),
///         };
///         Ok(MetricReport { overall: [("found".to_owned(), value)].into(), ..MetricReport::default() })
///     }
/// }
///
/// testing::prediction_metric::<Found>(serde_json::json!({})).assert_passed();
/// ```
pub trait PredictionMetric: Component + Send + Sync {
    /// Lists what [`PredictionMetric::evaluate`] answers.
    fn outputs(&self) -> Vec<OutputInfo>;

    /// Computes the values.
    ///
    /// # Errors
    ///
    /// Fails only if the input is malformed; an undefined value is not an error.
    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport>;
}

/// A structure to judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its spec.
    pub spec: Spec,
    /// Its network.
    pub graph: Graph,
    /// Counters of a published code, if the space has them.
    #[serde(default)]
    pub counters: crate::architecture::Counters,
    /// Seed of everything random in the score.
    pub seed: u64,
}

/// What an architecture metric needs to know besides the structures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreContext {
    /// Sizes the graphs were built for.
    pub geometry: Geometry,
    /// `cpu` or `cuda:N`.
    pub device: String,
}

/// What an architecture metric says of one structure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Score {
    /// The value, mean over repeats; `None` if undefined.
    pub value: Option<f64>,
    /// Standard deviation over repeats (ddof 0); `None` for exact metrics or a single repeat.
    pub spread: Option<f64>,
    /// Number of repeats.
    pub repeats: u32,
    /// Seconds it took.
    pub seconds: f64,
    /// Why `value` is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What an architecture metric says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArchitectureMetricInfo {
    /// Which way is better.
    pub direction: Direction,
    /// Unit of the value; empty if it has none.
    pub unit: String,
    /// Whether candidates may be scored at the same time from several threads without changing
    /// the values (false for measured latency).
    pub parallel: bool,
}

/// A metric of structures. May be called from any thread at any time.
///
/// ```
/// use nashost_plugin_api::{
///     component::{Component, PluginResult},
///     metric::{ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, Score, ScoreContext},
///     testing,
/// };
///
/// #[derive(Default, serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields, default)]
/// struct Config {}
///
/// /// Number of operators.
/// struct Operators;
///
/// impl Component for Operators {
///     const ID: &'static str = "operators";
///     const DESCRIPTION: &'static str = "Number of operators of a network.";
///     type Config = Config;
///
///     fn create(_: Config) -> PluginResult<Self> {
///         Ok(Self)
///     }
/// }
///
/// impl ArchitectureMetric for Operators {
///     fn describe(&self) -> ArchitectureMetricInfo {
///         ArchitectureMetricInfo { direction: Direction::Lower, unit: String::new(), parallel: true }
///     }
///
///     fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> PluginResult<Vec<Score>> {
///         if context.device != "cpu" {
///             return Err("only on the CPU".into());
///         }
///         let score = |candidate: &Candidate| {
///             let value = Some(candidate.graph.nodes.len() as f64);
///             Score { value, spread: None, repeats: 1, seconds: 0.0, why: None }
///         };
///         Ok(candidates.iter().map(score).collect())
///     }
/// }
///
/// testing::architecture_metric::<Operators>(serde_json::json!({})).assert_passed();
/// ```
pub trait ArchitectureMetric: Component + Send + Sync {
    /// Describes the metric.
    fn describe(&self) -> ArchitectureMetricInfo;

    /// Scores candidates; one answer each, in order. The value depends on the candidate, its seed
    /// and the context alone, never on its neighbours.
    ///
    /// # Errors
    ///
    /// Fails if the device cannot be used; a structure that cannot be scored is an undefined
    /// value with a reason.
    fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> PluginResult<Vec<Score>>;
}
