//! The best structures, and their fresh scores at the end.

use nashost_plugin_api::{architecture::Spec, metric::Direction, strategy::Ranked};
use serde::{Deserialize, Serialize};

use super::state::better;

/// Structures that are remembered even if fewer are scored afresh. More would make the search's state, which is
/// saved every few seconds, many times as large: a structure takes kilobytes.
const REMEMBERED: usize = 10;

/// A structure among the best.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Leader {
    id: u64,
    spec: Spec,
    /// The score that brought it here.
    first: f64,
    /// Fresh scores asked for.
    asked: u32,
    /// Fresh scores answered; `None` where undefined.
    fresh: Vec<Option<f64>>,
}

/// The best structures found, by first score; among equals the earlier one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ranking {
    direction: Direction,
    /// Number of structures to score afresh.
    finalists: usize,
    repeats: u32,
    leaders: Vec<Leader>,
}

impl Ranking {
    pub(super) fn new(finalists: usize, repeats: u32) -> Self {
        Self { direction: Direction::Higher, finalists, repeats, leaders: Vec::new() }
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    pub(super) fn set_direction(&mut self, direction: Direction) {
        self.direction = direction;
    }

    /// Remembers a structure if it is good enough and was not seen before.
    pub(super) fn insert(&mut self, id: u64, spec: &Spec, first: f64) {
        if let Some(known) = self.leaders.iter().position(|leader| leader.spec == *spec) {
            // A duplicate: its better score counts, as it does in the official code.
            if !better(self.direction, first, self.leaders[known].first) {
                return;
            }
            self.leaders.remove(known);
        }
        let place = self.leaders.partition_point(|leader| !better(self.direction, first, leader.first));
        let room = self.finalists.max(REMEMBERED);
        if place < room {
            self.leaders.insert(place, Leader { id, spec: spec.clone(), first, asked: 0, fresh: Vec::new() });
            self.leaders.truncate(room);
        }
    }

    /// Picks the finalist with the fewest fresh scores, if one still needs some.
    ///
    /// Finalists may change while the last children are being scored, so this goes round them
    /// instead of finishing one after the other.
    pub(super) fn next_rescore(&mut self) -> Option<(u64, Spec, String)> {
        let finalists = self.leaders.iter_mut().take(self.finalists);
        let leader =
            finalists.filter(|leader| leader.asked < self.repeats).min_by_key(|leader| leader.asked)?;
        leader.asked += 1;
        let origin = format!("fresh score {} of {} of {}", leader.asked, self.repeats, leader.id);
        Some((leader.id, leader.spec.clone(), origin))
    }

    /// Learns a fresh score of what proposal `id` found.
    pub(super) fn rescored(&mut self, id: u64, value: Option<f64>) {
        // A structure that was pushed out meanwhile is not there any more.
        if let Some(leader) = self.leaders.iter_mut().find(|leader| leader.id == id) {
            leader.fresh.push(value);
        }
    }

    /// Ranks: first those with all their fresh scores, by their mean; then the others, by first
    /// score.
    pub(super) fn ranked(&self) -> Vec<Ranked> {
        let mut fresh: Vec<Ranked> = self.leaders.iter().filter_map(|leader| self.by_mean(leader)).collect();
        // The sort is stable: among equals the better first score leads.
        fresh.sort_by(|a, b| match self.direction {
            Direction::Higher => b.value.total_cmp(&a.value),
            Direction::Lower => a.value.total_cmp(&b.value),
        });
        let others = self.leaders.iter().filter(|leader| self.by_mean(leader).is_none());
        fresh.extend(others.map(|leader| Ranked {
            spec: leader.spec.clone(),
            value: leader.first,
            id: leader.id,
            reason: format!("score {:.4} of a single draw", leader.first),
        }));
        fresh
    }

    fn by_mean(&self, leader: &Leader) -> Option<Ranked> {
        let values: Vec<f64> = leader.fresh.iter().copied().flatten().collect();
        if leader.fresh.len() < self.repeats as usize || values.is_empty() {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        Some(Ranked {
            spec: leader.spec.clone(),
            value: mean,
            id: leader.id,
            reason: format!(
                "mean {mean:.4} of {n} fresh scores (standard deviation {:.4}); the first score was {:.4}",
                variance.sqrt(),
                leader.first
            ),
        })
    }
}
