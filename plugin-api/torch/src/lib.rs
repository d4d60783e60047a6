//! Tensors for nashost plugins: architecture graphs as networks, weights, and hand-over between
//! plugins that share one libtorch.
//!
//! A [`Network`] is a graph compiled to indices; it owns no tensor. [`Weights`] are its tensors.
//! All random numbers come from portable generators, except dropout masks, which libtorch draws.

mod checkpoint;
mod convolution;
mod depthwise;
pub mod deterministic;
mod device;
mod error;
mod floats;
mod handle;
mod handover;
mod initialize;
mod memory;
mod network;
mod normal;
mod normalise;
mod one_shot;
mod run;
mod weights;

pub use checkpoint::to_safetensors;
pub use convolution::conv2d;
pub use device::{channels_last, parse_device};
pub use error::{CheckpointProblem, TorchError};
pub use handle::{GradGuard, TensorHandle, TensorRef, TensorVt};
pub use handover::{ForeignHandover, HANDOVER, HANDOVER_V1, Handover, check_handover};
pub use memory::{keep_freed_memory, release_freed_memory};
pub use network::{Network, Parameter};
pub use normal::{fill_gaussian, gaussian};
pub use normalise::normalise_batch;
pub use one_shot::{
    ForeignOneShot, ONE_SHOT_V1, OneShot, OneShotPlan, OneShotTask, OneShotV1, Samples, SamplesV1,
    StepReport, Targets,
};
pub use run::{Mode, apply};
pub use weights::Weights;

/// The word by which host and plugins make sure that they mean the same libtorch:
/// `aoti_torch_abi_version()` of 2.11.0.
pub const LIBTORCH_ABI: u64 = 0x020b_0000_0000_0000;

/// Version of libtorch that plugins are built for, as JSON for their manifests.
pub const LIBTORCH_JSON: &str = "\"2.11.0\"";

/// What the macros expand to; not for direct use.
#[doc(hidden)]
pub mod private {
    pub use nashost_plugin_api::abi::private::{ComponentExtension, inventory};
}
