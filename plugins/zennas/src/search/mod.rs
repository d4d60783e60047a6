//! Strategy `zennas`: the evolution of the official code, as a resumable state machine.
//!
//! `score` says by what it evolves. `monte-carlo` is the official way, of which the rest of this
//! page speaks: every child is scored by the run's metric. By default (`screen`) children are
//! scored by the closed form of the Zen-Score, within this plugin, and the run's metric scores only
//! the best of them, afresh.
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
mod screen;
mod state;

use std::{collections::BTreeMap, num::NonZeroU64};

use nashost_plugin_api::{
    component::{Component, PluginError, PluginResult},
    strategy::{Outcome, Request, SearchContext, SearchResult, Strategy, StrategyInfo},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analytic;
use screen::Screen;
use state::State;

/// Scores of a Monte-Carlo search whose configuration sets no end.
const DEFAULT_EVALUATIONS: u64 = 500;

/// Steps of any other whose configuration sets no end: those of the official search.
const DEFAULT_STEPS: u64 = 480_000;

/// Up to this size of the population, parents are the initial structure.
const WARM_UP: usize = 10;

/// By what a search evolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScoreMode {
    /// By the run's metric, as in the official code: every child is proposed to the host.
    MonteCarlo,
    /// By the analytic Zen-Score; the best structures are ranked by it, too, and scored once by the
    /// run's metric for the record.
    Analytic,
    /// By the analytic Zen-Score; then the best structures are scored afresh by the run's metric
    /// and ranked by the mean.
    #[default]
    TwoStage,
}

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// By what the search evolves.
    pub score: ScoreMode,
    /// The analytic score that a search evolves by. The strategy does not see `[score]`: what is set there
    /// is set here, too.
    pub analytic: analytic::Config,
    /// Structures that survive. The official code has 512 for 480,000 steps. Unless given 32 in
    /// Monte-Carlo searches, else 512.
    #[schemars(range(min = 11))]
    pub population: Option<u32>,
    /// Structures to score; the evolution ends then. 500 in Monte-Carlo searches if `iterations` is
    /// not given either.
    pub evaluations: Option<NonZeroU64>,
    /// Steps to make, rejected children included, as the official code counts; the evolution ends
    /// then. 480,000 in other searches if `evaluations` is not given either.
    pub iterations: Option<NonZeroU64>,
    /// How many structures may be scored at once; see above.
    #[schemars(range(min = 1))]
    pub lag: u32,
    /// What happens to a child that was proposed before.
    pub duplicates: Duplicates,
    /// Number of best structures that are scored afresh at the end; 0 for none, in Monte-Carlo
    /// searches only. Unless given 8, in two-stage searches 64.
    pub rescore: Option<u32>,
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
            score: ScoreMode::TwoStage,
            analytic: analytic::Config::default(),
            population: None,
            evaluations: None,
            iterations: None,
            lag: 8,
            duplicates: Duplicates::Skip,
            rescore: None,
            rescore_repeats: 4,
            max_rejects: 20_000,
        }
    }
}

impl Config {
    fn population(&self) -> usize {
        let default = if self.score == ScoreMode::MonteCarlo { 32 } else { 512 };
        self.population.unwrap_or(default) as usize
    }

    /// Number of structures to score, if that is what ends the evolution.
    fn evaluations(&self) -> Option<u64> {
        match (self.evaluations, self.iterations, self.score) {
            (None, None, ScoreMode::MonteCarlo) => Some(DEFAULT_EVALUATIONS),
            (evaluations, ..) => evaluations.map(NonZeroU64::get),
        }
    }

    /// Number of steps, if that is what ends the evolution.
    fn steps(&self) -> Option<u64> {
        match (self.evaluations, self.iterations, self.score) {
            (None, None, ScoreMode::Analytic | ScoreMode::TwoStage) => Some(DEFAULT_STEPS),
            (_, steps, _) => steps.map(NonZeroU64::get),
        }
    }

    /// Number of best structures with scores at the end.
    fn finalists(&self) -> usize {
        let default = if self.score == ScoreMode::TwoStage { 64 } else { 8 };
        self.rescore.unwrap_or(default) as usize
    }

    /// Scores of each of them.
    fn fresh_scores(&self) -> u32 {
        if self.score == ScoreMode::Analytic { 1 } else { self.rescore_repeats }
    }

    /// Scores at the end, if all goes well.
    fn rescores(&self) -> u64 {
        self.finalists() as u64 * u64::from(self.fresh_scores())
    }

    /// The lag that is kept: never longer than the search or its final scores, so that the final
    /// scores begin with something known and end with everything known.
    fn lag(&self) -> u32 {
        let children = (self.score == ScoreMode::MonteCarlo).then(|| self.evaluations()).flatten();
        let limits = [children, (self.rescores() > 0).then(|| self.rescores())];
        let lag = limits.into_iter().flatten().fold(u64::from(self.lag), u64::min);
        lag.try_into().unwrap_or(self.lag)
    }

