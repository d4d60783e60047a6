//! A plugin that is built twice: as it is, and with `--cfg nashost_next_abi` as a plugin of a
//! later release, to prove that all pairs of old and new host and plugin work together.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, Score, ScoreContext},
    sdk,
};

/// Answers what it knows of its host.
pub struct Skew;

impl Component for Skew {
    const ID: &'static str = "skew";
    const DESCRIPTION: &'static str = "Tells releases apart.";
    type Config = Config;

    fn create(_: Config) -> PluginResult<Self> {
        Ok(Self)
    }
}

/// Nothing to configure.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl ArchitectureMetric for Skew {
    fn describe(&self) -> ArchitectureMetricInfo {
        #[cfg(nashost_next_abi)]
        let unit = format!("host generation {:?}", sdk::host_generation());
        #[cfg(not(nashost_next_abi))]
        let unit = "released plugin".to_owned();
        ArchitectureMetricInfo { direction: Direction::Higher, unit, parallel: true }
    }

    fn score(&self, candidates: &[Candidate], _: &ScoreContext) -> PluginResult<Vec<Score>> {
        sdk::check_cancelled()?;
        let score = Score { value: Some(1.0), spread: None, repeats: 1, seconds: 0.0, why: None };
        Ok(vec![score; candidates.len()])
    }
}

nashost_plugin_api::register!(architecture_metric: Skew);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));

// A later release knows one more extension.
#[cfg(nashost_next_abi)]
nashost_plugin_api::abi::private::inventory::submit! {
    nashost_plugin_api::abi::private::Extension::new("nashost.draft.next/1", &0_u8)
}
