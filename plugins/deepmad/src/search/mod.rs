//! Strategy `deepmad`, as a resumable state machine.
//!
//! `solver` says how the search is done; each solver has a section of settings of its own.

pub mod evolution;
pub mod solve;

use nashost_plugin_api::{
    component::{Component, PluginResult},
    strategy::{Outcome, Request, SearchContext, SearchResult, Strategy, StrategyInfo},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use evolution::Evolution;
use solve::Solving;

/// How the search is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Solver {
    /// Simulated annealing over the program: seconds.
    #[default]
    Anneal,
    /// Annealing, and then branch and bound until the best structure is proven to be the best.
    Exact,
    /// The evolution of the official code. Works with any space and any metric.
    Evolution,
}

/// Configuration of [`DeepMad`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How the search is done.
    pub solver: Solver,
    /// Settings of `evolution`.
    pub evolution: evolution::Config,
    /// What `anneal` and `exact` solve.
    pub program: solve::ProgramConfig,
    /// Settings of the annealing, in `anneal` and `exact`.
    pub anneal: nashost_deepmad_solver::anneal::Options,
    /// Settings of the proof, in `exact`.
    pub exact: nashost_deepmad_solver::exact::Options,
}

/// The search of DeepMAD.
#[derive(Debug, Clone)]
pub struct DeepMad {
    config: Config,
    state: State,
}

/// What the chosen solver knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum State {
    Evolution(Evolution),
    Solving(Box<Solving>),
}

/// What [`Strategy::checkpoint`] writes.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    config: Config,
    state: State,
}

impl Component for DeepMad {
    const ID: &'static str = "deepmad";
    const DESCRIPTION: &'static str =
        "DeepMAD: search under budgets, by default of the mad-score. Reads no images.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        let solving = |prove| {
            let settings = solve::Config { anneal: config.anneal.clone(), exact: config.exact.clone() };
            Solving::new(settings, config.program.clone(), prove).map(|s| State::Solving(Box::new(s)))
        };
        let state = match config.solver {
            Solver::Anneal => solving(false)?,
            Solver::Exact => solving(true)?,
            Solver::Evolution => State::Evolution(Evolution::new(config.evolution.clone())?),
        };
        Ok(Self { config, state })
    }
}

impl Strategy for DeepMad {
    fn describe(&self) -> StrategyInfo {
        let (spaces, lag, proposals) = match &self.state {
            State::Evolution(evolution) => (Vec::new(), evolution.lag(), evolution.proposals()),
            State::Solving(_) => (vec!["superres".into()], 1, None),
        };
        StrategyInfo {
            uses_data: false,
            uses_labels: false,
            valid_spaces: spaces,
            default_metric: Some("mad-score".into()),
            lag,
            proposals,
        }
    }

    fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>> {
        match &mut self.state {
            State::Evolution(evolution) => evolution.ask(context, n),
            State::Solving(solving) => solving.ask(context),
        }
    }

    fn tell(&mut self, outcomes: &[Outcome]) -> PluginResult<()> {
        outcomes.iter().try_for_each(|outcome| match &mut self.state {
            State::Evolution(evolution) => evolution.tell(outcome),
            State::Solving(solving) => solving.tell(outcome),
        })
    }

    fn checkpoint(&self) -> PluginResult<Vec<u8>> {
        let checkpoint = Checkpoint { config: self.config.clone(), state: self.state.clone() };
        Ok(serde_json::to_vec(&checkpoint)?)
    }

    fn restore(&mut self, state: &[u8]) -> PluginResult<()> {
        let restored: Checkpoint = serde_json::from_slice(state)?;
        if restored.config != self.config {
            return Err("the state belongs to a search with another configuration".into());
        }
        self.state = restored.state;
        Ok(())
    }

    fn result(&self) -> PluginResult<SearchResult> {
        match &self.state {
            State::Evolution(evolution) => evolution.clone().into_result(),
            State::Solving(solving) => solving.result(),
        }
    }
}
