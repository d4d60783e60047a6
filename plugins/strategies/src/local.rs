//! The strategy `local-search`.

use nashost_plugin_api::{
    architecture::Spec,
    component::{Component, PluginResult},
    strategy::{Fingerprints, Outcome, Request, SearchContext, SearchResult, Strategy, StrategyInfo},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    draw::{Draws, MOST_REJECTS},
    ledger::{Ledger, Scored},
};

/// What users may set.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LocalSearchConfig {
    /// Structures to score.
    #[schemars(range(min = 1))]
    pub evaluations: u64,
    /// Neighbours of one structure that are tried before it counts as a local optimum and the search
    /// begins anew, as it does when hardly any is left that was not proposed. Spaces have no list of
    /// neighbours: a neighbour is a mutation in one place.
    #[schemars(range(min = 1))]
    pub neighbours: u64,
}

impl Default for LocalSearchConfig {
    fn default() -> Self {
        Self { evaluations: 200, neighbours: 24 }
    }
}

/// Hill climbing with restarts. It goes to the first neighbour that is better.
#[derive(Debug)]
pub struct LocalSearch {
    config: LocalSearchConfig,
    state: State,
}

/// All that a checkpoint needs.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    draws: Draws,
    ledger: Ledger,
    /// Every structure that was proposed.
    proposed: Fingerprints,
    /// Where the climb is.
    here: Option<Scored>,
    /// Neighbours of `here` that were not better.
    tried: u64,
    /// Whether a climb is over, so that the next proposal begins another.
    restart: bool,
}

impl Component for LocalSearch {
    const ID: &'static str = "local-search";
    const DESCRIPTION: &'static str =
        "hill climbing: goes to the first neighbour that is better, and begins anew at a local optimum";
    type Config = LocalSearchConfig;

    fn create(config: LocalSearchConfig) -> PluginResult<Self> {
        if config.evaluations == 0 || config.neighbours == 0 {
            return Err("`evaluations` and `neighbours` are at least 1".into());
        }
        Ok(Self { config, state: State::default() })
    }
}

impl LocalSearch {
    /// Finds a neighbour that was not proposed yet; `None` if there is hardly any.
    fn neighbour(&mut self, context: &dyn SearchContext, here: &Spec) -> PluginResult<Option<Spec>> {
        for _ in 0..MOST_REJECTS.min(20 * self.config.neighbours) {
            match self.state.draws.attempt(context, Some(here))? {
                Some(spec) if !self.state.proposed.contains(&spec) => return Ok(Some(spec)),
                _ => {}
            }
        }
        Ok(None)
    }

    fn propose(&mut self, context: &dyn SearchContext) -> PluginResult<Request> {
        if let Some(here) = self.state.here.clone().filter(|_| !self.state.restart)
            && let Some(spec) = self.neighbour(context, &here.spec)?
        {
            self.state.proposed.insert(&spec);
            return Ok(self.state.ledger.propose(spec, format!("neighbour of {}", here.id)));
        }
        self.state.restart = true;
        let spec = self.state.draws.draw(context, None)?;
        self.state.proposed.insert(&spec);
        Ok(self.state.ledger.propose(spec, "random".to_owned()))
    }
}

impl Strategy for LocalSearch {
    fn describe(&self) -> StrategyInfo {
        StrategyInfo {
            default_metric: Some("vote".to_owned()),
            // Every step needs the outcome of the one before.
            lag: 1,
            proposals: Some(self.config.evaluations),
            ..StrategyInfo::default()
        }
    }

    fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>> {
        self.state.ledger.set_direction(context.direction());
        let is_over = self.state.ledger.asked >= self.config.evaluations;
        if n == 0 || is_over || self.state.ledger.open() > 0 {
            return Ok(Vec::new());
        }
        Ok(vec![self.propose(context)?])
    }

    fn tell(&mut self, outcomes: &[Outcome]) -> PluginResult<()> {
        for outcome in outcomes {
            let scored = self.state.ledger.settle(outcome)?;
            let state = &mut self.state;
            let is_better = state.here.as_ref().is_none_or(|here| scored.beats(here));
            if state.restart || is_better {
                // A start without a value is no place to climb from.
                state.restart = scored.merit.is_none();
                state.here = Some(scored);
                state.tried = 0;
            } else {
                state.tried += 1;
                state.restart = state.tried >= self.config.neighbours;
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
        strategy::SearchContext as _,
        testing::{self, Manner, Search, ToySpace, Trace},
    };
    use serde_json::{Value, json};

    use super::*;

    fn search(settings: &Value, seed: u64) -> Trace {
        let search = Search {
            make: &|| testing::local_strategy::<LocalSearch>(settings),
            context: &ToySpace::new(Direction::Higher).seed(seed),
            value: &|_, spec| ToySpace::value(spec).ok(),
            limit: 1000,
        };
        search.run(Manner::Full).unwrap()
    }

    #[test]
    fn the_contract_is_kept() {
        for settings in [json!({}), json!({"neighbours": 2}), json!({"evaluations": 25})] {
            testing::strategy::<LocalSearch>(settings).assert_passed();
        }
    }

    #[test]
    fn it_moves_to_the_first_better_neighbour_and_stays_otherwise() {
        let trace = search(&json!({"evaluations": 150, "neighbours": 6}), 2);
        let value = |id: usize| trace.proposals[id].value.unwrap();
        let (mut here, mut tried, mut climbs) = (0, 0, 1);
        for (id, proposal) in trace.proposals.iter().enumerate().skip(1) {
            match proposal.origin.strip_prefix("neighbour of ") {
                Some(parent) => {
                    assert_eq!(parent.parse(), Ok(here), "proposal {id}");
                    (here, tried) = if value(id) > value(here) { (id, 0) } else { (here, tried + 1) };
                }
                None => {
                    let space = ToySpace::new(Direction::Higher);
                    let is_new = |spec: &Spec| {
                        let known = trace.proposals[..id].iter().any(|known| known.spec == *spec);
                        !known && space.violation(spec).unwrap().is_none()
                    };
                    // Or hardly anything new was left around it.
                    let neighbours =
                        (0..40).map(|seed| space.mutate(&trace.proposals[here].spec, 1, seed).unwrap());
                    let left = neighbours.filter(is_new).count();
                    assert!(tried == 6 || left < 4, "proposal {id} begins anew after {tried} neighbours");
                    (here, tried, climbs) = (id, 0, climbs + 1);
                }
            }
        }
        assert!(climbs > 1, "150 proposals reach a local optimum");
    }

    #[test]
    fn no_structure_is_scored_twice_in_a_climb() {
        let trace = search(&json!({"evaluations": 100}), 4);
        let neighbours: Vec<_> =
            trace.proposals.iter().filter(|proposal| proposal.origin != "random").collect();
        for (index, proposal) in neighbours.iter().enumerate() {
            assert!(neighbours[..index].iter().all(|other| other.spec != proposal.spec));
        }
    }

    #[test]
    fn it_finds_the_optimum_of_a_smooth_landscape() {
        let found = (0..10).filter(|&seed| search(&json!({}), seed).result.ranked[0].value == 0.0).count();
        assert!(found >= 9, "{found} of 10 searches of 200 proposals found the best of 780 structures");
    }
}
