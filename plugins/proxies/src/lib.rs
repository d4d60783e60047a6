//! Zero-cost proxies: scores of untrained networks. Larger is better in all of them.
//!
//! | id | looks at | source |
//! |---|---|---|
//! | `naswot` | which ReLUs are active for which image | Mellor et al., *Neural Architecture Search without Training*, ICML 2021 |
//! | `jacov` | how alike the gradients of the images are | the first version of the same paper, arXiv 2006.04647v1 |
//! | `synflow` | the flow through the absolute weights | Tanaka et al., NeurIPS 2020; Abdelfattah et al., ICLR 2021 |
//! | `vote` | all three | after Abdelfattah et al., ICLR 2021 |
//!
//! The contract gives structures to an architecture metric and no images, so the batch of `naswot` and
//! `jacov` is Gaussian noise, where the papers take training images.

#![deny(unsafe_code)]

mod jacov;
mod metric;
mod naswot;
mod network;
mod synflow;
#[cfg(test)]
mod tests;
mod undefined;
mod vote;

pub use metric::{BatchConfig, Jacov, Naswot, RepeatConfig, Synflow, Vote};

nashost_plugin_api::register!(architecture_metric: Jacov);
nashost_plugin_api::register!(architecture_metric: Naswot);
nashost_plugin_api::register!(architecture_metric: Synflow);
nashost_plugin_api::register!(architecture_metric: Vote);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"), torch: nashost_plugin_torch);
