//! Architecture metrics that say what a network costs: `params`, `macs` and `activation-memory`,
//! counted from the graph, and `latency`, measured on the run's device.

#![forbid(unsafe_code)]

mod counted;
mod latency;

pub use counted::{ActivationMemory, Counted, Macs, NoOptions, Params, Quantity};
pub use latency::{Latency, LatencyConfig};
