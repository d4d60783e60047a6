//! Strategy `zennas`: the evolution of the official code, as a resumable state machine.
//!
//! One step of the official loop (`evolution_search.py`): pick a parent uniformly from the
//! population, or the initial structure while the population holds ten or fewer; mutate it (one
//! block in that case, else two); reject the child if it breaks a budget; score it; put it into
//! the population; if that is too large now, remove the first of the worst. Steady state, no
//! crossover, no ageing.
//!
//! What differs, and how to have the official behaviour:
//!
//! * *Lag*: proposal `k` knows the outcomes up to `k − lag`, so that `lag` structures can be
//!   scored at once with a result that does not depend on how many really are. `lag = 1` is the
//!   official loop.
//! * *Duplicates* are steps without a score. `duplicates = "score"` is official.
//! * *Final scores*: the search keeps lucky draws of a noisy score (winner's curse), so the best
//!   structures are scored afresh and ranked by the mean of those scores. `rescore = 0` ranks by
//!   the first score, as the official code does.
//! * A structure whose score is undefined is dropped and counted; the official code gives it
//!   −9999 and keeps it.
//! * Seeds are derived per step; the official code has none.
//! * The population is small by default, for runs of some hundred scores; the official 512 would
//!   select nothing in so few.

mod ranking;
mod state;

use std::num::NonZeroU64;

use nashost_plugin_api::{
    component::{Component, PluginResult},
    strategy::{Outcome, Request, SearchContext, SearchResult, Strategy, StrategyInfo},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use state::State;

/// Scores of a search whose configuration sets no end.
const DEFAULT_EVALUATIONS: u64 = 500;

/// What happens to a child that was proposed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// It is rejected, and counted as `duplicate`.
    #[default]
    Skip,
    /// It is scored again and enters the population again, as in the official code.
    Score,
}

/// Configuration of [`ZenNas`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Structures that survive. The official code has 512 for 480,000 steps.
    #[schemars(range(min = 11))]
    pub population: u32,
    /// Structures to score; the search ends then. 500 if `iterations` is not given either.
    pub evaluations: Option<NonZeroU64>,
    /// Steps to make, rejected children included, as the official code counts; the search ends
    /// then.
    pub iterations: Option<NonZeroU64>,
    /// How many structures may be scored at once; see above.
    #[schemars(range(min = 1))]
    pub lag: u32,
    /// What happens to a child that was proposed before.
    pub duplicates: Duplicates,
    /// Number of best structures that are scored afresh at the end; 0 for none.
    pub rescore: u32,
    /// How often each of them is.
    #[schemars(range(min = 1))]
    pub rescore_repeats: u32,
    /// Consecutive rejected steps after which the search ends early, or fails if nothing was
    /// accepted.
    #[schemars(range(min = 1))]
    pub max_rejects: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            population: 32,
            evaluations: None,
            iterations: None,
            lag: 8,
            duplicates: Duplicates::Skip,
            rescore: 8,
            rescore_repeats: 4,
            max_rejects: 20_000,
        }
    }
}

impl Config {
    /// Number of structures to score, if that is what ends the search.
    fn evaluations(&self) -> Option<u64> {
        match (self.evaluations, self.iterations) {
            (None, None) => Some(DEFAULT_EVALUATIONS),
            (evaluations, _) => evaluations.map(NonZeroU64::get),
        }
    }

    /// Scores at the end, if all goes well.
    fn rescores(&self) -> u64 {
        u64::from(self.rescore) * u64::from(self.rescore_repeats)
    }

    /// The lag that is kept: never longer than the search or its final scores, so that the final
    /// scores begin with something known and end with everything known.
    fn lag(&self) -> u32 {
        let limits = [self.evaluations(), (self.rescore > 0).then(|| self.rescores())];
        let lag = limits.into_iter().flatten().fold(u64::from(self.lag), u64::min);
        lag.try_into().unwrap_or(self.lag)
    }

    fn check(&self) -> PluginResult<()> {
        if self.population < 11 {
            return Err(format!(
                "`population` is {}, must be at least 11: as long as it holds 10 or fewer structures, \
                 children are mutations of the initial one",
                self.population
            )
            .into());
        }
        if self.lag == 0 || self.rescore_repeats == 0 || self.max_rejects == 0 {
            return Err("`lag`, `rescore_repeats` and `max_rejects` must be at least 1".into());
        }
        Ok(())
    }
}

/// The evolutionary search of ZenNAS.
#[derive(Debug, Clone)]
pub struct ZenNas {
    state: State,
}

impl Component for ZenNas {
    const ID: &'static str = "zennas";
    const DESCRIPTION: &'static str =
        "ZenNAS: steady-state evolution under budgets, by default of the Zen-Score. Reads no images.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        config.check()?;
        Ok(Self { state: State::new(config) })
    }
}

impl Strategy for ZenNas {
    fn describe(&self) -> StrategyInfo {
        StrategyInfo {
            uses_data: false,
            uses_labels: false,
            valid_spaces: Vec::new(),
            default_metric: Some("zen-score".into()),
            lag: self.state.lag(),
            proposals: self.state.proposals(),
        }
    }

    /// Fails if `lag` proposals are open already: there would be nothing to answer, and an empty
    /// answer means the end.
    fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>> {
        let mut requests = Vec::new();
        for _ in 0..n {
            if !self.state.make_room() {
                if requests.is_empty() {
                    return Err(format!(
                        "asked for a proposal while {} are open; their outcomes must be told first",
                        self.state.lag()
                    )
                    .into());
                }
                break;
            }
            match self.state.propose(context)? {
                Some(request) => requests.push(request),
                None => break,
            }
        }
        Ok(requests)
    }

    fn tell(&mut self, outcomes: &[Outcome]) -> PluginResult<()> {
        outcomes.iter().try_for_each(|outcome| self.state.tell(outcome))
    }

    fn checkpoint(&self) -> PluginResult<Vec<u8>> {
        Ok(serde_json::to_vec(&self.state)?)
    }

    fn restore(&mut self, state: &[u8]) -> PluginResult<()> {
        let restored: State = serde_json::from_slice(state)?;
        if restored.config() != self.state.config() {
            return Err("the state belongs to a search with another configuration".into());
        }
        self.state = restored;
        Ok(())
    }

    fn result(&self) -> PluginResult<SearchResult> {
        self.state.clone().into_result()
    }
}

#[cfg(test)]
mod cifar;
#[cfg(test)]
mod tests;
