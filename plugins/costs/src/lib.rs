//! Architecture metrics that say what a network costs: `params`, `macs` and `activation-memory`,
//! counted from the graph, and `latency`, measured on the run's device. And a control, `random`.

#![deny(unsafe_code)]

mod counted;
mod latency;
mod random;

pub use counted::{ActivationMemory, Better, Counted, CountedConfig, Macs, Params, Quantity};
pub use latency::{Latency, LatencyConfig};
pub use random::{Random, RandomConfig};

nashost_plugin_api::register!(architecture_metric: Counted<Params>);
nashost_plugin_api::register!(architecture_metric: Counted<Macs>);
nashost_plugin_api::register!(architecture_metric: Counted<ActivationMemory>);
nashost_plugin_api::register!(architecture_metric: Latency);
nashost_plugin_api::register!(architecture_metric: Random);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"), torch: nashost_plugin_torch);
