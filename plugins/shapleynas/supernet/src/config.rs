//! What a search can be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::geometry::{Geometry, GeometryError};

/// How the operations' values are estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// Gradients of the value by the operations' masks at random coalitions and their complements: each
    /// credits all operations at once.
    #[default]
    Gradient,
    /// Walks that remove one operation after the other, in random orders and in reverse.
    Walks,
    /// The official code's truncated walks, and its mean minus standard deviation.
    Official,
}

/// What a coalition of operations is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// The negative loss, bounded, so that broken networks do not decide.
    #[default]
    Loss,
    /// Share of images whose most probable class is the right one.
    Accuracy,
    /// Mean over labels of the area under the ROC curve.
    Auroc,
    /// Mean over labels of the average precision.
    AveragePrecision,
    /// Share of images with all assessed labels right at 0.5.
    SubsetAccuracy,
}

impl Value {
    /// Returns the name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::Auroc => "auroc",
            Self::AveragePrecision => "average-precision",
            Self::SubsetAccuracy => "subset-accuracy",
        }
    }
}

/// What the supernet is trained by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Binary cross-entropy of every label that was assessed.
    #[default]
    Bce,
    /// Cross-entropy between classes, for images that have exactly one label.
    CrossEntropy,
}

/// How much a label's positives count in the training loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PositiveWeight {
    /// Negatives over positives, at most 10.
    #[default]
    Balanced,
    /// As much as negatives.
    Equal,
    /// Negatives over all images, as in the 2023 study; less than negatives.
    Study,
}

/// How the learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// By a half cosine, from the first epoch at the full rate.
    #[default]
    Cosine,
    /// By a half cosine that has moved before the first epoch, as in the official code: the last epoch
    /// runs at the least rate.
    Official,
}

/// Which images train weights and which value operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Roles {
    /// The training part in `folds` stratified folds; in each epoch another fold values operations, and
    /// the others train weights.
    #[default]
    Folds,
    /// The first half of the training part trains weights, the second values operations, as in the
    /// official code.
    Halves,
    /// The training part trains weights, the validation part values operations, as in the 2023 study.
    /// It is then not fit for model selection.
    Validation,
}

/// Which of its images values operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ValueSample {
    /// A sample with every label in its share, another one each epoch.
    #[default]
    Stratified,
    /// A random sample for each walk, as in the official code.
    Walk,
    /// The first ones, always, as in the 2023 study.
    First,
}

/// The statistics that batch normalisation uses while operations are valued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NormMode {
    /// The running statistics.
    #[default]
    Evaluation,
    /// The batch's; the running statistics are spoiled by networks without operations.
    Training,
    /// The batch's in even epochs, as it happens in the official CIFAR search.
    Alternating,
}

/// Settings of `estimator = "official"`, its bugs among them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Official {
    /// A walk ends at the first value below this share of the full supernet's (gamma).
    pub threshold: f64,
    /// How much of the accumulated score stays (mu).
    pub momentum: f64,
    /// What the alphas move by (xi).
    pub step_size: f64,
    /// Bug: the statistics of batch normalisation while operations are valued.
    pub norm: NormMode,
    /// Bug: equal scores of a cell type turn all its alphas into NaN. Otherwise they stay.
    pub nan_on_equal: bool,
    /// Bug: images that value operations are augmented as those that train.
    pub augmented_value: bool,
    /// Whether the last operation of an edge is never removed, as in the official ImageNet search.
    pub keep_last: bool,
}

impl Default for Official {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            momentum: 0.8,
            step_size: 0.1,
            norm: NormMode::Evaluation,
            nan_on_equal: false,
            augmented_value: false,
            keep_last: false,
        }
    }
}

