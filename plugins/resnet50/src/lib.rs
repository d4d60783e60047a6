//! Residual networks as torchvision defines them: ResNet-18, -34 and -50 ("v1.5", where the 3×3
//! convolution of a bottleneck carries the stride).
//!
//! Nodes carry the names of torchvision's feature extractor (`layer1.0.relu_2`), weights those of
//! its checkpoints (`layer1.0.conv1.weight`), so that torchvision's and timm's files load as they
//! are.

#![deny(unsafe_code)]

mod architecture;
mod network;

pub use architecture::{Resnet, Resnet50, Resnet50Config, ResnetConfig, ResnetError};
pub use network::{Depth, ResnetSpec, graph};

nashost_plugin_api::register!(architecture: Resnet);
nashost_plugin_api::register!(architecture: Resnet50);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));
