//! Drives a strategy through a search as the host does, in one thread.

use std::collections::VecDeque;

use super::bench::{Trouble, broken};
use crate::{
    abi::foreign::{CallError, ForeignStrategy},
    architecture::Spec,
    strategy::{Outcome, Request, SearchContext, SearchResult},
};

/// How a search is driven. None of them may change what it proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As the host does: as many proposals as the lag allows, at once.
    Full,
    /// One proposal for each question.
    Singly,
    /// As `Full`, and after every call the state is saved and another instance goes on from it.
    Relay,
}

/// A proposal as it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The structure.
    pub spec: Spec,
    /// Where it came from.
    pub origin: String,
    /// What the strategy was told of it.
    pub value: Option<f64>,
}

/// What a search did.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Its proposals, in order.
    pub proposals: Vec<Proposal>,
    /// What it recommends at its end.
    pub result: SearchResult,
    /// Whether the strategy ended it, not the limit.
    pub ended: bool,
}

/// A search to be made.
pub struct Search<'a> {
    /// Creates the strategy.
    pub make: &'a dyn Fn() -> Result<ForeignStrategy, CallError>,
    /// The space.
    pub context: &'a dyn SearchContext,
    /// The value of a structure, by the number of its proposal.
    pub value: &'a dyn Fn(u64, &Spec) -> Option<f64>,
    /// Most proposals.
    pub limit: u64,
}

impl std::fmt::Debug for Search<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Search<'_> {
    /// Runs the search.
    ///
    /// # Errors
    ///
    /// Fails if the strategy fails, makes other numbers of proposals than it was asked for, or goes
    /// on for ever.
    pub fn run(&self, manner: Manner) -> Result<Trace, Trouble> {
        let mut strategy = (self.make)()?;
        let lag = u64::from(strategy.describe()?.lag.max(1));
        let mut proposals: Vec<Proposal> = Vec::new();
        let mut open: VecDeque<u64> = VecDeque::new();
        let mut ended;
        loop {
            loop {
                let room = lag - open.len() as u64;
                let left = self.limit.saturating_sub(proposals.len() as u64);
                let wanted = room.min(left).min(if manner == Manner::Singly { 1 } else { u64::MAX });
                ended = left > 0;
                if wanted == 0 {
                    break;
                }
                let requests = strategy.ask(self.context, wanted as u32)?;
                let answered = requests.len() as u64;
                if answered > wanted {
                    return broken(format!("{answered} proposals where {wanted} were asked for"));
                }
                for Request::Score { id, spec, origin } in requests {
                    if id != proposals.len() as u64 {
                        return broken(format!("proposal {id} where {} should come", proposals.len()));
                    }
                    open.push_back(id);
                    let value = (self.value)(id, &spec);
                    proposals.push(Proposal { spec, origin, value });
                }
                self.hand_over(&mut strategy, manner)?;
                if answered == 0 || manner != Manner::Singly {
                    break;
                }
            }
            let Some(id) = open.pop_front() else { break };
            let value = proposals[id as usize].value;
            let why = value.is_none().then(|| "left out on purpose".to_owned());
            strategy.tell(&[Outcome { id, value, spread: None, why }])?;
            self.hand_over(&mut strategy, manner)?;
        }
        Ok(Trace { proposals, result: strategy.result()?, ended })
    }

    fn hand_over(&self, strategy: &mut ForeignStrategy, manner: Manner) -> Result<(), CallError> {
        if manner == Manner::Relay {
            let state = strategy.checkpoint()?;
            *strategy = (self.make)()?;
            strategy.restore(&state)?;
        }
        Ok(())
    }
}
