//! Everything a search knows, and its steps.

use std::collections::{BTreeMap, VecDeque};

use nashost_plugin_api::{
    architecture::Spec,
    component::PluginResult,
    metric::Direction,
    seed::{derive_seed, rng},
    strategy::{Fingerprints, Outcome, Request, SearchContext, SearchResult},
};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::{Config, Duplicates, WARM_UP, nothing_within, ranking::Ranking};

/// A structure of the population.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Member {
    id: u64,
    spec: Spec,
    value: f64,
}

/// Why a proposal was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Purpose {
    /// A child that may enter the population.
    Child,
    /// A fresh score of the structure that this proposal found.
    Rescore(u64),
}

/// A proposal whose outcome is not yet known to the search.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open {
    spec: Spec,
    purpose: Purpose,
    /// What was told; it counts once `lag` later proposals are made.
    outcome: Option<Outcome>,
}

/// The state of a search.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    config: Config,
    /// Steps made, with rejected children.
    steps: u64,
    /// Children proposed.
    accepted: u64,
    /// Rejected steps since the last accepted child.
    streak: u64,
    rejected: BTreeMap<String, u64>,
    /// Proposed structures, if duplicates are skipped.
    seen: Fingerprints,
    population: Vec<Member>,
    /// Proposals `next - open.len() .. next`, at most `lag`.
    open: VecDeque<Open>,
    /// Number of the next proposal.
    next: u64,
    ranking: Ranking,
}

impl State {
    pub(super) fn new(config: Config) -> Self {
        Self {
            ranking: Ranking::new(config.finalists(), config.rescore_repeats),
            config,
            steps: 0,
            accepted: 0,
            streak: 0,
            rejected: BTreeMap::new(),
            seen: Fingerprints::default(),
            population: Vec::new(),
            open: VecDeque::new(),
            next: 0,
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Proposals of the whole search, with the fresh scores of the best at its end; unknown if steps
    /// are counted.
    pub(super) fn proposals(&self) -> Option<u64> {
        Some(self.config.evaluations()? + self.config.rescores())
    }

    pub(super) fn lag(&self) -> u32 {
        self.config.lag()
    }

    /// Learns outcomes until a proposal may be made. Answers whether it may.
    pub(super) fn make_room(&mut self) -> bool {
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

    pub(super) fn tell(&mut self, outcome: &Outcome) -> PluginResult<()> {
        let first = self.next - self.open.len() as u64;
        let index = outcome.id.checked_sub(first).map(|index| index as usize);
        match index.and_then(|index| self.open.get_mut(index)) {
            Some(open) if open.outcome.is_none() => open.outcome = Some(outcome.clone()),
            _ => return Err(format!("proposal {} is not open", outcome.id).into()),
        }
        Ok(())
    }

    /// Makes the next proposal, or none if the search is done.
    pub(super) fn propose(&mut self, context: &dyn SearchContext) -> PluginResult<Option<Request>> {
        self.ranking.set_direction(context.direction());
        let (spec, purpose, origin) = match self.child(context)? {
            Some((spec, origin)) => (spec, Purpose::Child, origin),
            None => match self.ranking.next_rescore() {
                Some((id, spec, origin)) => (spec, Purpose::Rescore(id), origin),
                None => return Ok(None),
            },
        };
        let request = Request::Score { id: self.next, spec: spec.clone(), origin };
        self.open.push_back(Open { spec, purpose, outcome: None });
        self.next += 1;
        Ok(Some(request))
    }

    /// Makes steps until a child is accepted; none if the search has ended.
    fn child(&mut self, context: &dyn SearchContext) -> PluginResult<Option<(Spec, String)>> {
        while !self.ended()? {
            let seed = derive_seed(context.seed(), &format!("step/{}", self.steps));
            self.steps += 1;
            let (parent, strength, origin) = if self.population.len() <= WARM_UP {
                (context.initial()?, 1, "mutation of the initial structure".to_owned())
            } else {
                let index = rng(derive_seed(seed, "parent")).random_range(0..self.population.len());
                let parent = &self.population[index];
                (parent.spec.clone(), 2, format!("mutation of {}", parent.id))
            };
            let child = context.mutate(&parent, strength, derive_seed(seed, "mutation"))?;
            if let Some(budget) = context.violation(&child)? {
                self.reject(&budget);
            } else if self.is_duplicate(&child) {
                self.reject("duplicate");
            } else {
                self.streak = 0;
                self.accepted += 1;
                return Ok(Some((child, origin)));
            }
        }
        Ok(None)
    }

    /// Whether no more children are wanted.
    fn ended(&self) -> PluginResult<bool> {
        let reached = |limit: Option<u64>, count| limit.is_some_and(|limit| count >= limit);
        let stalled = self.streak >= self.config.max_rejects;
        if stalled && self.accepted == 0 {
            return Err(nothing_within(self.streak, &self.rejected));
        }
        Ok(stalled
            || reached(self.config.evaluations(), self.accepted)
            || reached(self.config.iterations.map(u64::from), self.steps))
    }

    fn reject(&mut self, reason: &str) {
        *self.rejected.entry(reason.to_owned()).or_default() += 1;
        self.streak += 1;
        if self.streak == self.config.max_rejects && self.accepted > 0 {
            tracing::warn!(
                steps = self.steps,
                "search ends early: {} steps in a row were rejected",
                self.streak
            );
        }
    }

    fn is_duplicate(&mut self, spec: &Spec) -> bool {
        self.config.duplicates == Duplicates::Skip && !self.seen.insert(spec)
    }

    /// Takes the first open proposal out and learns what was told of it.
    fn learn_first(&mut self) {
        let id = self.next - self.open.len() as u64;
        let Some(Open { spec, purpose, outcome: Some(outcome) }) = self.open.pop_front() else { return };
        let value = outcome.value.filter(|value| value.is_finite());
        match (purpose, value) {
            (Purpose::Rescore(of), value) => self.ranking.rescored(of, value),
            (Purpose::Child, None) => *self.rejected.entry("undefined".to_owned()).or_default() += 1,
            (Purpose::Child, Some(value)) => {
                self.ranking.insert(id, &spec, value);
                self.population.push(Member { id, spec, value });
                self.shrink();
            }
        }
    }

    /// Removes the first of the worst while the population is too large.
    fn shrink(&mut self) {
        let direction = self.ranking.direction();
        while self.population.len() > self.config.population() {
            let worst = self.population.iter().enumerate().reduce(|worst, member| {
                if better(direction, worst.1.value, member.1.value) { member } else { worst }
            });
            if let Some((index, _)) = worst {
                self.population.remove(index);
            }
        }
    }

    /// Learns everything that was told, and ranks.
    pub(super) fn into_result(mut self) -> PluginResult<SearchResult> {
        while !self.open.is_empty() {
            self.learn_first();
        }
        let ranked = self.ranking.ranked();
        if ranked.is_empty() {
            return Err("no structure has a score yet".into());
        }
        Ok(SearchResult { ranked, steps: self.steps, rejected: self.rejected })
    }
}

/// Whether `a` is strictly better than `b`.
pub(super) fn better(direction: Direction, a: f64, b: f64) -> bool {
    match direction {
        Direction::Higher => a > b,
        Direction::Lower => a < b,
    }
}
