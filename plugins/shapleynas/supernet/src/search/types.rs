//! What a search is given, and what it tells.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::roles::RolePlan;
use crate::{config::ConfigError, space::Tables, supernet::StateError};

/// A part of the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The training part.
    Train,
    /// The validation part; asked for with `roles = "validation"` only.
    Validation,
}

/// Images with their labels.
#[derive(Debug)]
pub struct Batch {
    /// `[n, channels, height, width]`, fp32, normalised.
    pub images: Tensor,
    /// `[n, labels]`, fp32: 1 is present, 0 absent.
    pub targets: Tensor,
    /// `[n, labels]`, fp32: 1 where the label was assessed, else 0.
    pub assessed: Tensor,
}

/// The images of a search.
pub trait Samples {
    /// Returns the number of images of a part.
    fn len(&self, role: Role) -> usize;

    /// Returns whether a part has no images.
    fn is_empty(&self, role: Role) -> bool {
        self.len(role) == 0
    }

    /// Returns all targets of a part, and which were assessed, both `[n, labels]` in fp32.
    ///
    /// # Errors
    ///
    /// Fails if they cannot be had.
    fn targets(&self, role: Role) -> Result<(Tensor, Tensor), SamplesError>;

    /// Returns images of a part by their places in it. `augment` tells whether they may be augmented.
    /// Equal calls must return equal images between steps, also in a later process.
    ///
    /// # Errors
    ///
    /// Fails if they cannot be had.
    fn batch(&mut self, role: Role, indices: &[i64], augment: Augment) -> Result<Batch, SamplesError>;
}

/// Whether, and from which seed, images are augmented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Augment {
    /// As they are.
    No,
    /// By draws that follow from the seed.
    Seed(u64),
}

/// Why images could not be had.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SamplesError(pub Box<dyn std::error::Error + Send + Sync>);

/// Why a search stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// It cannot be configured so.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Images could not be had.
    #[error("fetch images for the search")]
    Samples(#[source] SamplesError),
    /// Images of another shape.
    #[error("the search got images of shape {found:?}, expected {expected:?}")]
    Shape {
        /// What came.
        found: Vec<i64>,
        /// What was announced.
        expected: Vec<i64>,
    },
    /// Too few images for a role.
    #[error("{images} images are too few: {need}")]
    TooFew {
        /// How many there are.
        images: usize,
        /// What they are needed for.
        need: &'static str,
    },
    /// Images of no class, or of several.
    #[error(
        "{wrong} of {images} images have no label, several, or one that was not assessed, but `loss = \
         \"cross-entropy\"` and `value = \"accuracy\"` are for images of exactly one class; take `loss = \"bce\"` \
         and another `value`, such as \"loss\""
    )]
    Classes {
        /// How many of them.
        wrong: usize,
        /// How many images there are.
        images: usize,
    },
    /// The chosen value cannot be computed from any sample of the images.
    #[error("`value = \"{value}\"` is undefined: {why}; take `value = \"loss\"`")]
    Undefined {
        /// The value.
        value: &'static str,
        /// What is missing.
        why: &'static str,
    },
    /// The loss is no number.
    #[error("epoch {epoch}: the supernet's training loss is {loss}; try a lower `learning_rate`, or `clip`")]
    Diverged {
        /// The epoch.
        epoch: usize,
        /// The loss.
        loss: f64,
    },
    /// The alphas are no numbers.
    #[error(
        "epoch {epoch}: all scores of a cell type are equal, and the alphas are NaN from here on, as in the \
         official code; set `official.nan_on_equal = false`"
    )]
    NotANumber {
        /// The epoch.
        epoch: usize,
    },
    /// libtorch refused something.
    #[error("libtorch: {0}")]
    Torch(String),
    /// It was over.
    #[error("the search is finished, there is no further step")]
    Finished,
    /// A checkpoint of something else.
    #[error("the checkpoint is not this search's: {0}")]
    Checkpoint(String),
    /// The supernet's tensors in a checkpoint.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What a step was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// An epoch of training weights.
    Training,
    /// A walk.
    Walk,
    /// A group of mask gradients.
    Gradients,
    /// Exact marginal contributions beside gradients.
    Correction,
}

/// Images that passed through the supernet so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Forward and backward, to train weights.
    pub training: u64,
    /// Forward, to value operations.
    pub forward: u64,
    /// Backward, to value operations.
    pub backward: u64,
}

/// What is known about the operations' values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// Estimated Shapley values, or official scores, of the players.
    pub mean: Vec<f64>,
    /// Standard errors.
    pub error: Vec<f64>,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The kind.
    pub what: What,
    /// The epoch, from 0.
    pub epoch: usize,
    /// Mean training loss of the epoch.
    pub loss: Option<f64>,
    /// Learning rate of the epoch.
    pub learning_rate: Option<f64>,
    /// Value of the full supernet on the images that value operations.
    pub full: Option<f64>,
    /// Values after this step, over all epochs so far, if they have changed.
    pub values: Option<Values>,
    /// Edges whose best operation and nodes whose two best edges are distinguished, of 28 and 8.
    pub separated: Option<[usize; 2]>,
    /// All work so far.
    pub cost: Cost,
    /// Steps made.
    pub done: usize,
    /// Steps of the search, at most.
    pub steps: usize,
    /// Whether this was the last one.
    pub finished: bool,
}

/// One update of the alphas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The epoch.
    pub epoch: usize,
    /// This epoch's estimate alone.
    pub estimate: Values,
    /// The estimate over all epochs so far.
    pub values: Values,
    /// Walks or groups of gradients.
    pub samples: usize,
    /// Edges and nodes that are decided; see [`Step::separated`].
    pub separated: [usize; 2],
    /// Value of the full supernet.
    pub full: f64,
    /// All work so far.
    pub cost: Cost,
}

/// What a search has found so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchResult {
    /// `[normal, reduce][edge][operation]`, from which cells are derived.
    pub alphas: Tables,
    /// Softmax of the alphas, per edge.
    pub softmax: Tables,
    /// Values in the order of players, unless operations were never valued.
    pub values: Option<Values>,
    /// The updates, one after the other.
    pub history: Vec<Record>,
    /// Mean training loss of each epoch.
    pub losses: Vec<f64>,
    /// Which images had which role.
    pub roles: Option<RolePlan>,
    /// All work.
    pub cost: Cost,
}
