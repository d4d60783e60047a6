//! Trained networks as files that other programs read.
//!
//! A network is a [`Graph`](nashost_plugin_api::graph::Graph) and a safetensors file with its weights;
//! what a reader must know beside them is a [`Description`]. [`to_onnx`] makes one ONNX file of all
//! three. No torch is needed here; TorchScript, which needs it, is made by the host.

#![forbid(unsafe_code)]

mod description;
mod error;
mod model;
mod node;
mod pool;
mod proto;
#[cfg(test)]
mod tests;
mod weights;
mod wire;

pub use description::{Description, Input, Normalisation};
pub use error::ExportError;
pub use model::{IMAGES, IR_VERSION, LOGITS, OPSET, SCORES, to_onnx};
