//! What a report shows. All of it may be missing but the title: a section without data is left out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that a report shows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ReportData {
    /// Heading of the page.
    pub title: String,
    /// Program that wrote the report, with its version.
    pub generator: String,
    /// Metrics that are shown first, and that methods are compared with trivial predictors by.
    pub headline: Vec<String>,
    /// What the metrics mean.
    pub metrics: Vec<Metric>,
    /// What limits the results as a whole; each run has warnings of its own.
    pub warnings: Vec<String>,
    /// Whether settings were chosen by their values on the test part, so that all results are too good.
    pub selected_on_test: bool,
    /// Seconds of all runs, if [`runs`](Self::runs) has not all of them.
    pub total_s: Option<f64>,
    /// The runs that the report is about.
    pub runs: Vec<Run>,
    /// Methods on the test part, in the order of the runs.
    pub methods: Vec<Method>,
    /// Trivial predictors on the same images.
    pub baselines: Vec<Baseline>,
    /// Pairwise comparisons of methods.
    pub comparisons: Vec<Comparison>,
    /// Methods on parts of the test images.
    pub subgroups: Vec<Subgroup>,
    /// What operations of a one-shot search contribute.
    pub attributions: Vec<Attribution>,
}

/// A metric of predictions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Metric {
    /// Name in tables (`macro_f1`).
    pub name: String,
    /// Whether larger is better.
    pub higher_is_better: bool,
    /// Whether there is one value per label.
    pub per_label: bool,
    /// The formula in a sentence.
    pub description: String,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Run {
    /// Short name, unique in the report.
    pub id: String,
    /// What the user called it.
    pub name: String,
    /// `done`, `failed` or `running`.
    pub status: String,
    /// What readers of the results must know.
    pub warnings: Vec<String>,
    /// Id of the dataset.
    pub dataset: String,
    /// Where the images come from, in words.
    pub source: String,
    /// Labels, in the order of the counts of `parts`.
    pub labels: Vec<String>,
    /// The label that means "no other finding", if there is one.
    pub normal_label: Option<String>,
    /// Training, validation and test part.
    pub parts: Vec<Part>,
    /// The search, if there was one.
    pub search: Option<Search>,
    /// Where the time went.
    pub times: Times,
    /// Command line.
    pub command: String,
    /// The configuration with every default filled in, as TOML.
    pub config: String,
    /// Versions, hashes, computer, dates.
    pub facts: Vec<Fact>,
    /// Plugins that took part.
    pub plugins: Vec<Plugin>,
}

/// A named value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Build of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Plugin {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file.
    pub sha256: String,
}

/// Part of the data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Part {
    /// `train`, `val` or `test`.
    pub name: String,
    /// Images.
    pub images: u64,
    /// Patients.
    pub patients: u64,
    /// Images with the finding, per label.
    pub positives: Vec<u64>,
    /// Images on which the finding was looked for, per label.
    pub assessed: Vec<u64>,
}

/// Where the time of a run went, in seconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Times {
    /// By the clock.
    pub total_s: f64,
    /// Reading and decoding images.
    pub data_s: f64,
    /// The search.
    pub search_s: f64,
    /// Steps of training.
    pub train_s: f64,
    /// Validation after epochs.
    pub val_s: f64,
    /// Everything else that trials took.
    pub other_s: f64,
    /// Hours of GPU time.
    pub gpu_h: f64,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Search {
    /// Strategy.
    pub strategy: String,
    /// Space.
    pub space: String,
    /// Metric that structures are scored with.
    pub metric: String,
    /// Whether larger scores are better.
    pub higher_is_better: bool,
    /// Whether strategy or metric look at images.
    pub uses_data: bool,
    /// Limits of every candidate, by what they count.
    pub budgets: BTreeMap<String, f64>,
    /// Candidates that broke a limit, by its name.
    pub rejected: BTreeMap<String, u64>,
    /// Score of each candidate, in their order; none if it was rejected or has none.
    pub values: Vec<Option<f64>>,
    /// What `costs` counts (`params`).
    pub cost: String,
    /// Cost of each candidate.
    pub costs: Vec<Option<f64>>,
    /// Index of the candidate that was chosen.
    pub chosen: Option<usize>,
    /// Why it was chosen, in the strategy's words.
    pub reason: String,
    /// What the steps of a one-shot search took, kind by kind.
    pub phases: Vec<Phase>,
    /// What else the strategy counted.
    pub counts: Vec<Count>,
}

/// A kind of step of a one-shot search.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Phase {
    /// Its name, in the strategy's words (`weights`).
    pub name: String,
    /// Steps of this kind.
    pub steps: u64,
    /// Seconds that they took together.
    pub seconds: f64,
}

