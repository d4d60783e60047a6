//! One-shot search: strategies that learn from images, by tensors.
//!
//! Such a strategy is a [`Strategy`](nashost_plugin_api::strategy::Strategy) that also implements
//! [`OneShot`] and is registered with [`register_one_shot!`](crate::register_one_shot). It answers the
//! extension `nashost.one_shot.v1`, and a host that knows it calls [`OneShot::step`] until the strategy
//! says that it has finished, instead of asking for proposals. Between two steps the host may save the
//! strategy, stop, and take it up again in another process.
//!
//! The images are those of the training part alone. The validation part, by which networks are
//! chosen, is never shown.

mod foreign;
mod table;

use std::collections::BTreeMap;

use nashost_plugin_api::{
    architecture::{Geometry, Spec},
    component::PluginResult,
    strategy::Strategy,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::Tensor;

pub use self::{
    foreign::ForeignOneShot,
    table::{ONE_SHOT_V1, OneShotV1, SamplesV1},
};

/// What a one-shot search is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OneShotTask {
    /// Sizes of the networks and of the images, of which there are as many channels.
    pub geometry: Geometry,
    /// Names of the labels.
    pub labels: Vec<String>,
    /// The structure that the space starts from. What a strategy recommends is like it in everything
    /// that the strategy does not decide.
    pub initial: Spec,
    /// Master seed of the search.
    pub seed: u64,
    /// Where to compute: `cpu` or `cuda:N`. Images and targets come on this device.
    pub device: String,
}

/// What a strategy means to do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OneShotPlan {
    /// Which images serve for what, in a sentence for the user.
    pub roles: String,
    /// The same for programs; kept in the record.
    #[serde(default)]
    pub details: Value,
    /// Number of steps, as far as it is known.
    #[serde(default)]
    pub steps: Option<u64>,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StepReport {
    /// What was done, in a word or two: `weights`, `values`.
    pub phase: String,
    /// Number of the epoch, from 1.
    pub epoch: u64,
    /// Numbers to remember, by name; all finite.
    #[serde(default)]
    pub numbers: BTreeMap<String, f64>,
    /// Number of steps of the whole search, as far as it is known now.
    #[serde(default)]
    pub steps: Option<u64>,
    /// Whether the search is over.
    pub finished: bool,
}

/// The targets of all images that a strategy may look at.
#[derive(Debug)]
pub struct Targets {
    /// 1 where a finding is present, 0 elsewhere: images × labels, fp32.
    pub targets: Tensor,
    /// 1 where a label was assessed, 0 elsewhere: images × labels, fp32.
    pub assessed: Tensor,
}

/// The images of the training part, seen from a strategy.
pub trait Samples {
    /// Returns the targets of all images.
    ///
    /// # Errors
    ///
    /// Fails if the host does.
    fn targets(&self) -> PluginResult<Targets>;

    /// Returns the images at `indices`, in that order and as often as they are named: normalised, fp32,
    /// N × channels × height × width. With a seed they are changed as the run changes training images;
    /// the change of an image depends on the seed and the image alone.
    ///
    /// # Errors
    ///
    /// Fails if an index is not below the number of images, or the device's memory is full.
    fn images(&mut self, indices: &[i64], augment: Option<u64>) -> PluginResult<Tensor>;
}

/// A strategy that learns from images. The host serialises the calls to one instance.
///
/// [`Strategy::describe`] says `uses_data`; [`Strategy::checkpoint`] and [`Strategy::restore`] save and
/// take up the search between two steps, the latter after [`OneShot::begin`]; [`Strategy::result`] gives
/// the structures. [`Strategy::ask`] is not called.
pub trait OneShot: Strategy {
    /// Prepares for the first step; called once, before anything else.
    ///
    /// # Errors
    ///
    /// Fails if the search is not possible for these images or this space, before it has cost anything.
    fn begin(&mut self, task: &OneShotTask, samples: &mut dyn Samples) -> PluginResult<OneShotPlan>;

    /// Does the next step: what takes some seconds, and may be lost.
    ///
    /// # Errors
    ///
    /// Fails if the search cannot go on.
    fn step(&mut self, samples: &mut dyn Samples) -> PluginResult<StepReport>;

    /// Returns what else there is to know of a search that is over, for the record.
    ///
    /// # Errors
    ///
    /// Fails if the search is not over.
    fn details(&self) -> PluginResult<Value>;
}

/// Registers a strategy as one-shot, beside `register!(strategy: …)`.
#[macro_export]
macro_rules! register_one_shot {
    ($strategy:ty) => {
        $crate::private::inventory::submit! {
            $crate::private::ComponentExtension::new::<$strategy, $crate::OneShotV1>(
                $crate::ONE_SHOT_V1,
                const { &$crate::OneShotV1::of::<$strategy>() },
            )
        }
    };
}