/// Configuration of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SearchConfig {
    /// Channels of the supernet's first cells.
    #[schemars(range(min = 1))]
    pub channels: usize,
    /// Cells of the supernet.
    #[schemars(range(min = 1))]
    pub layers: usize,
    /// One in so many channels passes through operations.
    #[schemars(range(min = 1))]
    pub partial_channels: usize,
    /// The longer side of the images that the search sees; larger ones are averaged down. All of it
    /// unless given.
    pub resolution: Option<usize>,

    /// Epochs of training weights.
    #[schemars(range(min = 1))]
    pub epochs: usize,
    /// Epochs before operations are valued for the first time.
    pub warm_up: usize,
    /// Images of an epoch, another sample each time. All unless given.
    pub epoch_images: Option<usize>,
    /// Images of a training step.
    #[schemars(range(min = 2))]
    pub batch: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// The least learning rate.
    pub learning_rate_min: f64,
    /// How the learning rate falls.
    pub schedule: Schedule,
    /// Epochs of the half cosine, after which the rate rises again. `epochs` unless given.
    pub schedule_epochs: Option<usize>,
    /// Momentum of SGD.
    pub momentum: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// The largest norm of the weights' gradient. Not limited unless given.
    pub clip: Option<f64>,
    /// What the supernet is trained by.
    pub loss: Loss,
    /// How much positives count, with `loss = "bce"`.
    pub positive_weight: PositiveWeight,

    /// Which images train weights and which value operations.
    pub roles: Roles,
    /// Number of folds, with `roles = "folds"`.
    #[schemars(range(min = 2))]
    pub folds: usize,

    /// How values are estimated.
    pub estimator: Estimator,
    /// What a coalition is worth.
    pub value: Value,
    /// Images by which operations are valued.
    #[schemars(range(min = 1))]
    pub value_images: usize,
    /// Which ones.
    pub value_sample: ValueSample,
    /// Walks, or groups of gradients or of walks, in an epoch, at most. Standard errors need two.
    #[schemars(range(min = 2))]
    pub samples: usize,
    /// Pairs of complementary coalitions in a group of gradients: so many shares of present operations
    /// are distinguished. With walks, cyclic shifts of an order.
    #[schemars(range(min = 1))]
    pub strata: usize,
    /// Exact marginal contributions in an epoch, by which the gradients' error is estimated for each
    /// kind of operation.
    pub corrections: usize,
    /// A walk ends when the value differs from the empty coalition's by at most this share of the
    /// difference that all operations make. 0 for whole walks.
    pub truncation: f64,
    /// Sampling of an epoch ends early when every edge's best operation and every node's two best edges
    /// are distinguished at this confidence. 1 for never.
    pub confidence: f64,
    /// How much an earlier epoch's estimate weighs in the next, beside its precision.
    pub memory: f64,
    /// What the alphas spread to by the end, as standard deviation over the operations of a cell type.
    pub sharpness: f64,

    /// Settings of `estimator = "official"`.
    pub official: Official,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            channels: 16,
            layers: 5,
            partial_channels: 4,
            resolution: Some(32),
            epochs: 10,
            warm_up: 4,
            epoch_images: Some(512),
            batch: 32,
            learning_rate: 0.02,
            learning_rate_min: 0.0,
            schedule: Schedule::Cosine,
            schedule_epochs: None,
            momentum: 0.9,
            weight_decay: 3e-4,
            clip: Some(5.0),
            loss: Loss::Bce,
            positive_weight: PositiveWeight::Balanced,
            roles: Roles::Folds,
            folds: 4,
            estimator: Estimator::Gradient,
            value: Value::Loss,
            value_images: 64,
            value_sample: ValueSample::Stratified,
            samples: 2,
            strata: 2,
            corrections: 0,
            truncation: 0.0,
            confidence: 0.95,
            memory: 0.8,
            sharpness: 2.0,
            official: Official::default(),
        }
    }
}

/// A published search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The official CIFAR-10 search, bugs included.
    Official,
    /// The 2023 study's search for the elbow: 40 cells, eight epochs with values.
    Study,
    /// The 2023 study's search for the neck: 50 cells, five epochs with values.
    StudyNeck,
}

