//! Search by the analytic score: first evolve, then measure the best.
//!
//! The first call of `ask` makes the whole evolution, some seconds of work that depend on the seed
//! alone; a search that is stopped in it begins anew. Then the best structures are proposed to the
//! host, in turn, until each has its fresh scores. Which are proposed does not depend on outcomes,
//! so neither lag nor workers can change the result. No structure keeps a lucky score: those that
//! ranked it in the evolution are expectations, those that rank it at the end are fresh.

mod evolution;
mod scorer;

use nashost_plugin_api::{
    component::PluginResult,
    metric::Direction,
    strategy::{Outcome, Ranked, Request, SearchContext, SearchResult},
};
use serde::{Deserialize, Serialize};

use self::evolution::{Leader, Screened, evolve};
use super::{Config, ScoreMode};
use crate::rank::spearman;

/// The state of a search.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Screen {
    config: Config,
    direction: Direction,
    /// What the evolution found, once it is made.
    found: Option<Screened>,
    /// Proposals made, and what is known of each.
    proposed: Vec<Option<Outcome>>,
}

impl Screen {
    pub(super) fn new(config: Config) -> Self {
        Self { config, direction: Direction::Higher, found: None, proposed: Vec::new() }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Makes up to `n` proposals, none if all are made.
    pub(super) fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>> {
        self.direction = context.direction();
        if self.found.is_none() {
            let found = evolve(&self.config, context)?;
            tracing::info!(
                steps = found.steps,
                scored = found.accepted,
                best = found.leaders.first().map(|leader| leader.value),
                "evolved by the analytic score"
            );
            self.found = Some(found);
        }
        let Some(found) = &self.found else { return Ok(Vec::new()) };
        let all = found.leaders.len() * self.config.fresh_scores() as usize;
        let open = self.proposed.iter().filter(|outcome| outcome.is_none()).count();
        let room = (self.config.lag() as usize).saturating_sub(open);
        let wanted = all.saturating_sub(self.proposed.len()).min(n as usize);
        if wanted > 0 && room == 0 {
            return Err(super::still_open(open));
        }
        let first = self.proposed.len();
        let requests = (first..first + wanted.min(room)).map(|id| {
            let (place, repeat) = (id % found.leaders.len(), id / found.leaders.len());
            let leader = &found.leaders[place];
            Ok(Request::Score {
                id: id as u64,
                spec: serde_json::from_str(&leader.spec)?,
                origin: format!(
                    "fresh score {} of {} of step {}, analytic score {:.4}",
                    repeat + 1,
                    self.config.fresh_scores(),
                    leader.step,
                    leader.value
                ),
            })
        });
        let requests = requests.collect::<PluginResult<Vec<_>>>()?;
        self.proposed.resize(first + requests.len(), None);
        Ok(requests)
    }

    pub(super) fn tell(&mut self, outcome: &Outcome) -> PluginResult<()> {
        match self.proposed.get_mut(outcome.id as usize) {
            Some(open @ None) => *open = Some(outcome.clone()),
            _ => return Err(format!("proposal {} is not open", outcome.id).into()),
        }
        if self.proposed.iter().flatten().count() as u64 == self.proposals()
            && let Some(correlation) = self.correlation()
        {
            tracing::info!(
                structures = self.found.as_ref().map(|found| found.leaders.len()),
                "rank correlation between analytic and fresh scores: {correlation:.3}"
            );
        }
        Ok(())
    }

    /// Proposals of the whole search: as planned, or as the evolution left.
    pub(super) fn proposals(&self) -> u64 {
        let leaders = self.found.as_ref().map_or(self.config.finalists(), |found| found.leaders.len());
        leaders as u64 * u64::from(self.config.fresh_scores())
    }

    /// The scores told of the structure at `place`.
    fn fresh(&self, place: usize, leaders: usize) -> Vec<f64> {
        let outcomes = self.proposed.iter().skip(place).step_by(leaders);
        outcomes.flatten().filter_map(|outcome| outcome.value).filter(|value| value.is_finite()).collect()
    }

    /// Spearman's correlation of analytic and mean fresh scores, over the structures that have both.
    fn correlation(&self) -> Option<f64> {
        let leaders = &self.found.as_ref()?.leaders;
        let pairs = leaders.iter().enumerate().filter_map(|(place, leader)| {
            let fresh = self.fresh(place, leaders.len());
            (!fresh.is_empty()).then(|| (leader.value, moments(&fresh).0))
        });
        let (analytic, fresh): (Vec<f64>, Vec<f64>) = pairs.unzip();
        spearman(&analytic, &fresh)
    }

    /// Ranks by the mean of the fresh scores, or by the analytic score if that is what counts.
    pub(super) fn result(&self) -> PluginResult<SearchResult> {
        let Some(found) = &self.found else { return Err("no structure has a score yet".into()) };
        let correlation = match self.correlation() {
            Some(correlation) => format!("rank correlation of both scores {correlation:.3}"),
            None => "rank correlation of both scores undefined".to_owned(),
        };
        let mut complete = Vec::new();
        let mut others = Vec::new();
        for (place, leader) in found.leaders.iter().enumerate() {
            let fresh = self.fresh(place, found.leaders.len());
            match self.rank(place, leader, &fresh, &correlation) {
                Some(ranked) => complete.push(ranked),
                None => others.push(Ranked {
                    spec: serde_json::from_str(&leader.spec)?,
                    value: leader.value,
                    id: place as u64,
                    reason: format!("analytic score {:.4}, not confirmed by fresh scores", leader.value),
                }),
            }
        }
        // The sort is stable: among equals the better analytic score leads.
        complete.sort_by(|a, b| match (self.config.score, self.direction) {
            (ScoreMode::Analytic, _) => std::cmp::Ordering::Equal,
            (_, Direction::Higher) => b.value.total_cmp(&a.value),
            (_, Direction::Lower) => a.value.total_cmp(&b.value),
        });
        complete.extend(others);
        if complete.is_empty() {
            return Err("no structure has a score yet".into());
        }
        Ok(SearchResult { ranked: complete, steps: found.steps, rejected: found.rejected.clone() })
    }

    /// Ranks a structure whose fresh scores are all told.
    fn rank(&self, place: usize, leader: &Leader, fresh: &[f64], correlation: &str) -> Option<Ranked> {
        let spec = serde_json::from_str(&leader.spec).ok()?;
        if self.config.score == ScoreMode::Analytic {
            let reason = format!("analytic score {:.4}, place {} of the evolution", leader.value, place + 1);
            return Some(Ranked { spec, value: leader.value, id: place as u64, reason });
        }
        let leaders = self.found.as_ref()?.leaders.len();
        let asked = self.config.fresh_scores() as usize;
        let told = self.proposed.iter().skip(place).step_by(leaders).flatten().count();
        if told < asked || fresh.is_empty() {
            return None;
        }
        let (mean, deviation) = moments(fresh);
        let reason = format!(
            "mean {mean:.4} of {} fresh scores (standard deviation {deviation:.4}); analytic score {:.4}, \
             place {} of {leaders}; {correlation}",
            fresh.len(),
            leader.value,
            place + 1,
        );
        Some(Ranked { spec, value: mean, id: place as u64, reason })
    }
}

/// Mean and standard deviation (ddof 1; 0 of a single value).
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

#[cfg(test)]
mod tests;
