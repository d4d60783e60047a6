//! Search strategies: resumable state machines.

mod fingerprints;
mod hall_of_fame;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{fingerprints::Fingerprints, hall_of_fame::HallOfFame};
use crate::{
    architecture::{Spec, read_spec},
    component::{Component, PluginResult},
    graph::Graph,
    metric::{Direction, Score},
};

/// What a strategy needs; the host checks it before the search starts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct StrategyInfo {
    /// Whether it looks at images.
    pub uses_data: bool,
    /// Whether it looks at labels.
    pub uses_labels: bool,
    /// Ids of the architectures it works with; empty means any searchable one.
    pub valid_spaces: Vec<String>,
    /// Id of the architecture metric it asks for unless the configuration names another.
    pub default_metric: Option<String>,
    /// How many proposals may be open at once. Proposal `k` is made knowing the outcomes of all
    /// proposals up to `k - lag` and no others, so results do not depend on how many workers run.
    pub lag: u32,
    /// How many proposals it will make under its settings, if it knows: for progress and plans.
    #[serde(default)]
    pub proposals: Option<u64>,
}

/// What a strategy wants done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// Score a structure with the run's architecture metric.
    Score {
        /// Number of the proposal, from 0.
        id: u64,
        /// The structure.
        spec: Spec,
        /// Where it came from, for the log (`initial`, `mutation of 12`, …).
        origin: String,
    },
}

impl Request {
    /// Number of the proposal.
    pub fn id(&self) -> u64 {
        match self {
            Self::Score { id, .. } => *id,
        }
    }

    /// The structure.
    pub fn spec(&self) -> &Spec {
        match self {
            Self::Score { spec, .. } => spec,
        }
    }
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Number of the proposal.
    pub id: u64,
    /// The value; `None` if it failed or is undefined (see `why`).
    pub value: Option<f64>,
    /// Standard deviation over repeats.
    pub spread: Option<f64>,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A structure that the search recommends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ranked {
    /// The structure.
    pub spec: Spec,
    /// The value it is ranked by.
    pub value: f64,
    /// Proposal that found it.
    pub id: u64,
    /// Why it stands here.
    pub reason: String,
}

/// What the search found, best first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SearchResult {
    /// Best first, each structure once.
    pub ranked: Vec<Ranked>,
    /// Steps made, with rejected candidates.
    pub steps: u64,
    /// Candidates rejected by a budget, by the name of the budget.
    pub rejected: std::collections::BTreeMap<String, u64>,
}

/// The host's side of a search: the space, the budgets.
///
/// ```
/// use nashost_plugin_api::{metric::Direction, strategy::SearchContext, testing::ToySpace};
///
/// let context: &dyn SearchContext = &ToySpace::new(Direction::Higher).budget(1_000_000);
/// let start = context.initial()?;
/// let next = context.mutate(&start, 1, 7)?;
/// assert_eq!(context.mutate(&start, 1, 7)?, next, "the seed decides alone");
/// assert_eq!(context.violation(&next)?, None, "it keeps all budgets");
/// # Ok::<(), nashost_plugin_api::component::PluginError>(())
/// ```
pub trait SearchContext {
    /// Returns where the search starts.
    ///
    /// # Errors
    ///
    /// Passes on the architecture's error.
    fn initial(&self) -> PluginResult<Spec>;

    /// Draws a structure.
    ///
    /// # Errors
    ///
    /// Passes on the architecture's error.
    fn sample(&self, seed: u64) -> PluginResult<Spec>;

    /// Changes a structure.
    ///
    /// # Errors
    ///
    /// Passes on the architecture's error.
    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec>;

    /// Returns the name of the first budget that `spec` breaks, or `None` if it keeps all.
    ///
    /// # Errors
    ///
    /// Fails if the structure cannot be counted.
    fn violation(&self, spec: &Spec) -> PluginResult<Option<String>>;

    /// Does as [`SearchContext::mutate`], from the JSON text of a spec to that of another. A long
    /// search that keeps its structures as text saves most of a mutation's time.
    ///
    /// # Errors
    ///
    /// Passes on the architecture's error.
    fn mutate_text(&self, spec: &str, strength: u32, seed: u64) -> PluginResult<String> {
        Ok(self.mutate(&read_spec(spec)?, strength, seed)?.to_string())
    }

    /// Does as [`SearchContext::violation`], from the JSON text of a spec.
    ///
    /// # Errors
    ///
    /// Fails if the structure cannot be counted.
    fn violation_text(&self, spec: &str) -> PluginResult<Option<String>> {
        self.violation(&read_spec(spec)?)
    }

    /// Returns the network of `spec` at the geometry of the search.
    ///
    /// # Errors
    ///
    /// Passes on the architecture's error; fails if the host is older than this function.
    fn graph(&self, spec: &Spec) -> PluginResult<Graph> {
        let _ = spec;
        Err("the host gives no graphs to strategies".into())
    }