    fn check(&self) -> PluginResult<()> {
        if self.population() <= WARM_UP {
            return Err(format!(
                "`population` is {}, must be at least 11: as long as it holds 10 or fewer structures, \
                 children are mutations of the initial one",
                self.population()
            )
            .into());
        }
        if self.lag == 0 || self.rescore_repeats == 0 || self.max_rejects == 0 {
            return Err("`lag`, `rescore_repeats` and `max_rejects` must be at least 1".into());
        }
        self.analytic.check()?;
        if self.score == ScoreMode::MonteCarlo && self.analytic != analytic::Config::default() {
            return Err(
                "`analytic` has no use with `score = \"monte-carlo\"`, which evolves by the run's metric"
                    .into(),
            );
        }
        if self.score != ScoreMode::MonteCarlo && self.finalists() == 0 {
            return Err("`rescore` must be at least 1, unless `score = \"monte-carlo\"`: it is the number \
                        of structures that the search proposes"
                .into());
        }
        Ok(())
    }
}

/// What ends a search that accepts nothing.
fn nothing_within(steps: u64, rejected: &BTreeMap<String, u64>) -> PluginError {
    let rejected: Vec<String> = rejected.iter().map(|(budget, count)| format!("{budget} {count}")).collect();
    format!(
        "no structure within the budgets in {steps} steps (rejected by: {}); raise the budgets or start \
         from a smaller structure",
        rejected.join(", ")
    )
    .into()
}

/// What answers a call of `ask` for which there is no room.
fn still_open(open: usize) -> PluginError {
    format!("asked for a proposal while {open} are open; their outcomes must be told first").into()
}

/// The evolutionary search of ZenNAS.
#[derive(Debug, Clone)]
pub struct ZenNas {
    search: Search,
}

/// A search of either kind.
#[derive(Debug, Clone)]
enum Search {
    MonteCarlo(State),
    Screen(Screen),
}

impl Component for ZenNas {
    const ID: &'static str = "zennas";
    const DESCRIPTION: &'static str =
        "ZenNAS: steady-state evolution under budgets, by the Zen-Score or its closed form. Reads no images.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        config.check()?;
        let search = match config.score {
            ScoreMode::MonteCarlo => Search::MonteCarlo(State::new(config)),
            ScoreMode::Analytic | ScoreMode::TwoStage => Search::Screen(Screen::new(config)),
        };
        Ok(Self { search })
    }
}

impl ZenNas {
    fn config(&self) -> &Config {
        match &self.search {
            Search::MonteCarlo(state) => state.config(),
            Search::Screen(screen) => screen.config(),
        }
    }
}

impl Strategy for ZenNas {
    fn describe(&self) -> StrategyInfo {
        StrategyInfo {
            uses_data: false,
            uses_labels: false,
            valid_spaces: Vec::new(),
            default_metric: Some(match self.config().score {
                ScoreMode::MonteCarlo | ScoreMode::TwoStage => "zen-score".into(),
                ScoreMode::Analytic => "zen-score-analytic".into(),
            }),
            lag: self.config().lag(),
            proposals: match &self.search {
                Search::MonteCarlo(state) => state.proposals(),
                Search::Screen(screen) => Some(screen.proposals()),
            },
        }
    }

    /// Fails if `lag` proposals are open already: there would be nothing to answer, and an empty
    /// answer means the end.
    fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>> {
        let state = match &mut self.search {
            Search::MonteCarlo(state) => state,
            Search::Screen(screen) => return screen.ask(context, n),
        };
        let mut requests = Vec::new();
        for _ in 0..n {
            if !state.make_room() {
                if requests.is_empty() {
                    return Err(still_open(state.lag() as usize));
                }
                break;
            }
            match state.propose(context)? {
                Some(request) => requests.push(request),
                None => break,
            }
        }
        Ok(requests)
    }

    fn tell(&mut self, outcomes: &[Outcome]) -> PluginResult<()> {
        match &mut self.search {
            Search::MonteCarlo(state) => outcomes.iter().try_for_each(|outcome| state.tell(outcome)),
            Search::Screen(screen) => outcomes.iter().try_for_each(|outcome| screen.tell(outcome)),
        }
    }

    fn checkpoint(&self) -> PluginResult<Vec<u8>> {
        Ok(match &self.search {
            Search::MonteCarlo(state) => serde_json::to_vec(state)?,
            Search::Screen(screen) => serde_json::to_vec(screen)?,
        })
    }

    fn restore(&mut self, state: &[u8]) -> PluginResult<()> {
        let restored = Self {
            search: match &self.search {
                Search::MonteCarlo(_) => Search::MonteCarlo(serde_json::from_slice(state)?),
                Search::Screen(_) => Search::Screen(serde_json::from_slice(state)?),
            },
        };
        if restored.config() != self.config() {
            return Err("the state belongs to a search with another configuration".into());
        }
        *self = restored;
        Ok(())
    }

    fn result(&self) -> PluginResult<SearchResult> {
        match &self.search {
            Search::MonteCarlo(state) => state.clone().into_result(),
            Search::Screen(screen) => screen.result(),
        }
    }
}

#[cfg(test)]
mod cifar;
#[cfg(test)]
mod tests;