/// Why a search cannot be configured so.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The supernet is impossible.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// A number is out of range.
    #[error("`{name}` is {found}, expected {expected}")]
    Range {
        /// The setting.
        name: &'static str,
        /// Its value.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// Settings that exclude each other.
    #[error("{0}")]
    Combination(&'static str),
}

impl SearchConfig {
    /// Returns the settings of a published search.
    pub fn preset(preset: Preset) -> Self {
        let official = Self {
            channels: 16,
            layers: 8,
            resolution: None,
            epochs: 50,
            warm_up: 25,
            epoch_images: None,
            batch: 256,
            learning_rate: 0.1,
            learning_rate_min: 0.0,
            schedule: Schedule::Official,
            loss: Loss::CrossEntropy,
            positive_weight: PositiveWeight::Equal,
            roles: Roles::Halves,
            estimator: Estimator::Official,
            value: Value::Accuracy,
            value_images: 1024,
            value_sample: ValueSample::Walk,
            samples: 10,
            official: Official {
                norm: NormMode::Alternating,
                nan_on_equal: true,
                augmented_value: true,
                ..Official::default()
            },
            ..Self::default()
        };
        let study = |layers, values| Self {
            layers,
            epochs: 5 + values,
            warm_up: 5,
            batch: 32,
            learning_rate: 2e-4,
            schedule_epochs: Some(values),
            clip: None,
            loss: Loss::Bce,
            positive_weight: PositiveWeight::Study,
            roles: Roles::Validation,
            value: Value::SubsetAccuracy,
            value_images: 32,
            value_sample: ValueSample::First,
            samples: 5,
            official: Official { nan_on_equal: true, ..Official::default() },
            ..official.clone()
        };
        match preset {
            Preset::Official => official,
            Preset::Study => study(40, 8),
            Preset::StudyNeck => study(50, 5),
        }
    }

    /// Returns the supernet's geometry for images of `channels` × `height` × `width`, after
    /// [`SearchConfig::resolution`].
    pub fn geometry(&self, [channels, height, width]: [usize; 3], labels: usize) -> Geometry {
        let longer = height.max(width);
        // The reduction cells need sides that can be halved twice.
        let fit = |side: usize| match self.resolution {
            Some(resolution) if resolution < longer => {
                ((side * resolution) as f64 / longer as f64 / 4.0).round().max(1.0) as usize * 4
            }
            _ => side,
        };
        Geometry {
            image_channels: channels,
            height: fit(height),
            width: fit(width),
            labels,
            channels: self.channels,
            layers: self.layers,
            k: self.partial_channels,
        }
    }

    /// Whether the loss or the value takes each image for one of a class.
    pub fn has_classes(&self) -> bool {
        self.loss == Loss::CrossEntropy || self.value == Value::Accuracy
    }

    /// Checks the settings for images of a size.
    ///
    /// # Errors
    ///
    /// Fails with the first reason why the search cannot be made.
    pub fn check(&self, images: [usize; 3], labels: usize) -> Result<(), ConfigError> {
        self.geometry(images, labels).check()?;
        let least = [
            ("epochs", self.epochs, 1),
            ("batch", self.batch, 2),
            ("folds", self.folds, 2),
            ("value_images", self.value_images, 1),
            ("samples", self.samples, 2),
            ("strata", self.strata, 1),
            ("schedule_epochs", self.schedule_epochs.unwrap_or(1), 1),
            ("epoch_images", self.epoch_images.unwrap_or(2), 2),
        ];
        for (name, found, least) in least {
            if found < least {
                let expected = if least == 1 { "at least 1" } else { "at least 2" };
                return Err(ConfigError::Range { name, found: found as f64, expected });
            }
        }
        let shares = [
            ("momentum", self.momentum),
            ("truncation", self.truncation),
            ("confidence", self.confidence),
            ("memory", self.memory),
            ("official.momentum", self.official.momentum),
        ];
        for (name, found) in shares {
            if !(0.0..=1.0).contains(&found) {
                return Err(ConfigError::Range { name, found, expected: "a number from 0 to 1" });
            }
        }
        let positive = [
            ("learning_rate", self.learning_rate),
            ("sharpness", self.sharpness),
            ("clip", self.clip.unwrap_or(1.0)),
        ];
        for (name, found) in positive {
            if !(found > 0.0 && found.is_finite()) {
                return Err(ConfigError::Range { name, found, expected: "a positive number" });
            }
        }
        for (name, found) in
            [("learning_rate_min", self.learning_rate_min), ("weight_decay", self.weight_decay)]
        {
            if !(found >= 0.0 && found.is_finite()) {
                return Err(ConfigError::Range { name, found, expected: "0 or a positive number" });
            }
        }
        let combination = |wrong: bool, why| if wrong { Err(ConfigError::Combination(why)) } else { Ok(()) };
        combination(
            self.warm_up >= self.epochs,
            "`warm_up` leaves no epoch in which operations are valued; it must be less than `epochs`",
        )?;
        combination(
            self.estimator == Estimator::Gradient && self.value != Value::Loss,
            "`estimator = \"gradient\"` needs `value = \"loss\"`: the others have no gradient; take \
             `estimator = \"walks\"` for them",
        )?;
        combination(
            self.value_sample == ValueSample::Walk && self.estimator != Estimator::Official,
            "`value_sample = \"walk\"` is for `estimator = \"official\"`: the others compare values between walks",
        )?;
        combination(
            labels < 2 && self.has_classes(),
            "classes need at least 2 labels; take `loss = \"bce\"` and another `value`",
        )
    }

    /// Returns the learning rate of an epoch.
    pub fn learning_rate_at(&self, epoch: usize) -> f64 {
        let period = self.schedule_epochs.unwrap_or(self.epochs) as f64;
        let moved = match self.schedule {
            Schedule::Cosine => epoch,
            Schedule::Official => epoch + 1,
        };
        let cosine = (std::f64::consts::PI * moved as f64 / period).cos();
        self.learning_rate_min + (self.learning_rate - self.learning_rate_min) * (1.0 + cosine) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_and_defaults_can_be_searched() {
        SearchConfig::default().check([3, 64, 64], 8).unwrap();
        SearchConfig::default().check([1, 28, 28], 2).unwrap();
        SearchConfig::preset(Preset::Official).check([3, 32, 32], 10).unwrap();
        SearchConfig::preset(Preset::Study).check([3, 64, 64], 14).unwrap();
        assert_eq!(SearchConfig::preset(Preset::StudyNeck).epochs, 10);
    }

    #[test]
    fn the_official_rate_ends_at_zero_and_the_studys_rises_again() {
        let official = SearchConfig::preset(Preset::Official);
        assert!(official.learning_rate_at(0) < 0.1);
        assert!(official.learning_rate_at(49).abs() < 1e-12);
        let study = SearchConfig::preset(Preset::Study);
        assert!(study.learning_rate_at(7).abs() < 1e-15);
        assert!(study.learning_rate_at(12) > study.learning_rate_at(9));
        let ours = SearchConfig::default();
        assert_eq!(ours.learning_rate_at(0), ours.learning_rate);
    }

    #[test]
    fn sides_are_reduced_to_what_can_be_halved_twice() {
        let config = SearchConfig::default();
        let sides = |height, width| {
            let geometry = config.geometry([3, height, width], 1);
            (geometry.height, geometry.width)
        };
        assert_eq!(sides(64, 64), (32, 32));
        assert_eq!(sides(28, 28), (28, 28));
        assert_eq!(sides(101, 75), (32, 24));
        let whole = SearchConfig { resolution: None, ..config.clone() };
        assert!(whole.check([3, 101, 75], 1).unwrap_err().to_string().contains("multiples of 4"));
    }

    #[test]
    fn settings_that_contradict_are_refused() {
        let refuse = |config: SearchConfig, labels, reason: &str| {
            let error = config.check([3, 32, 32], labels).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        };
        let default = SearchConfig::default;
        refuse(SearchConfig { warm_up: 10, ..default() }, 2, "leaves no epoch");
        refuse(SearchConfig { value: Value::Auroc, ..default() }, 2, "have no gradient");
        refuse(SearchConfig { batch: 1, ..default() }, 2, "`batch` is 1");
        refuse(SearchConfig { memory: 1.5, ..default() }, 2, "`memory` is 1.5");
        refuse(SearchConfig { loss: Loss::CrossEntropy, ..default() }, 1, "at least 2 labels");
        refuse(SearchConfig { channels: 18, ..default() }, 2, "multiple of 4");
    }
}
