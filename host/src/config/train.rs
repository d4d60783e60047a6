//! `[train]` and `[eval]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Adam with PyTorch's defaults (betas 0.9 and 0.999, eps 1e-8).
    #[default]
    Adam,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// Learning-rate schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The same rate throughout.
    #[default]
    Constant,
    /// Half a cosine down to 0, evaluated per step.
    Cosine,
}

/// How the probabilities of drop paths go over the epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DropPath {
    /// The same throughout.
    #[default]
    Constant,
    /// From 0 in the first epoch linearly up, as the code of DARTS and those after it do: times
    /// `epoch / epochs`, epochs counted from 0.
    Rising,
}

/// Weights of positives in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum PosWeight {
    /// Negatives over positives of each label in the training part, capped.
    #[default]
    #[serde(rename = "neg/pos")]
    NegOverPos,
    /// Negatives over all images, as the 2023 study computes it: below 1, so positives are
    /// weighted *down*.
    #[serde(rename = "study")]
    Study,
    /// No weights.
    #[serde(rename = "none")]
    None,
}

/// Number type of forward and backward passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    Fp32,
    /// bfloat16 with 32-bit master weights and normalisation statistics.
    Bf16,
}

/// Random changes of training images. All off by default.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Mirrors left and right with probability 1/2.
    pub horizontal_flip: bool,
    /// Largest shift, as a share of the side.
    #[schemars(range(min = 0, max = 1))]
    pub shift: f64,
    /// Largest rotation, in degrees.
    #[schemars(range(min = 0, max = 180))]
    pub rotation: f64,
    /// Largest relative change of brightness and contrast.
    #[schemars(range(min = 0, max = 1))]
    pub intensity: f64,
}

/// How a network is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training part.
    #[schemars(range(min = 1))]
    pub epochs: u32,
    /// Images per step.
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// Parts that each batch is divided into to save memory; the step stays that of the whole
    /// batch, but batch normalisation sees the parts.
    #[schemars(range(min = 1))]
    pub micro_batches: u32,
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub lr: f64,
    /// Rows and columns that images are resized to.
    #[schemars(range(min = 1))]
    pub resolution: usize,
    /// Optimizer.
    pub optimizer: Optimizer,
    /// Momentum of SGD.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub momentum: f64,
    /// L2 penalty on Conv and Gemm weights (coupled, as PyTorch's `weight_decay`).
    #[schemars(range(min = 0))]
    pub weight_decay: f64,
    /// Learning-rate schedule.
    pub schedule: Schedule,
    /// How the probabilities of the network's drop paths go over the epochs.
    pub drop_path: DropPath,
    /// Weights of positives.
    pub pos_weight: PosWeight,
    /// Largest weight of positives under `neg/pos`.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub pos_weight_cap: f64,
    /// Number type.
    pub precision: Precision,
    /// Random changes of training images.
    pub augmentation: Augmentation,
    /// Safetensors file to start from; the classifier is replaced.
    pub pretrained: Option<std::path::PathBuf>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 15,
            batch: 32,
            micro_batches: 1,
            lr: 1e-3,
            resolution: 64,
            optimizer: Optimizer::Adam,
            momentum: 0.9,
            weight_decay: 0.0,
            schedule: Schedule::Constant,
            drop_path: DropPath::Constant,
            pos_weight: PosWeight::NegOverPos,
            pos_weight_cap: 20.0,
            precision: Precision::Fp32,
            augmentation: Augmentation::default(),
            pretrained: None,
        }
    }
}

/// How a label's decision threshold is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Threshold {
    /// 0.5 for every label.
    #[default]
    Half,
    /// Per label, the threshold with the best F1 on the validation part.
    ValF1,
}

/// Which checkpoint is evaluated on the test part; chosen on the validation part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointChoice {
    /// Best macro F1 on the validation part.
    #[default]
    BestMacroF1,
    /// Best subset accuracy on the validation part.
    BestSubsetAccuracy,
    /// The last epoch.
    Last,
}

/// The part that checkpoints, thresholds and hyper-parameters are chosen on. Choosing on the test
/// part cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SelectOn {
    /// The validation part.
    #[default]
    Val,
}

/// How a trained network is evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// Prediction metrics, by component id; empty means all that the plugins bring.
    pub metrics: Vec<String>,
    /// The part that everything is chosen on.
    pub select_on: SelectOn,
    /// Decision thresholds.
    pub threshold: Threshold,
    /// Checkpoint for the final evaluation.
    pub checkpoint: CheckpointChoice,
    /// Bootstrap resamples (of patients) for confidence intervals; 0 turns them off.
    pub bootstrap: u32,
    /// Whether to look where the network looks, on test images on which the dataset knows the places of
    /// findings. The report then holds some of these images.
    pub saliency: bool,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            metrics: Vec::new(),
            select_on: SelectOn::Val,
            threshold: Threshold::Half,
            checkpoint: CheckpointChoice::BestMacroF1,
            bootstrap: 1000,
            saliency: true,
        }
    }
}