    /// Which way the run's metric is better.
    fn direction(&self) -> Direction;

    /// Master seed of this search.
    fn seed(&self) -> u64;
}

/// A search strategy. The host serialises the calls to one instance.
///
/// ```
/// use nashost_plugin_api::{
///     architecture::Spec,
///     component::{Component, PluginResult},
///     metric::Direction,
///     seed::derive_seed,
///     strategy::{
///         HallOfFame, Outcome, Ranked, Request, SearchContext, SearchResult, Strategy, StrategyInfo,
///     },
///     testing,
/// };
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields, default)]
/// struct Config {
///     draws: u64,
/// }
///
/// impl Default for Config {
///     fn default() -> Self {
///         Self { draws: 20 }
///     }
/// }
///
/// /// Draws structures, one after the other, and keeps the best.
/// struct Draws {
///     draws: u64,
///     state: State,
/// }
///
/// /// All that the search knows, so that it can be saved and taken up.
/// #[derive(Default, Serialize, Deserialize)]
/// struct State {
///     asked: u64,
///     direction: Direction,
///     open: Option<(u64, Spec)>,
///     best: HallOfFame,
/// }
///
/// impl Component for Draws {
///     const ID: &'static str = "draws";
///     const DESCRIPTION: &'static str = "Random structures.";
///     type Config = Config;
///
///     fn create(config: Config) -> PluginResult<Self> {
///         Ok(Self { draws: config.draws, state: State::default() })
///     }
/// }
///
/// impl Strategy for Draws {
///     fn describe(&self) -> StrategyInfo {
///         StrategyInfo { lag: 1, proposals: Some(self.draws), ..StrategyInfo::default() }
///     }
///
///     fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>> {
///         let state = &mut self.state;
///         if n == 0 || state.open.is_some() || state.asked >= self.draws {
///             return Ok(Vec::new());
///         }
///         state.direction = context.direction();
///         let id = state.asked;
///         for attempt in 0..1000 {
///             let spec = context.sample(derive_seed(context.seed(), &format!("{id}/{attempt}")))?;
///             if context.violation(&spec)?.is_none() {
///                 state.asked += 1;
///                 state.open = Some((id, spec.clone()));
///                 return Ok(vec![Request::Score { id, spec, origin: "random".to_owned() }]);
///             }
///         }
///         Err("hardly any structure keeps the budgets".into())
///     }
///
///     fn tell(&mut self, outcomes: &[Outcome]) -> PluginResult<()> {
///         for outcome in outcomes {
///             let open = self.state.open.take_if(|(id, _)| *id == outcome.id);
///             let (id, spec) = open.ok_or("an outcome that nobody asked for")?;
///             // A structure without a value is never a result.
///             if let Some(value) = outcome.value {
///                 let ranked = Ranked { spec, value, id, reason: format!("draw {id}") };
///                 self.state.best.insert(self.state.direction, ranked);
///             }
///         }
///         Ok(())
///     }
///
///     fn checkpoint(&self) -> PluginResult<Vec<u8>> {
///         Ok(serde_json::to_vec(&self.state)?)
///     }
///
///     fn restore(&mut self, state: &[u8]) -> PluginResult<()> {
///         self.state = serde_json::from_slice(state)?;
///         Ok(())
///     }
///
///     fn result(&self) -> PluginResult<SearchResult> {
///         let ranked = self.state.best.ranked().to_vec();
///         Ok(SearchResult { ranked, steps: self.state.asked, ..SearchResult::default() })
///     }
/// }
///
/// testing::strategy::<Draws>(serde_json::json!({})).assert_passed();
/// ```
pub trait Strategy: Component + Send {
    /// Says what it needs.
    fn describe(&self) -> StrategyInfo;

    /// Proposes up to `n` structures; none means the search is done. Proposals are numbered
    /// without gaps across calls.
    ///
    /// # Errors
    ///
    /// Fails if the search cannot go on.
    fn ask(&mut self, context: &dyn SearchContext, n: u32) -> PluginResult<Vec<Request>>;

    /// Learns outcomes, in the order of their ids.
    ///
    /// # Errors
    ///
    /// Fails if an outcome belongs to no open proposal.
    fn tell(&mut self, outcomes: &[Outcome]) -> PluginResult<()>;

    /// Returns the whole state, such that [`Strategy::restore`] continues to the same end.
    ///
    /// # Errors
    ///
    /// Fails if the state cannot be written.
    fn checkpoint(&self) -> PluginResult<Vec<u8>>;

    /// Takes up the state of [`Strategy::checkpoint`].
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not such a state.
    fn restore(&mut self, state: &[u8]) -> PluginResult<()>;

    /// Returns the best structures so far.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    fn result(&self) -> PluginResult<SearchResult>;
}

impl From<(u64, &Score)> for Outcome {
    fn from((id, score): (u64, &Score)) -> Self {
        Self { id, value: score.value, spread: score.spread, why: score.why.clone() }
    }
}
