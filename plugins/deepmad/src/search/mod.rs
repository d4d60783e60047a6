//! Strategy `deepmad`, as a resumable state machine.
//!
//! `solver` says how the search is done; each solver has a section of settings of its own.

pub mod evolution;

use nashost_plugin_api::{
    component::{Component, PluginResult},
    strategy::{Outcome, Request, SearchContext, SearchResult, Strategy, StrategyInfo},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use evolution::Evolution;

/// How the search is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Solver {
    /// The evolution of the official code.
    #[default]
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
        let state = match config.solver {
            Solver::Evolution => State::Evolution(Evolution::new(config.evolution.clone())?),
        };
        Ok(Self { config, state })
    }
}

impl Strategy for DeepMad {
    fn describe(&self) -> StrategyInfo {
        let State::Evolution(evolution) = &self.state;
        StrategyInfo {
            uses_data: false,
            uses_labels: false,
            valid_spaces: Vec::new(),
            default_metric: Some("mad-score".into()),
            lag: evolution.lag(),
            proposals: evolution.proposals(),
        }
    }

    fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>> {
        let State::Evolution(evolution) = &mut self.state;
        evolution.ask(context, n)
    }

    fn tell(&mut self, outcomes: &[Outcome]) -> PluginResult<()> {
        let State::Evolution(evolution) = &mut self.state;
        outcomes.iter().try_for_each(|outcome| evolution.tell(outcome))
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
        let State::Evolution(evolution) = &self.state;
        evolution.clone().into_result()
    }
}
