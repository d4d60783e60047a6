//! The components.

use nashost_cells::{CellStructure, Nb201};
use nashost_nb201::{CELLS, CHANNELS, Dataset, Proxy, Table, idle};
use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, Score, ScoreContext},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What users may set of `nb201-accuracy`.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccuracyConfig {
    /// What the networks of the table were trained on.
    pub dataset: Dataset,
}

/// What users may set of `nb201-proxy`.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyConfig {
    /// What the networks of the table were scored for.
    pub dataset: Dataset,
    /// The score.
    pub proxy: Proxy,
}

/// Nothing can be set of `nb201-idle`.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdleConfig {}

/// Reads a structure of `nb201`.
fn network(candidate: &Candidate) -> Result<Nb201, String> {
    Nb201::deserialize(&candidate.spec).map_err(|error| format!("not a structure of `nb201`: {error}"))
}

/// Reads the cell of a structure whose skeleton is the benchmark's.
fn measured(candidate: &Candidate) -> Result<CellStructure, String> {
    let Nb201 { cell, channels, cells } = network(candidate)?;
    if (channels, cells) != (CHANNELS, CELLS) {
        return Err(format!(
            "NAS-Bench-201 has networks of {CHANNELS} channels and {CELLS} cells, not of {channels} and {cells}"
        ));
    }
    Ok(cell)
}

fn score_all(candidates: &[Candidate], value: impl Fn(&Candidate) -> Result<f64, String>) -> Vec<Score> {
    let score = |candidate: &Candidate| {
        let value = value(candidate);
        let why = value.as_ref().err().cloned();
        Score { value: value.ok(), spread: None, repeats: 1, seconds: 0.0, why }
    };
    candidates.iter().map(score).collect()
}

fn info(direction: Direction, unit: &str) -> ArchitectureMetricInfo {
    ArchitectureMetricInfo { direction, unit: unit.to_owned(), parallel: true }
}

/// The metric `nb201-accuracy`: accuracy on the validation part, in percent, of the trained network.
/// Sizes of the run's images and its labels do not matter.
#[derive(Debug, Clone, Copy)]
pub struct Accuracy {
    config: AccuracyConfig,
    table: &'static Table,
}

impl Component for Accuracy {
    const ID: &'static str = "nb201-accuracy";
    const DESCRIPTION: &'static str =
        "published accuracy of a network of NAS-Bench-201 on its validation images, from a table";
    type Config = AccuracyConfig;

    fn create(config: AccuracyConfig) -> PluginResult<Self> {
        Ok(Self { config, table: Table::shipped()? })
    }
}

impl ArchitectureMetric for Accuracy {
    fn describe(&self) -> ArchitectureMetricInfo {
        info(Direction::Higher, "%")
    }

    fn score(&self, candidates: &[Candidate], _: &ScoreContext) -> PluginResult<Vec<Score>> {
        Ok(score_all(candidates, |candidate| {
            Ok(self.table.accuracy(self.config.dataset, measured(candidate)?))
        }))
    }
}

/// The metric `nb201-proxy`: a published score of the untrained network.
#[derive(Debug, Clone, Copy)]
pub struct ProxyScore {
    config: ProxyConfig,
    table: &'static Table,
}

impl Component for ProxyScore {
    const ID: &'static str = "nb201-proxy";
    const DESCRIPTION: &'static str =
        "published zero-cost score of a network of NAS-Bench-201, from a table: synflow, vote, …";
    type Config = ProxyConfig;

    fn create(config: ProxyConfig) -> PluginResult<Self> {
        Ok(Self { config, table: Table::shipped()? })
    }
}

impl ArchitectureMetric for ProxyScore {
    fn describe(&self) -> ArchitectureMetricInfo {
        info(Direction::Higher, "")
    }

    fn score(&self, candidates: &[Candidate], _: &ScoreContext) -> PluginResult<Vec<Score>> {
        let ProxyConfig { dataset, proxy } = self.config;
        Ok(score_all(candidates, |candidate| {
            let score = self.table.score(dataset, proxy, measured(candidate)?);
            score.ok_or_else(|| "the published calculation of this score failed".to_owned())
        }))
    }
}

/// The metric `nb201-idle`: number of operations on no path from a cell's input to its output.
#[derive(Debug, Clone, Copy)]
pub struct Idle;

impl Component for Idle {
    const ID: &'static str = "nb201-idle";
    const DESCRIPTION: &'static str =
        "operations of a cell of NAS-Bench-201 on no path from its input to its output; a budget";
    type Config = IdleConfig;

