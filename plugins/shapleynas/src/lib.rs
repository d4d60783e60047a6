//! Shapley-NAS: the strategy `shapleynas`, and the architectures `darts` and `nb201`, which any strategy
//! can search.

#![deny(unsafe_code)]

pub mod architecture;
pub mod strategy;

use architecture::{DartsSpace, Nb201Space};
use strategy::ShapleyNas;

nashost_plugin_api::register!(architecture: DartsSpace);
nashost_plugin_api::register!(architecture: Nb201Space);
nashost_plugin_api::register!(strategy: ShapleyNas);
nashost_plugin_torch::register_one_shot!(ShapleyNas);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"), torch: nashost_plugin_torch);
