//! The strategy `regularized-evolution`.

use std::collections::VecDeque;

use nashost_plugin_api::{
    component::{Component, PluginResult},
    seed::{derive_seed, rng},
    strategy::{Outcome, Request, SearchContext, SearchResult, Strategy, StrategyInfo},
};
use rand::Rng as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    draw::Draws,
    ledger::{Ledger, Scored},
};

/// What users may set. The names are those of the paper's algorithm 1.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvolutionConfig {
    /// Structures to score, those of the first population included.
    #[schemars(range(min = 1))]
    pub evaluations: u64,
    /// Structures that live at a time (P); the oldest one dies when another is scored.
    #[schemars(range(min = 1))]
    pub population: u32,
    /// Members that compete for being the next parent (S), drawn with replacement. 1 is a random walk.
    #[schemars(range(min = 1))]
    pub sample: u32,
    /// Children that are scored at the same time. Parents then do not know the last `parallel - 1`
    /// outcomes; the paper's distributed search has the same property.
    #[schemars(range(min = 1, max = 256))]
    pub parallel: u32,
}

impl Default for EvolutionConfig {
    fn default() -> Self {
        // For budgets of some hundred scores; the paper has P = 100, S = 25 for 20 000 trainings.
        Self { evaluations: 200, population: 30, sample: 10, parallel: 4 }
    }
}

/// Regularised, or ageing, evolution.
#[derive(Debug)]
pub struct RegularizedEvolution {
    config: EvolutionConfig,
    state: State,
}

/// All that a checkpoint needs.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    draws: Draws,
    ledger: Ledger,
    /// Oldest first.
    population: VecDeque<Scored>,
}

impl Component for RegularizedEvolution {
    const ID: &'static str = "regularized-evolution";
    const DESCRIPTION: &'static str =
        "ageing evolution: the best of a random sample is mutated, the oldest member dies";
    type Config = EvolutionConfig;

    fn create(config: EvolutionConfig) -> PluginResult<Self> {
        let EvolutionConfig { evaluations, population, sample, parallel } = config;
        if evaluations == 0 || population == 0 || sample == 0 || !(1..=256).contains(&parallel) {
            return Err(
                "`evaluations`, `population` and `sample` are at least 1, `parallel` is from 1 to 256".into(),
            );
        }
        Ok(Self { config, state: State::default() })
    }
}

impl RegularizedEvolution {
    /// Draws S members and returns the best of them.
    fn parent(&self, seed: u64) -> Option<&Scored> {
        let population = &self.state.population;
        let mut rng = rng(derive_seed(seed, &format!("parent/{}", self.state.ledger.asked)));
        let draws = (0..self.config.sample).filter(|_| !population.is_empty());
        let drawn = draws.map(|_| &population[rng.random_range(0..population.len())]);
        drawn.reduce(|best, other| if other.beats(best) { other } else { best })
    }

    fn propose(&mut self, context: &dyn SearchContext) -> PluginResult<Request> {
        // While the first population is being filled, and if all of it failed, structures are drawn.
        let is_first = self.state.ledger.asked < self.config.population.into();
        let parent = if is_first { None } else { self.parent(context.seed()).cloned() };
        let parent = parent.filter(|parent| parent.merit.is_some());
        let spec = self.state.draws.draw(context, parent.as_ref().map(|parent| &parent.spec))?;
        let origin =
            parent.map_or_else(|| "random".to_owned(), |parent| format!("mutation of {}", parent.id));
        Ok(self.state.ledger.propose(spec, origin))
    }
}

impl Strategy for RegularizedEvolution {
    fn describe(&self) -> StrategyInfo {
        StrategyInfo {
            default_metric: Some("vote".to_owned()),
            lag: self.config.parallel,
            proposals: Some(self.config.evaluations),
            ..StrategyInfo::default()
        }
    }

    fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>> {
        self.state.ledger.set_direction(context.direction());
        let left = self.config.evaluations.saturating_sub(self.state.ledger.asked);
        (0..left.min(n.into())).map(|_| self.propose(context)).collect()
    }

    fn tell(&mut self, outcomes: &[Outcome]) -> PluginResult<()> {
        for outcome in outcomes {
            let scored = self.state.ledger.settle(outcome)?;
            self.state.population.push_back(scored);
            if self.state.population.len() > self.config.population as usize {
                self.state.population.pop_front();
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
        Ok(self.state.ledger.result(&self.state.draws))
    }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::{
        metric::Direction,
        testing::{self, Manner, Search, ToySpace, Trace},
    };
    use serde_json::{Value, json};

    use super::*;

    fn search(settings: &Value, seed: u64) -> Trace {
        let search = Search {
            make: &|| testing::local_strategy::<RegularizedEvolution>(settings),
            context: &ToySpace::new(Direction::Higher).seed(seed),
            value: &|_, spec| ToySpace::value(spec).ok(),
            limit: 1000,
        };
        search.run(Manner::Full).unwrap()
    }

    #[test]
    fn the_contract_is_kept() {
        for settings in [
            json!({}),
            json!({"population": 6, "sample": 3, "parallel": 1}),
            json!({"population": 6, "sample": 3, "parallel": 5, "evaluations": 30}),
        ] {
            testing::strategy::<RegularizedEvolution>(settings).assert_passed();
        }
    }

    #[test]
    fn children_come_from_the_last_members_only() {
        let settings = json!({"evaluations": 120, "population": 8, "sample": 4, "parallel": 1});
        let trace = search(&settings, 3);
        let parents: Vec<usize> = (8..120)
            .map(|id| {
                let origin = &trace.proposals[id].origin;
                let parent = origin.strip_prefix("mutation of ").expect("children are mutations");
                parent.parse().unwrap()
            })
            .collect();
        for (child, parent) in (8..).zip(&parents) {
            // Members die of age, whatever their value: that is what "regularised" means.
            assert!((child - 8..child).contains(parent), "{child} of {parent}");
        }
        assert!(trace.proposals[..8].iter().all(|proposal| proposal.origin == "random"));
    }

    #[test]
    fn a_sample_of_the_whole_population_takes_its_best() {
        // With replacement, 200 draws from 4 members miss none of them (chance of a miss 4 · 0.75^200).
        let settings = json!({"evaluations": 40, "population": 4, "sample": 200, "parallel": 1});
        let trace = search(&settings, 5);
        for child in 4..40 {
            let alive = &trace.proposals[child - 4..child];
            let best = alive.iter().map(|p| p.value.unwrap()).fold(f64::NEG_INFINITY, f64::max);
            let parent = trace.proposals[child].origin.strip_prefix("mutation of ").unwrap();
            let parent = &trace.proposals[parent.parse::<usize>().unwrap()];
            assert_eq!(parent.value, Some(best), "child {child}");
        }
    }

    #[test]
    fn it_finds_better_structures_than_as_many_draws() {
        // Means over ten searches of 60 proposals: the best draw of 780 structures is about the best 2 %.
        let mean = |settings: &Value| {
            let best = |seed| search(settings, seed).result.ranked[0].value;
            (0..10).map(best).sum::<f64>() / 10.0
        };
        let evolved = mean(&json!({"evaluations": 60, "population": 10, "sample": 5, "parallel": 1}));
        let drawn = mean(&json!({"evaluations": 60, "population": 60}));
        assert!(evolved > drawn, "{evolved} against {drawn}");
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for wrong in [json!({"population": 0}), json!({"sample": 0}), json!({"parallel": 0})] {
            assert!(testing::local_strategy::<RegularizedEvolution>(&wrong).is_err(), "{wrong}");
        }
    }
}
