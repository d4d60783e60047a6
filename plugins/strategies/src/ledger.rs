//! Proposals, open and answered.

use std::collections::BTreeMap;

use nashost_plugin_api::{
    architecture::Spec,
    component::PluginResult,
    metric::Direction,
    strategy::{HallOfFame, Outcome, Ranked, Request, SearchResult},
};
use serde::{Deserialize, Serialize};

use crate::draw::Draws;

/// An answered proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scored {
    pub(crate) id: u64,
    pub(crate) spec: Spec,
    /// Larger is better, whichever way the metric goes; `None` if undefined.
    pub(crate) merit: Option<f64>,
}

impl Scored {
    /// Whether this one is to be preferred; equal ones are not.
    pub(crate) fn beats(&self, other: &Self) -> bool {
        match (self.merit, other.merit) {
            (Some(a), Some(b)) => a > b,
            (a, b) => a.is_some() && b.is_none(),
        }
    }
}

/// What every strategy keeps of its proposals.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ledger {
    pub(crate) asked: u64,
    direction: Direction,
    open: BTreeMap<u64, (Spec, String)>,
    best: HallOfFame,
}

impl Ledger {
    pub(crate) fn set_direction(&mut self, direction: Direction) {
        self.direction = direction;
    }

    /// Numbers of the proposals that have no answer yet.
    pub(crate) fn open(&self) -> u64 {
        self.open.len() as u64
    }

    /// Opens a proposal.
    pub(crate) fn propose(&mut self, spec: Spec, origin: String) -> Request {
        let id = self.asked;
        self.asked += 1;
        self.open.insert(id, (spec.clone(), origin.clone()));
        Request::Score { id, spec, origin }
    }

    /// Closes a proposal.
    pub(crate) fn settle(&mut self, outcome: &Outcome) -> PluginResult<Scored> {
        let (spec, reason) = self.open.remove(&outcome.id).ok_or("an outcome that nobody asked for")?;
        let id = outcome.id;
        if let Some(value) = outcome.value {
            self.best.insert(self.direction, Ranked { spec: spec.clone(), value, id, reason });
        }
        let merit = outcome.value.map(|value| match self.direction {
            Direction::Higher => value,
            Direction::Lower => -value,
        });
        Ok(Scored { id, spec, merit })
    }

    /// The best that have a value.
    pub(crate) fn result(&self, draws: &Draws) -> SearchResult {
        SearchResult {
            ranked: self.best.ranked().to_vec(),
            steps: draws.steps,
            rejected: draws.rejected.clone(),
        }
    }
}