/// A number of things.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Count {
    /// What is counted.
    pub name: String,
    /// How many there are.
    pub count: u64,
}

/// A number over seeds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Value {
    /// Mean over the seeds where it is defined.
    pub mean: Option<f64>,
    /// Standard deviation over the seeds.
    pub sd: Option<f64>,
    /// 95 % interval from resampling the patients of the test part.
    pub ci95: Option<[f64; 2]>,
    /// The value of each seed where it is defined.
    pub per_seed: Vec<f64>,
    /// Number of things it rests on.
    pub support: Option<u64>,
    /// Why there is no value, or what the mean leaves out.
    pub why: Option<String>,
}

/// A method on the test part.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Method {
    /// Name, unique in the report.
    pub name: String,
    /// [`Run::id`] of its run.
    pub run: String,
    /// Names the test images: numbers of two methods compare only where this is the same.
    pub test_set: String,
    /// Trials with a test result.
    pub seeds: u64,
    /// Single values by metric.
    pub values: BTreeMap<String, Value>,
    /// Values of each label.
    pub labels: Vec<LabelResult>,
    /// Its trials.
    pub trials: Vec<Trial>,
    /// Its networks, each once.
    pub networks: Vec<Network>,
}

/// A trivial predictor on the test part.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Baseline {
    /// Its name.
    pub name: String,
    /// As [`Method::test_set`].
    pub test_set: String,
    /// Single values by metric.
    pub values: BTreeMap<String, Value>,
}

/// Test metrics of a label.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LabelResult {
    /// Its name.
    pub label: String,
    /// Test images with the finding.
    pub support: Option<u64>,
    /// Values by metric.
    pub values: BTreeMap<String, Value>,
}

/// A training.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Trial {
    /// `T0001`.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// `done`, `failed`, `oom`, …
    pub state: String,
    /// Why it has no result.
    pub failure: Option<String>,
    /// Its epochs.
    pub epochs: Vec<Epoch>,
    /// Epoch whose weights were tested.
    pub best_epoch: Option<u32>,
    /// How thresholds were found, in words (`0.5 for every label`).
    pub thresholds: String,
    /// Seconds of training.
    pub train_s: f64,
    /// Test predictions, label by label.
    pub predictions: Vec<LabelScores>,
    /// Where the network looks, if the dataset knows the places of findings.
    pub saliency: Option<Saliency>,
}

/// An epoch.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Epoch {
    /// From 1.
    pub epoch: u32,
    /// Mean loss while training.
    pub train_loss: f64,
    /// Loss on the validation part.
    pub val_loss: f64,
    /// Validation metrics.
    pub val: BTreeMap<String, Option<f64>>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Predictions of a label on the images on which it was assessed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LabelScores {
    /// The label.
    pub label: String,
    /// The label is predicted where the score is above this.
    pub threshold: f64,
    /// Whether the finding is there, per image.
    pub truth: Vec<bool>,
    /// Score in 0…1, per image.
    pub scores: Vec<f64>,
}

/// Where a trained network looks: Grad-CAM maps of findings whose places are known.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Saliency {
    /// Why there are no maps.
    pub problem: Option<String>,
    /// Node whose value the maps are of.
    pub node: String,
    /// Rows and columns of the maps.
    pub map: [usize; 2],
    /// Rows and columns of the images.
    pub side: usize,
    /// The pointing game, label by label.
    pub labels: Vec<PointingResult>,
    /// The same findings with the trained weights, and with layers drawn anew.
    pub randomised: Vec<RandomisedResult>,
    /// Some of the findings.
    pub examples: Vec<SaliencyExample>,
}

/// The pointing game with the findings of a label.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PointingResult {
    /// The label.
    pub label: String,
    /// Findings that were looked at.
    pub findings: u64,
    /// Findings on which the largest value of the map lies.
    pub hits: u64,
    /// Findings that the middle of the image lies on.
    pub centre_hits: u64,
    /// Maps without a positive value.
    pub blank: u64,
    /// Mean share of the map's sum that lies on the finding, over the other maps.
    pub mass: Option<f64>,
    /// Mean share of the image that the finding takes.
    pub area: Option<f64>,
}

/// The pointing game with layers drawn anew.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RandomisedResult {
    /// Layers drawn anew, from the output downwards; 0 for the trained network.
    pub layers: u64,
    /// Layers of the network.
    pub of: u64,
    /// Findings that were looked at.
    pub findings: u64,
    /// As [`PointingResult::hits`].
    pub hits: u64,
    /// As [`PointingResult::mass`].
    pub mass: Option<f64>,
    /// Mean rank correlation of the maps with those of the trained network.
    pub similarity: Option<f64>,
}

