//! The evolution of the official code.
//!
//! The population starts with the initial structure. One step of the official loop
//! (`searcher.py`): pick a parent uniformly from the population; mutate it in two places; reject
//! the child if it breaks a budget; score it; put it in; if the population is too large now, keep
//! the best. No crossover, no ageing, no tournament.
//!
//! What differs:
//!
//! * *Lag*: proposal `k` knows the outcomes up to `k − lag`, so that `lag` structures can be
//!   scored at once with a result that does not depend on how many really are. `lag = 1` is the
//!   official loop of one process.
//! * *Duplicates* of what the population holds are steps without a score. The official code
//!   scores them and removes them after at most 25 further steps.
//! * A structure whose score is undefined is dropped and counted; the official code gives it
//!   −9999 and keeps it.
//! * Seeds are derived per step; the official code leaves one of its two generators unseeded.
//!
//! The mutation is the space's (`superres` has the official ones), and so is `last_block`, by
//! which the released code's frozen last block can be had.

mod population;

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU64,
};

use nashost_plugin_api::{
    architecture::Spec,
    component::PluginResult,
    seed::{derive_seed, rng},
    strategy::{Outcome, Request, SearchContext, SearchResult},
};
use rand::Rng as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use population::Population;

/// Blocks that a mutation changes (official `block_num`).
const STRENGTH: u32 = 2;

/// Steps of a search whose configuration sets no end.
const DEFAULT_ITERATIONS: u64 = 20_000;

/// Settings of the evolution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Structures that survive (official `popu_size`).
    #[schemars(range(min = 1))]
    pub population: u32,
    /// Steps to make, rejected children included, as the official code counts in
    /// `num_random_nets` (500,000); the search ends then. 20,000 if `evaluations` is not given
    /// either.
    pub iterations: Option<NonZeroU64>,
    /// Children to score; the search ends then.
    pub evaluations: Option<NonZeroU64>,
    /// How many structures may be scored at once; see above.
    #[schemars(range(min = 1))]
    pub lag: u32,
    /// Consecutive rejected steps after which the search ends early.
    #[schemars(range(min = 1))]
    pub max_rejects: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { population: 256, iterations: None, evaluations: None, lag: 8, max_rejects: 20_000 }
    }
}

impl Config {
    fn iterations(&self) -> Option<u64> {
        match (self.iterations, self.evaluations) {
            (None, None) => Some(DEFAULT_ITERATIONS),
            (iterations, _) => iterations.map(NonZeroU64::get),
        }
    }
}

/// A proposal whose outcome is not yet known to the search.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open {
    spec: Spec,
    /// What was told; it counts once `lag` later proposals are made.
    outcome: Option<Outcome>,
}

/// The state of an evolution.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Evolution {
    config: Config,
    /// Steps made, with rejected children.
    steps: u64,
    /// Rejected steps since the last accepted child.
    streak: u64,
    rejected: BTreeMap<String, u64>,
    population: Population,
    /// Proposals `next - open.len() .. next`, at most `lag`.
    open: VecDeque<Open>,
    /// Number of the next proposal; number 0 is the initial structure.
    next: u64,
}

impl Evolution {
    pub(super) fn new(config: Config) -> PluginResult<Self> {
        if config.population == 0 || config.lag == 0 || config.max_rejects == 0 {
            return Err("`population`, `lag` and `max_rejects` must be at least 1".into());
        }
        Ok(Self {
            population: Population::new(config.population),
            config,
            steps: 0,
            streak: 0,
            rejected: BTreeMap::new(),
            open: VecDeque::new(),
            next: 0,
        })
    }

    pub(super) fn lag(&self) -> u32 {
        self.config.lag
    }

    /// Proposals of the whole search; unknown if steps are counted.
    pub(super) fn proposals(&self) -> Option<u64> {
        self.config.evaluations.map(|evaluations| evaluations.get() + 1)
    }

    /// Fails if `lag` proposals are open already: there would be nothing to answer, and an empty
    /// answer means the end.
    pub(super) fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>> {
        let mut requests = Vec::new();
        for _ in 0..n {
            if !self.make_room() {
                if requests.is_empty() {
                    return Err(format!(
                        "asked for a proposal while {} are open; their outcomes must be told first",
                        self.lag()
                    )
                    .into());
                }
                break;
            }
            match self.propose(context)? {
                Some(request) => requests.push(request),
                None => break,
            }
        }
        Ok(requests)
    }

