//! A random search that can go wrong.

use std::collections::BTreeMap;

use nashost_plugin_api::{
    architecture::Spec,
    component::{Component, PluginResult},
    metric::Direction,
    seed::derive_seed,
    strategy::{Fingerprints, Outcome, Ranked, Request, SearchContext, SearchResult, Strategy, StrategyInfo},
};
use serde::{Deserialize, Serialize};

use crate::{Config, never_the_same};

/// The strategy.
#[derive(Debug)]
pub struct WrongStrategy {
    config: Config,
    state: State,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    draws: u64,
    asked: u64,
    lower_is_better: bool,
    open: BTreeMap<u64, Spec>,
    scored: Vec<Ranked>,
}

impl Component for WrongStrategy {
    const ID: &'static str = "wrong-strategy";
    const DESCRIPTION: &'static str = "A random search that can go wrong.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        Ok(Self { config, state: State::default() })
    }
}

impl Strategy for WrongStrategy {
    fn describe(&self) -> StrategyInfo {
        let lag = if self.config.is("describe") { 1 + never_the_same() as u32 } else { 4 };
        StrategyInfo { lag, ..StrategyInfo::default() }
    }

    fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>> {
        self.config.enter();
        self.state.lower_is_better = context.direction() == Direction::Lower;
        let mut requests = Vec::new();
        for _ in 0..u64::from(n).min(30 - self.state.asked) {
            let spec = loop {
                self.state.draws += 1;
                let mut path = format!("draw/{}", self.state.draws);
                if self.config.is("seed") {
                    path += &never_the_same().to_string();
                }
                if self.config.is("lag") {
                    path += &n.to_string();
                }
                let spec = match self.state.open.values().next() {
                    Some(open) if self.config.is("twice") => open.clone(),
                    _ => context.sample(derive_seed(context.seed(), &path))?,
                };
                if self.config.is("budgets") || context.violation(&spec)?.is_none() {
                    break spec;
                }
            };
            let id = self.state.asked + u64::from(self.config.is("proposals"));
            self.state.asked += 1;
            self.state.open.insert(id, spec.clone());
            requests.push(Request::Score { id, spec, origin: "random".to_owned() });
        }
        Ok(requests)
    }

    fn tell(&mut self, outcomes: &[Outcome]) -> PluginResult<()> {
        for outcome in outcomes {
            let Some(spec) = self.state.open.remove(&outcome.id) else {
                if self.config.is("nonsense") {
                    continue;
                }
                return Err("an outcome that nobody asked for".into());
            };
            let value = if self.config.is("undefined") { outcome.value.or(Some(0.0)) } else { outcome.value };
            if let Some(value) = value {
                self.state.scored.push(Ranked { spec, value, id: outcome.id, reason: String::new() });
            }
        }
        Ok(())
    }

    fn checkpoint(&self) -> PluginResult<Vec<u8>> {
        Ok(serde_json::to_vec(&self.state)?)
    }

    fn restore(&mut self, state: &[u8]) -> PluginResult<()> {
        self.state = serde_json::from_slice(state)?;
        if self.config.is("checkpoint") {
            self.state.draws = 0;
        }
        Ok(())
    }

    fn result(&self) -> PluginResult<SearchResult> {
        let mut ranked = self.state.scored.clone();
        let ascending = self.state.lower_is_better || self.config.is("result");
        ranked.sort_by(|a, b| match ascending {
            true => a.value.total_cmp(&b.value),
            false => b.value.total_cmp(&a.value),
        });
        if !self.config.is("twice") {
            let mut met = Fingerprints::default();
            ranked.retain(|ranked| met.insert(&ranked.spec));
        }
        Ok(SearchResult { ranked, steps: self.state.draws, rejected: BTreeMap::new() })
    }
}
