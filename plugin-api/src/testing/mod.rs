//! The author kit: the rules of the contract, tried on a component.
//!
//! A unit test of a plugin calls [`strategy`], [`architecture`], [`dataset`], [`prediction_metric`]
//! or [`architecture_metric`] with its type and its settings. The component is then driven through
//! the tables of the boundary, as a host does, in the process of the test:
//!
//! ```
//! use nashost_plugin_api::testing;
//! # use nashost_plugin_api::{
//! #     component::{Component, PluginResult},
//! #     metric::{ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, Score, ScoreContext},
//! # };
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! # #[serde(deny_unknown_fields, default)]
//! # struct Config {}
//! # impl Default for Config { fn default() -> Self { Self {} } }
//! # struct Nodes;
//! # impl Component for Nodes {
//! #     const ID: &'static str = "nodes";
//! #     const DESCRIPTION: &'static str = "number of nodes";
//! #     type Config = Config;
//! #     fn create(_: Config) -> PluginResult<Self> { Ok(Self) }
//! # }
//! # impl ArchitectureMetric for Nodes {
//! #     fn describe(&self) -> ArchitectureMetricInfo {
//! #         ArchitectureMetricInfo { direction: Direction::Higher, unit: String::new(), parallel: true }
//! #     }
//! #     fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> PluginResult<Vec<Score>> {
//! #         if context.device != "cpu" { return Err("only on the CPU".into()); }
//! #         let score = |c: &Candidate| {
//! #             let value = Some(c.graph.nodes.len() as f64);
//! #             Score { value, spread: None, repeats: 1, seconds: 0.0, why: None }
//! #         };
//! #         Ok(candidates.iter().map(score).collect())
//! #     }
//! # }
//! testing::architecture_metric::<Nodes>(serde_json::json!({})).assert_passed();
//! ```
//!
//! `nashost plugin test FILE` tries the same rules on a built plugin in processes of their own, and
//! those rules besides that only a process can show: nothing on standard output, nothing leaked, one
//! libtorch, a stop when asked.
//!
//! [`ToySpace`] is a small search space for tests of strategies; [`Search`] drives one to its end.

mod architecture;
mod architecture_metric;
mod bench;
mod dataset;
mod local;
mod prediction_metric;
mod search;
mod strategy;
mod toy;

pub use architecture::architecture_rules;
pub use architecture_metric::architecture_metric_rules;
pub use bench::{Bench, Check, Event, Finding, RULES, Trouble, Verdict, rules_of};
pub use dataset::dataset_rules;
pub use local::{
    architecture, architecture_metric, dataset, local_architecture, local_architecture_metric, local_dataset,
    local_prediction_metric, local_strategy, prediction_metric, strategy,
};
pub use prediction_metric::prediction_metric_rules;
pub use search::{Manner, Proposal, Search, Trace};
pub use strategy::{Values, strategy_rules, strategy_rules_by};
pub use toy::{ForeignSpace, ToySpace};
