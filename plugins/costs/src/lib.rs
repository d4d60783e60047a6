//! Architecture metrics that say what a network costs: `params`, `macs` and `activation-memory`,
//! counted from the graph, and `latency`, measured on the run's device.

#![deny(unsafe_code)]

mod counted;
mod latency;

pub use counted::{ActivationMemory, Counted, Macs, NoOptions, Params, Quantity};
pub use latency::{Latency, LatencyConfig};

nashost_plugin_api::register!(architecture_metric: Counted<Params>);
nashost_plugin_api::register!(architecture_metric: Counted<Macs>);
nashost_plugin_api::register!(architecture_metric: Counted<ActivationMemory>);
nashost_plugin_api::register!(architecture_metric: Latency);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"), torch: nashost_plugin_torch);
