//! Shapley-NAS and its networks: the architectures `darts` and `nb201`, which any strategy can search.

#![deny(unsafe_code)]

pub mod architecture;

use architecture::{DartsSpace, Nb201Space};

nashost_plugin_api::register!(architecture: DartsSpace);
nashost_plugin_api::register!(architecture: Nb201Space);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"), torch: nashost_plugin_torch);
