//! A plugin that does what no plugin should, on request: for tests of what stops it.

mod dataset;
mod deeds;
mod metrics;

pub use self::{
    dataset::{Config, Malicious},
    deeds::Deed,
    metrics::{GradThief, Reseeder},
};

nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"), torch: nashost_plugin_torch);
