//! Tabular benchmarks: what others have trained already, looked up in microseconds.
//!
//! The metrics `nb201-accuracy` and `nb201-proxy` answer from the [table](nashost_nb201::Table) of
//! NAS-Bench-201 for structures of the space `nb201`, so that any search can be tried on known results,
//! without training. `nb201-idle` counts the operations of a cell that do nothing; as a budget it keeps
//! a search to the 9,445 cells without any.

#![deny(unsafe_code)]

mod metric;

pub use metric::{Accuracy, AccuracyConfig, Idle, IdleConfig, ProxyConfig, ProxyScore};

nashost_plugin_api::register!(architecture_metric: Accuracy);
nashost_plugin_api::register!(architecture_metric: Idle);
nashost_plugin_api::register!(architecture_metric: ProxyScore);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));