/// A finding with its map. Images are base64 of one byte per pixel, row by row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SaliencyExample {
    /// The label.
    pub label: String,
    /// Score of the label on this image.
    pub score: Option<f64>,
    /// Whether the largest value lies on the finding.
    pub hit: bool,
    /// Row and column of the largest value on the image.
    pub peak: [usize; 2],
    /// The image, [`Saliency::side`] squared, 0 to 255.
    pub image: String,
    /// The map, [`Saliency::map`], 0 to 255.
    pub map: String,
    /// The finding, as large as the image, 0 or 1.
    pub finding: String,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Network {
    /// Trials that trained it.
    pub trials: Vec<String>,
    /// Stable hash of its graph.
    pub id: String,
    /// Channels, height, width of the image.
    pub input: [usize; 3],
    /// Trainable values.
    pub params: u64,
    /// Multiply-adds of one image.
    pub macs: u64,
    /// Most values alive at once for one image.
    pub peak_activations: u64,
    /// Values of architecture metrics.
    pub scores: BTreeMap<String, Option<f64>>,
    /// Its nodes, in topological order.
    pub nodes: Vec<Node>,
}

/// A node of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Node {
    /// Name, as PyTorch would call the module (`layer1.0.conv1`).
    pub name: String,
    /// Operator in short words (`conv 3×3`); empty where it needs no mention.
    pub op: String,
    /// Names of the nodes it reads; other names stand for the image.
    pub inputs: Vec<String>,
    /// Whether it adds a skip connection.
    pub residual: bool,
    /// Shape of its value, without the batch.
    pub shape: Vec<usize>,
    /// Trainable values.
    pub params: u64,
    /// Multiply-adds for one image.
    pub macs: u64,
}

/// A pairwise comparison: `a` minus `b`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Comparison {
    /// [`Method::name`] of one side.
    pub a: String,
    /// [`Method::name`] of the other.
    pub b: String,
    /// The metric.
    pub metric: String,
    /// Value of `a` minus value of `b`.
    pub difference: Option<f64>,
    /// 95 % interval of the difference.
    pub ci95: Option<[f64; 2]>,
    /// p-value.
    pub p: Option<f64>,
    /// p-value, adjusted over all comparisons.
    pub p_adjusted: Option<f64>,
    /// What was tested, and how it was adjusted.
    pub test: String,
    /// Why something is missing, or what limits the comparison.
    pub note: Option<String>,
}

/// A method on some of the test images.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Subgroup {
    /// What images are divided by (`scanner`).
    pub attribute: String,
    /// Which of them these are.
    pub group: String,
    /// [`Method::name`].
    pub method: String,
    /// [`Run::id`] of its run.
    pub run: String,
    /// Images.
    pub images: u64,
    /// Findings in these images, over all labels.
    pub positives: u64,
    /// Values by metric.
    pub values: BTreeMap<String, Value>,
}

/// What operations of a one-shot search contribute, as Shapley values.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Attribution {
    /// [`Run::id`] of its run.
    pub run: String,
    /// What it is about (`normal cell`).
    pub title: String,
    /// What `steps` counts (`epoch`).
    pub unit: String,
    /// When values were taken, in their order.
    pub steps: Vec<f64>,
    /// Values of each operation on each edge.
    pub operations: Vec<AttributedOperation>,
    /// What was derived from the values.
    pub cell: Option<Cell>,
}

/// An operation on an edge.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AttributedOperation {
    /// The edge (`0 → 2`).
    pub edge: String,
    /// The operation (`sep_conv_3x3`).
    pub operation: String,
    /// Value at each step.
    pub values: Vec<f64>,
    /// Standard error at each step; empty if unknown.
    pub standard_errors: Vec<f64>,
    /// Whether it is part of the network that was derived.
    pub chosen: bool,
}

/// A cell: nodes, each of which adds up operations on the values of earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Cell {
    /// Names of the values that the cell gets.
    pub inputs: Vec<String>,
    /// Its nodes, each after those that it reads.
    pub nodes: Vec<CellNode>,
    /// Names of the nodes whose values, joined, leave the cell.
    pub outputs: Vec<String>,
}

/// A node of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CellNode {
    /// Its name.
    pub name: String,
    /// What it adds up.
    pub edges: Vec<CellEdge>,
}

/// An operation that a node reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CellEdge {
    /// Name of the input or node whose value it takes.
    pub from: String,
    /// The operation.
    pub operation: String,
    /// [`AttributedOperation::edge`] that it lies on.
    pub edge: String,
}