    pub(super) fn tell(&mut self, outcome: &Outcome) -> PluginResult<()> {
        let first = self.next - self.open.len() as u64;
        let index = outcome.id.checked_sub(first).map(|index| index as usize);
        match index.and_then(|index| self.open.get_mut(index)) {
            Some(open) if open.outcome.is_none() => open.outcome = Some(outcome.clone()),
            _ => return Err(format!("proposal {} is not open", outcome.id).into()),
        }
        Ok(())
    }

    /// Learns outcomes until a proposal may be made. Answers whether it may.
    fn make_room(&mut self) -> bool {
        // Not one outcome more than the lag demands, however many were told: a search with fewer
        // workers must not know more.
        while self.open.len() >= self.lag() as usize {
            if self.open.front().is_none_or(|open| open.outcome.is_none()) {
                return false;
            }
            self.learn_first();
        }
        true
    }

    /// Makes the next proposal, or none if the search is done.
    fn propose(&mut self, context: &dyn SearchContext) -> PluginResult<Option<Request>> {
        self.population.set_direction(context.direction());
        let Some((spec, origin)) =
            (if self.next == 0 { Some(first(context)?) } else { self.child(context)? })
        else {
            return Ok(None);
        };
        let request = Request::Score { id: self.next, spec: spec.clone(), origin };
        self.open.push_back(Open { spec, outcome: None });
        self.next += 1;
        Ok(Some(request))
    }

    /// Makes steps until a child is accepted; none if the search has ended.
    fn child(&mut self, context: &dyn SearchContext) -> PluginResult<Option<(Spec, String)>> {
        while !self.ended() {
            let seed = derive_seed(context.seed(), &format!("step/{}", self.steps));
            self.steps += 1;
            let (parent, origin) = match self.population.len() {
                // The first outcomes are not known yet.
                0 => (context.initial()?, "mutation of the initial structure".to_owned()),
                size => {
                    let index = rng(derive_seed(seed, "parent")).random_range(0..size);
                    let (id, spec) = self.population.member(index);
                    (spec.clone(), format!("mutation of {id}"))
                }
            };
            let child = context.mutate(&parent, STRENGTH, derive_seed(seed, "mutation"))?;
            if self.is_duplicate(&child) {
                self.reject("duplicate");
            } else if let Some(budget) = context.violation(&child)? {
                self.reject(&budget);
            } else {
                self.streak = 0;
                return Ok(Some((child, origin)));
            }
        }
        Ok(None)
    }

    fn is_duplicate(&self, spec: &Spec) -> bool {
        self.population.holds(spec) || self.open.iter().any(|open| open.spec == *spec)
    }

    /// Whether no more children are wanted.
    fn ended(&self) -> bool {
        let reached = |limit: Option<u64>, count| limit.is_some_and(|limit| count >= limit);
        self.streak >= self.config.max_rejects
            || reached(self.config.iterations(), self.steps)
            || reached(self.proposals(), self.next)
    }

    fn reject(&mut self, reason: &str) {
        *self.rejected.entry(reason.to_owned()).or_default() += 1;
        self.streak += 1;
        if self.streak == self.config.max_rejects {
            tracing::warn!(
                steps = self.steps,
                "search ends early: {} steps in a row were rejected",
                self.streak
            );
        }
    }

    /// Takes the first open proposal out and learns what was told of it.
    fn learn_first(&mut self) {
        let id = self.next - self.open.len() as u64;
        let Some(Open { spec, outcome: Some(outcome) }) = self.open.pop_front() else { return };
        match outcome.value.filter(|value| value.is_finite()) {
            None => *self.rejected.entry("undefined".to_owned()).or_default() += 1,
            Some(value) => self.population.insert(id, spec, value),
        }
    }

    /// Learns everything that was told, and ranks.
    pub(super) fn into_result(mut self) -> PluginResult<SearchResult> {
        while !self.open.is_empty() {
            self.learn_first();
        }
        let ranked = self.population.ranked();
        if ranked.is_empty() {
            return Err("no structure has a score yet".into());
        }
        Ok(SearchResult { ranked, steps: self.steps, rejected: self.rejected })
    }
}

/// Answers the initial structure, which must keep the budgets as in the official code: it is the
/// first of the population, and its neighbours would rarely be within budgets that it breaks.
fn first(context: &dyn SearchContext) -> PluginResult<(Spec, String)> {
    let initial = context.initial()?;
    match context.violation(&initial)? {
        None => Ok((initial, "initial structure".to_owned())),
        Some(budget) => Err(format!(
            "the initial structure breaks the budget `{budget}`; raise the budget or start from a smaller structure"
        )
        .into()),
    }
}

#[cfg(test)]
mod official;
#[cfg(test)]
mod tests;
