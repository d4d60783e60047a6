//! The evolution of the analytic score.
//!
//! The loop of [`State`](super::super::state::State) with a score that costs microseconds, so that
//! it makes all its steps in one call: structures stay JSON text on the way to and from the space,
//! and every child is scored at once.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::{Duration, Instant},
};

use nashost_plugin_api::{
    component::PluginResult,
    sdk,
    seed::{derive_seed, rng},
    strategy::SearchContext,
};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::{
    super::{Config, Duplicates, WARM_UP},
    scorer::Scorer,
};

/// Time between looks at whether the run is being stopped. Steps are no measure: with a budget that is
/// measured, one takes a good part of a second.
const PATIENCE: Duration = Duration::from_secs(1);

/// One of the best structures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Leader {
    /// JSON text of its spec.
    pub(super) spec: String,
    /// Its analytic score.
    pub(super) value: f64,
    /// The step that found it.
    pub(super) step: u64,
}

/// What an evolution found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Screened {
    /// The best structures, best first.
    pub(super) leaders: Vec<Leader>,
    pub(super) steps: u64,
    pub(super) accepted: u64,
    pub(super) rejected: BTreeMap<String, u64>,
}

struct Evolution<'a> {
    config: &'a Config,
    context: &'a dyn SearchContext,
    scorer: Scorer,
    population: Vec<String>,
    values: Vec<f64>,
    seen: HashSet<u64>,
    /// Rejected steps since the last accepted child.
    streak: u64,
    found: Screened,
}

/// Evolves structures within the budgets of `context`, from its initial structure.
///
/// # Errors
///
/// Fails if the space has no analytic score, no structure keeps the budgets, or the run is being
/// stopped.
pub(super) fn evolve(config: &Config, context: &dyn SearchContext) -> PluginResult<Screened> {
    let initial = context.initial()?;
    let mut evolution = Evolution {
        config,
        context,
        scorer: Scorer::new(&config.analytic, context, &initial)?,
        population: Vec::new(),
        values: Vec::new(),
        seen: HashSet::new(),
        streak: 0,
        found: Screened { leaders: Vec::new(), steps: 0, accepted: 0, rejected: BTreeMap::new() },
    };
    evolution.run(&initial.to_string())?;
    for leader in &evolution.found.leaders {
        evolution.scorer.confirm(context, &leader.spec, leader.value)?;
    }
    Ok(evolution.found)
}

impl Evolution<'_> {
    fn run(&mut self, initial: &str) -> PluginResult<()> {
        let mut rng = rng(derive_seed(self.context.seed(), "analytic"));
        let mut looked: Option<Instant> = None;
        while !self.ended()? {
            if looked.is_none_or(|last| last.elapsed() >= PATIENCE) {
                sdk::check_cancelled()?;
                sdk::progress(self.found.steps, self.config.steps().unwrap_or(0));
                looked = Some(Instant::now());
            }
            self.found.steps += 1;
            let (parent, strength) = if self.population.len() <= WARM_UP {
                (initial, 1)
            } else {
                (self.population[rng.random_range(0..self.population.len())].as_str(), 2)
            };
            let child = self.context.mutate_text(parent, strength, rng.random())?;
            self.child(child)?;
        }
        Ok(())
    }

    /// Whether no more children are wanted.
    fn ended(&self) -> PluginResult<bool> {
        let stalled = self.streak >= self.config.max_rejects;
        if stalled && self.found.accepted == 0 {
            return Err(super::super::nothing_within(self.streak, &self.found.rejected));
        }
        let reached = |limit: Option<u64>, count| limit.is_some_and(|limit| count >= limit);
        Ok(stalled
            || reached(self.config.evaluations(), self.found.accepted)
            || reached(self.config.steps(), self.found.steps))
    }

    fn child(&mut self, child: String) -> PluginResult<()> {
        if let Some(budget) = self.context.violation_text(&child)? {
            self.reject(budget);
        } else if self.is_duplicate(&child) {
            self.reject("duplicate".to_owned());
        } else {
            match self.scorer.score(self.context, &child)? {
                None => self.reject("undefined".to_owned()),
                Some(value) => self.accept(child, value),
            }
        }
        Ok(())
    }

    fn reject(&mut self, reason: String) {
        *self.found.rejected.entry(reason).or_default() += 1;
        self.streak += 1;
    }

    fn is_duplicate(&mut self, spec: &str) -> bool {
        if self.config.duplicates == Duplicates::Score {
            return false;
        }
        // 64 bits: with a million structures, the chance of one false duplicate is below one in ten
        // million. The set lives no longer than this call, so the hash need not be portable.
        let mut hasher = DefaultHasher::new();
        spec.hash(&mut hasher);
        !self.seen.insert(hasher.finish())
    }

    fn accept(&mut self, spec: String, value: f64) {
        self.streak = 0;
        self.found.accepted += 1;
        self.lead(&spec, value);
        self.population.push(spec);
        self.values.push(value);
        if self.population.len() > self.config.population() {
            // The first of the worst.
            let worst = self.values.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
            if let Some((index, _)) = worst {
                self.population.remove(index);
                self.values.remove(index);
            }
        }
    }

    /// Remembers a structure if it is among the best; among equals the earlier one leads.
    fn lead(&mut self, spec: &str, value: f64) {
        let room = self.config.finalists();
        let leaders = &mut self.found.leaders;
        let place = leaders.partition_point(|leader| leader.value >= value);
        if place >= room
            || leaders[..place].iter().rev().any(|leader| leader.value == value && leader.spec == spec)
        {
            return;
        }
        leaders.insert(place, Leader { spec: spec.to_owned(), value, step: self.found.steps - 1 });
        leaders.truncate(room);
    }
}
