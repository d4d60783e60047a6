//! A plugin whose components break one rule of the contract on request, and keep all others: that is
//! how it is known that the author kit finds what it looks for.

mod architecture;
mod dataset;
mod metrics;
mod strategy;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::Deserialize;

pub use architecture::WrongArchitecture;
pub use dataset::WrongDataset;
pub use metrics::{LaxMetric, WrongArchitectureMetric, WrongPredictionMetric};
pub use strategy::WrongStrategy;

/// What is wrong.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Id of the rule to break.
    pub wrong: String,
}

impl Config {
    fn is(&self, rule: &str) -> bool {
        self.wrong == rule
    }

    /// Does what a process shows.
    fn enter(&self) {
        match self.wrong.as_str() {
            "stdout" => {
                #[expect(clippy::print_stdout, reason = "that is what is wrong")]
                {
                    println!("hello from a plugin");
                }
            }
            "memory" => {
                std::hint::black_box(Box::leak(vec![1_u8; 4 << 20].into_boxed_slice()));
            }
            "threads-stay" => drop(std::thread::spawn(|| {
                loop {
                    std::thread::park();
                }
            })),
            "files" => std::mem::forget(std::fs::File::open("/proc/self/status")),
            "crash" => std::process::abort(),
            "panic" => panic!("told to panic"),
            "cancel" if nashost_plugin_api::sdk::check_cancelled().is_err() => loop {
                std::thread::park();
            },
            _ => {}
        }
    }
}

/// A number that is another one each time, whatever the seed.
fn never_the_same() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed)
}

/// A number that is another one in each thread.
fn of_this_thread() -> u64 {
    thread_local!(static NUMBER: u64 = never_the_same());
    NUMBER.with(|number| *number)
}

nashost_plugin_api::register!(strategy: WrongStrategy);
nashost_plugin_api::register!(architecture: WrongArchitecture);
nashost_plugin_api::register!(dataset: WrongDataset);
nashost_plugin_api::register!(prediction_metric: WrongPredictionMetric);
nashost_plugin_api::register!(architecture_metric: WrongArchitectureMetric);
nashost_plugin_api::register!(architecture_metric: LaxMetric);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));