    fn create(_: IdleConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl ArchitectureMetric for Idle {
    fn describe(&self) -> ArchitectureMetricInfo {
        info(Direction::Lower, "")
    }

    fn score(&self, candidates: &[Candidate], _: &ScoreContext) -> PluginResult<Vec<Score>> {
        Ok(score_all(candidates, |candidate| Ok(idle(network(candidate)?.cell) as f64)))
    }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::{architecture::Geometry, testing};
    use serde_json::{Value, json};

    use super::*;

    const CELL: &str = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|skip_connect~1|nor_conv_3x3~2|";

    /// Scores a structure through the tables of the boundary.
    fn score<M: ArchitectureMetric>(settings: &Value, spec: Value) -> Score {
        let geometry = Geometry { input: [3, 64, 64], outputs: 8 };
        let build = |network: Nb201| network.build(&geometry).unwrap().into_graph();
        let graph = Nb201::deserialize(&spec).map(build);
        let graph = graph.unwrap_or_else(|_| testing::ToySpace::network(&json!([4, 4])).unwrap());
        let candidate = Candidate { spec, graph, counters: Default::default(), seed: 1 };
        let context = ScoreContext { geometry, device: "cpu".to_owned() };
        let metric = testing::local_architecture_metric::<M>(settings).unwrap();
        metric.score(&[candidate], &context).unwrap().remove(0)
    }

    #[test]
    fn the_contract_is_kept() {
        let benches = [
            testing::architecture_metric::<Accuracy>(json!({"dataset": "imagenet16-120"})),
            testing::architecture_metric::<ProxyScore>(json!({"proxy": "vote"})),
            testing::architecture_metric::<Idle>(json!({})),
        ];
        for finding in benches.iter().flat_map(|bench| bench.findings()) {
            // The kit's networks are of another space, so they have reasons instead of values.
            let is_expected = match finding.rule.as_str() {
                "defined" => finding.verdict == testing::Verdict::Skipped,
                _ => finding.verdict == testing::Verdict::Passed,
            };
            assert!(is_expected, "{finding:?}");
        }
    }

    #[test]
    fn the_recipe_is_of_components_that_are_there() {
        let manifest: Value = serde_json::from_str(include_str!("../manifest.json")).unwrap();
        let recipe = &manifest["recipe"];
        assert_eq!(recipe["score"], json!({"plugin": Accuracy::ID}));
        let budget = &recipe["search"]["budget"][0];
        assert_eq!(budget["kind"], Idle::ID);
        // A budget is above 0, and this one keeps cells without idle operations only.
        assert!((0.0..1.0).contains(&budget["max"].as_f64().filter(|max| *max > 0.0).unwrap()));
    }

    #[test]
    fn answers_are_those_of_the_table() {
        let spec = json!({"cell": CELL, "channels": 16, "cells": 5});
        let cell = CELL.parse().unwrap();
        let table = Table::shipped().unwrap();
        let accuracy = table.accuracy(Dataset::Cifar10, cell);
        assert_eq!(score::<Accuracy>(&json!({}), spec.clone()).value, Some(accuracy));
        let settings = json!({"dataset": "imagenet16-120", "proxy": "grad_norm"});
        let gradients = table.score(Dataset::Imagenet16, Proxy::GradNorm, cell);
        assert!(gradients.is_some());
        assert_eq!(score::<ProxyScore>(&settings, spec.clone()).value, gradients);
        assert_eq!(score::<Idle>(&json!({}), spec).value, Some(1.0));
    }

    #[test]
    fn what_was_not_measured_has_no_value_but_a_reason() {
        let small = json!({"cell": CELL, "channels": 8, "cells": 5});
        let score_of_small = score::<Accuracy>(&json!({}), small.clone());
        assert_eq!(score_of_small.value, None);
        assert!(score_of_small.why.unwrap().contains("not of 8 and 5"));
        assert_eq!(score::<Idle>(&json!({}), small).value, Some(1.0), "the skeleton has no idle operations");
        let other = score::<ProxyScore>(&json!({}), json!([8, 12, 8]));
        assert!(other.why.unwrap().starts_with("not a structure of `nb201`"));
        let nothing = json!({
            "cell": "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "channels": 16, "cells": 5
        });
        assert_eq!(score::<ProxyScore>(&json!({"proxy": "nwot"}), nothing.clone()).value, None);
        assert_eq!(score::<Accuracy>(&json!({}), nothing).value, Some(10.0));
        for wrong in [json!({"dataset": "cifar"}), json!({"split": "test"})] {
            assert!(testing::local_architecture_metric::<Accuracy>(&wrong).is_err(), "{wrong}");
        }
    }
}
