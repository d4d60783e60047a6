//! The strategy `random`.

use std::collections::BTreeMap;

use nashost_plugin_api::{
    architecture::Spec,
    component::{Component, PluginResult},
    metric::Direction,
    sdk,
    seed::derive_seed,
    strategy::{HallOfFame, Outcome, Ranked, Request, SearchContext, SearchResult, Strategy, StrategyInfo},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What users may set.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RandomConfig {
    /// Structures to draw and score. 1 with the metric `random` is a structure at random; more, with
    /// another metric, are a random search by that metric.
    #[schemars(range(min = 1))]
    pub evaluations: u64,
    /// Draws in a row that may break a budget before the search is given up.
    #[schemars(range(min = 1))]
    pub max_rejects: u64,
}

impl Default for RandomConfig {
    fn default() -> Self {
        Self { evaluations: 1, max_rejects: 20_000 }
    }
}

/// Random search.
#[derive(Debug)]
pub struct RandomStrategy {
    config: RandomConfig,
    state: State,
}

/// All that a checkpoint needs.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    draws: u64,
    asked: u64,
    direction: Direction,
    open: BTreeMap<u64, Spec>,
    best: HallOfFame,
    rejected: BTreeMap<String, u64>,
}

impl Component for RandomStrategy {
    const ID: &'static str = "random";
    const DESCRIPTION: &'static str =
        "draws structures at random within the budgets, the control of every search";
    type Config = RandomConfig;

    fn create(config: RandomConfig) -> PluginResult<Self> {
        Ok(Self { config, state: State::default() })
    }
}

impl RandomStrategy {
    /// Draws until a structure keeps all budgets.
    fn draw(&mut self, context: &dyn SearchContext) -> PluginResult<Spec> {
        let mut rejects = 0;
        loop {
            sdk::check_cancelled()?;
            let draw = self.state.draws;
            self.state.draws += 1;
            let spec = context.sample(derive_seed(context.seed(), &format!("draw/{draw}")))?;
            let Some(budget) = context.violation(&spec)? else { return Ok(spec) };
            *self.state.rejected.entry(budget.clone()).or_default() += 1;
            rejects += 1;
            if rejects >= self.config.max_rejects {
                return Err(format!(
                    "{rejects} structures in a row broke a budget, the last one `{budget}`; loosen `search.budget`"
                )
                .into());
            }
        }
    }
}

impl Strategy for RandomStrategy {
    fn describe(&self) -> StrategyInfo {
        StrategyInfo {
            default_metric: Some("random".to_owned()),
            // Draws know nothing of each other.
            lag: 64,
            proposals: Some(self.config.evaluations),
            ..StrategyInfo::default()
        }
    }

    fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>> {
        self.state.direction = context.direction();
        let left = self.config.evaluations.saturating_sub(self.state.asked).min(n.into());
        let mut requests = Vec::new();
        for _ in 0..left {
            let spec = self.draw(context)?;
            let id = self.state.asked;
            self.state.asked += 1;
            self.state.open.insert(id, spec.clone());
            requests.push(Request::Score { id, spec, origin: "random".to_owned() });
        }
        Ok(requests)
    }

    fn tell(&mut self, outcomes: &[Outcome]) -> PluginResult<()> {
        for outcome in outcomes {
            let spec = self.state.open.remove(&outcome.id).ok_or("an outcome that nobody asked for")?;
            if let Some(value) = outcome.value {
                let reason = format!("draw {} of {}", outcome.id + 1, self.config.evaluations);
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
            steps: self.state.draws,
            rejected: self.state.rejected.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Numbers below 1000; those above `limit` break the budget `size`.
    struct Numbers {
        limit: u64,
        direction: Direction,
    }

    impl SearchContext for Numbers {
        fn initial(&self) -> PluginResult<Spec> {
            Err("not needed".into())
        }

        fn sample(&self, seed: u64) -> PluginResult<Spec> {
            Ok(json!(seed % 1000))
        }

        fn mutate(&self, _: &Spec, _: u32, _: u64) -> PluginResult<Spec> {
            Err("not needed".into())
        }

        fn violation(&self, spec: &Spec) -> PluginResult<Option<String>> {
            Ok((spec.as_u64() > Some(self.limit)).then(|| "size".to_owned()))
        }

        fn direction(&self) -> Direction {
            self.direction
        }

        fn seed(&self) -> u64 {
            7
        }
    }

    fn strategy(evaluations: u64) -> RandomStrategy {
        RandomStrategy::create(RandomConfig { evaluations, max_rejects: 1000 }).unwrap()
    }

    /// Asks for `batch` at a time and scores a number with itself; goes through a checkpoint after
    /// every step if `interrupted`.
    fn search(context: &Numbers, batch: u32, interrupted: bool) -> SearchResult {
        let mut search = strategy(20);
        loop {
            let requests = search.ask(context, batch).unwrap();
            if requests.is_empty() {
                return search.result().unwrap();
            }
            let outcomes: Vec<Outcome> = requests
                .iter()
                .map(|r| Outcome { id: r.id(), value: r.spec().as_f64(), spread: None, why: None })
                .collect();
            search.tell(&outcomes).unwrap();
            if interrupted {
                let state = search.checkpoint().unwrap();
                search = strategy(20);
                search.restore(&state).unwrap();
            }
        }
    }

    #[test]
    fn the_best_draw_within_the_budget_comes_first() {
        for direction in [Direction::Higher, Direction::Lower] {
            let result = search(&Numbers { limit: 300, direction }, 3, false);
            let values: Vec<f64> = result.ranked.iter().map(|ranked| ranked.value).collect();
            assert_eq!(values.len(), 20);
            assert!(values.iter().all(|value| *value <= 300.0), "{values:?}");
            let ordered = |pair: &[f64]| match direction {
                Direction::Higher => pair[0] >= pair[1],
                Direction::Lower => pair[0] <= pair[1],
            };
            assert!(values.windows(2).all(ordered), "{values:?}");
            assert_eq!(result.steps, 20 + result.rejected["size"]);
        }
    }

    #[test]
    fn batches_and_interruptions_change_nothing() {
        let context = Numbers { limit: 300, direction: Direction::Higher };
        let whole = search(&context, 20, false);
        assert_eq!(search(&context, 1, false), whole);
        assert_eq!(search(&context, 7, true), whole);
    }

    #[test]
    fn a_budget_that_nothing_keeps_ends_the_search_with_its_name() {
        let context = Numbers { limit: 0, direction: Direction::Higher };
        let mut search = RandomStrategy::create(RandomConfig { evaluations: 9, max_rejects: 10 }).unwrap();
        let error = search.ask(&context, 9).unwrap_err().to_string();
        assert!(error.starts_with("10 structures in a row") && error.contains("`size`"), "{error}");
    }
}
