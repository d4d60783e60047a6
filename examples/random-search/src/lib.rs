//! A whole strategy plugin: random search.

use std::collections::BTreeMap;

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::Direction,
    seed::derive_seed,
    strategy::{HallOfFame, Outcome, Ranked, Request, SearchContext, SearchResult, Strategy, StrategyInfo},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Draws in a row that may break a budget before the search is given up.
const MOST_REJECTS: u64 = 20_000;

/// What users may set.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Structures to score.
    evaluations: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { evaluations: 50 }
    }
}

/// Random search. All of `state` goes into a checkpoint.
pub struct RandomSearch {
    config: Config,
    state: State,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    tries: u64,
    asked: u64,
    direction: Direction,
    open: BTreeMap<u64, serde_json::Value>,
    best: HallOfFame,
    rejected: BTreeMap<String, u64>,
}

impl Component for RandomSearch {
    const ID: &'static str = "random-search";
    const DESCRIPTION: &'static str = "Scores structures drawn at random and keeps the best.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        Ok(Self { config, state: State::default() })
    }
}

impl Strategy for RandomSearch {
    fn describe(&self) -> StrategyInfo {
        StrategyInfo {
            default_metric: Some("zen-score".to_owned()),
            lag: 8,
            proposals: Some(self.config.evaluations),
            ..StrategyInfo::default()
        }
    }

    fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>> {
        let state = &mut self.state;
        state.direction = context.direction();
        let mut requests = Vec::new();
        let mut rejects = 0;
        while requests.len() < n as usize && state.asked < self.config.evaluations {
            nashost_plugin_api::sdk::check_cancelled()?;
            let spec = context.sample(derive_seed(context.seed(), &format!("sample/{}", state.tries)))?;
            state.tries += 1;
            if let Some(budget) = context.violation(&spec)? {
                *state.rejected.entry(budget.clone()).or_default() += 1;
                rejects += 1;
                if rejects == MOST_REJECTS {
                    return Err(format!(
                        "{MOST_REJECTS} structures in a row broke a budget, the last one `{budget}`; loosen \
                         `search.budget`"
                    )
                    .into());
                }
                continue;
            }
            rejects = 0;
            let id = state.asked;
            state.asked += 1;
            state.open.insert(id, spec.clone());
            requests.push(Request::Score { id, spec, origin: "random".to_owned() });
        }
        Ok(requests)
    }

    fn tell(&mut self, outcomes: &[Outcome]) -> PluginResult<()> {
        for outcome in outcomes {
            let spec = self.state.open.remove(&outcome.id).ok_or("an outcome that nobody asked for")?;
            if let Some(value) = outcome.value {
                let reason = format!("draw {} of {}", outcome.id, self.config.evaluations);
                let ranked = Ranked { spec, value, id: outcome.id, reason };
                self.state.best.insert(self.state.direction, ranked);
            }
        }
        Ok(())
    }

    fn checkpoint(&self) -> PluginResult<Vec<u8>> {
        Ok(serde_json::to_vec(&self.state)?)
    }

    fn restore(&mut self, state: &[u8]) -> PluginResult<()> {
        self.state = serde_json::from_slice(state)?;
        Ok(())
    }

    fn result(&self) -> PluginResult<SearchResult> {
        Ok(SearchResult {
            ranked: self.state.best.ranked().to_vec(),
            steps: self.state.tries,
            rejected: self.state.rejected.clone(),
        })
    }
}

nashost_plugin_api::register!(strategy: RandomSearch);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));
