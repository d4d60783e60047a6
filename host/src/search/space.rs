//! A search space under budgets, as a strategy sees it.

use std::sync::{Once, PoisonError, RwLock};

use nashost_plugin_api::{
    abi::foreign::{CallError, ForeignArchitecture, ForeignArchitectureMetric},
    architecture::{Counters, Geometry, Spec},
    component::PluginResult,
    graph::Graph,
    metric::{Candidate, Direction, Score, ScoreContext},
    seed::derive_seed,
    strategy::SearchContext,
};

use crate::error::{Error, Exit, Result};

/// What a structure may cost at most.
pub struct Budget {
    /// `params`, `macs` or `layers` (exact, of the graph), a counter of the space, or the id of
    /// an architecture metric.
    pub kind: String,
    /// Largest value that passes.
    pub max: f64,
    /// The metric that measures it, unless the host counts it.
    pub metric: Option<ForeignArchitectureMetric>,
}

/// A budget, and how it is kept.
struct Limit {
    budget: Budget,
    /// Whether its metric must not be at work beside another thread: what it measures is time.
    alone: bool,
    /// The first structure without a value is logged.
    undefined: Once,
}

/// A search space: an architecture at one geometry, under budgets.
pub struct Space<'a> {
    architecture: &'a ForeignArchitecture,
    geometry: Geometry,
    limits: Vec<Limit>,
    direction: Direction,
    device: String,
    seed: u64,
    /// Threads that score hold it for reading; a budget that is measured alone, for writing.
    quiet: RwLock<()>,
}

impl<'a> Space<'a> {
    /// Builds the space and checks that every budget can be counted, on its first structure.
    ///
    /// # Errors
    ///
    /// Fails if the space has no first structure, a budget names nothing that can be counted, or its metric
    /// does not describe itself.
    pub fn new(
        architecture: &'a ForeignArchitecture,
        geometry: Geometry,
        mut budgets: Vec<Budget>,
        direction: Direction,
        device: &str,
        seed: u64,
    ) -> Result<Self> {
        // Cheap counts first: most candidates of a long search are rejected by them.
        budgets.sort_by_key(|b| (b.metric.is_some(), is_exact(&b.kind)));
        let limits = budgets.into_iter().map(Limit::new).collect::<Result<_>>()?;
        let device = device.to_owned();
        let space =
            Self { architecture, geometry, limits, direction, device, seed, quiet: RwLock::default() };
        let first = architecture.initial()?;
        let counters = architecture.counters(&first, &geometry)?;
        space.check_exact(&first, &counters)?;
        for Limit { budget, .. } in &space.limits {
            if !is_exact(&budget.kind) && budget.metric.is_none() && !counters.contains_key(&budget.kind) {
                let mut known: Vec<&str> = vec!["params", "macs", "layers"];
                known.extend(counters.keys().map(String::as_str));
                return Err(Error::new(
                    Exit::Usage,
                    "E0220",
                    format!(
                        "`search.budget` of kind `{}`: `{}` cannot count it",
                        budget.kind,
                        architecture.id()
                    ),
                )
                .help(format!("there are {}, and every architecture metric", known.join(", "))));
            }
        }
        Ok(space)
    }

    /// Checks that what the space counts under the names of exact costs is what a graph has.
    fn check_exact(&self, first: &Spec, counters: &Counters) -> Result<()> {
        if !counters.keys().any(|name| is_exact(name)) {
            return Ok(());
        }
        // A first structure may be one whose blocks fit each other only after a mutation.
        let Ok(graph) = self.architecture.graph(first, &self.geometry) else { return Ok(()) };
        let invalid = |e| {
            let space = self.architecture.id();
            Error::new(Exit::Plugin, "E0422", format!("architecture `{space}` built an invalid network: {e}"))
        };
        let costs = graph.costs().map_err(invalid)?;
        for (name, exact) in [("params", costs.params), ("macs", costs.macs), ("layers", costs.layers)] {
            if counters.get(name).is_some_and(|&counted| counted != exact as f64) {
                let space = self.architecture.id();
                return Err(Error::new(
                    Exit::Plugin,
                    "E0422",
                    format!(
                        "architecture `{space}` counts {} `{name}`, its network has {exact}",
                        counters[name]
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Sizes of the networks.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Builds what an architecture metric scores.
    ///
    /// # Errors
    ///
    /// Fails if the structure has no valid network.
    pub fn candidate(&self, spec: &Spec, seed: u64) -> Result<Candidate> {
        Ok(Candidate {
            spec: spec.clone(),
            graph: self.network(spec)?,
            counters: self.architecture.counters(spec, &self.geometry)?,
            seed,
        })
    }

    /// The network of a structure as it is used after training, which is what metrics and budgets judge.
    fn network(&self, spec: &Spec) -> std::result::Result<Graph, CallError> {
        Ok(self.architecture.graph(spec, &self.geometry)?.without_auxiliary())
    }

    /// What metrics need to know.
    pub fn score_context(&self) -> ScoreContext {
        ScoreContext { geometry: self.geometry, device: self.device.clone() }
    }

    /// Whether a structure that keeps every budget now may break one when it is measured again.
    pub fn measures_time(&self) -> bool {
        self.limits.iter().any(|limit| limit.alone)
    }

    /// Scores a structure by the search's `metric`, which waits while a budget is measured alone.
    ///
    /// # Errors
    ///
    /// Fails if the structure has no valid network, or the metric fails.
    pub fn score(&self, metric: &ForeignArchitectureMetric, spec: &Spec, seed: u64) -> Result<Score> {
        let _others_may_score = self.quiet.read().unwrap_or_else(PoisonError::into_inner);
        let candidate = self.candidate(spec, seed)?;
        Ok(metric.score(&[candidate], &self.score_context())?.remove(0))
    }

    /// Returns whether a structure keeps a budget. Where its value is undefined it does not.
    fn keeps(
        &self,
        limit: &Limit,
        spec: &str,
        counters: &Counters,
        graph: &mut Option<(Spec, Graph)>,
    ) -> PluginResult<bool> {
        let Limit { budget: Budget { kind, max, metric }, .. } = limit;
        if let Some(value) = counters.get(kind) {
            return Ok(value <= max);
        }
        let (spec, graph) = match graph {
            Some(known) => known,
            None => {
                let spec = serde_json::from_str(spec)?;
                let network = self.network(&spec)?;
                graph.insert((spec, network))
            }
        };
        if let Some(metric) = metric {
            let candidate = Candidate {
                spec: spec.clone(),
                graph: graph.clone(),
                counters: counters.clone(),
                seed: derive_seed(self.seed, "budget"),
            };
            return self.measure(limit, metric, candidate);
        }
        let costs = graph.costs()?;
        let value = match kind.as_str() {
            "params" => costs.params as f64,
            "macs" => costs.macs as f64,
            "layers" => costs.layers as f64,
            _ => {
                let space = self.architecture.id();
                return Err(format!(
                    "architecture `{space}` does not count `{kind}` of {spec}, though it did of its first structure"
                )
                .into());
            }
        };
        Ok(value <= *max)
    }

    fn measure(
        &self,
        limit: &Limit,
        metric: &ForeignArchitectureMetric,
        candidate: Candidate,
    ) -> PluginResult<bool> {
        let nobody_else = limit.alone.then(|| self.quiet.write().unwrap_or_else(PoisonError::into_inner));
        let score = metric.score(&[candidate], &self.score_context())?.remove(0);
        drop(nobody_else);
        if score.value.is_none() {
            limit.undefined.call_once(|| {
                tracing::warn!(
                    "`{}` is undefined for a structure, which therefore breaks this budget: {}; further ones \
                     are counted, not told",
                    limit.budget.kind,
                    score.why.as_deref().unwrap_or("the metric gives no reason")
                );
            });
        }
        Ok(score.value.is_some_and(|value| value <= limit.budget.max))
    }
}

impl Limit {
    fn new(budget: Budget) -> Result<Self> {
        let alone = match &budget.metric {
            Some(metric) => !metric.describe()?.parallel,
            None => false,
        };
        Ok(Self { budget, alone, undefined: Once::new() })
    }
}

/// Returns whether the host counts this kind of budget itself, from the graph.
pub fn is_exact(kind: &str) -> bool {
    matches!(kind, "params" | "macs" | "layers")
}

impl SearchContext for Space<'_> {
    fn initial(&self) -> PluginResult<Spec> {
        Ok(self.architecture.initial()?)
    }

    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        Ok(self.architecture.sample(seed)?)
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        Ok(self.architecture.mutate(spec, strength, seed)?)
    }

    fn violation(&self, spec: &Spec) -> PluginResult<Option<String>> {
        self.violation_text(&spec.to_string())
    }

    fn mutate_text(&self, spec: &str, strength: u32, seed: u64) -> PluginResult<String> {
        Ok(self.architecture.mutate_text(spec, strength, seed)?)
    }

    fn violation_text(&self, spec: &str) -> PluginResult<Option<String>> {
        if self.limits.is_empty() {
            return Ok(None);
        }
        let counters = self.architecture.counters_text(spec, &self.geometry)?;
        let mut graph = None;
        for limit in &self.limits {
            if !self.keeps(limit, spec, &counters, &mut graph)? {
                return Ok(Some(limit.budget.kind.clone()));
            }
        }
        Ok(None)
    }

    fn graph(&self, spec: &Spec) -> PluginResult<Graph> {
        Ok(self.network(spec)?)
    }

    fn direction(&self) -> Direction {
        self.direction
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use nashost_plugin_api::{
        architecture::{Architecture, ArchitectureInfo},
        component::Component,
        metric::{ArchitectureMetric, ArchitectureMetricInfo},
        testing,
    };
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    struct Empty {}

    /// Chains of convolutions. Its counter `firsts` is that of the first structure alone.
    struct Chains;

    impl Component for Chains {
        const ID: &'static str = "chains";
        const DESCRIPTION: &'static str = "Chains of convolutions.";
        type Config = Empty;

        fn create(_: Empty) -> PluginResult<Self> {
            Ok(Self)
        }
    }

    impl Architecture for Chains {
        fn describe(&self) -> ArchitectureInfo {
            ArchitectureInfo { spec_schema: json!({}), searchable: true, source: "a test".to_owned() }
        }

        fn initial(&self) -> PluginResult<Spec> {
            Ok(json!([4]))
        }

        fn sample(&self, _: u64) -> PluginResult<Spec> {
            self.initial()
        }

        fn mutate(&self, spec: &Spec, _: u32, _: u64) -> PluginResult<Spec> {
            Ok(spec.clone())
        }

        fn graph(&self, spec: &Spec, _: &Geometry) -> PluginResult<Graph> {
            testing::ToySpace::network(spec)
        }

        fn counters(&self, spec: &Spec, _: &Geometry) -> PluginResult<Counters> {
            let first = *spec == json!([4]);
            Ok(first.then(|| ("firsts".to_owned(), 1.0)).into_iter().collect())
        }
    }

    fn one_draw(value: Option<f64>) -> Score {
        Score { value, spread: None, repeats: 1, seconds: 0.0, why: None }
    }

    /// The first width, undefined for 16.
    struct Width;

    impl Component for Width {
        const ID: &'static str = "width";
        const DESCRIPTION: &'static str = "The first width.";
        type Config = Empty;

        fn create(_: Empty) -> PluginResult<Self> {
            Ok(Self)
        }
    }

    impl ArchitectureMetric for Width {
        fn describe(&self) -> ArchitectureMetricInfo {
            ArchitectureMetricInfo { direction: Direction::Lower, unit: String::new(), parallel: true }
        }

        fn score(&self, candidates: &[Candidate], _: &ScoreContext) -> PluginResult<Vec<Score>> {
            let score = |candidate: &Candidate| {
                let value = candidate.spec[0].as_f64().filter(|width| *width < 16.0);
                let why = value.is_none().then(|| "too wide".to_owned());
                Score { why, ..one_draw(value) }
            };
            Ok(candidates.iter().map(score).collect())
        }
    }

    /// Calls of the parallel one below that are at work.
    static SCORING: AtomicUsize = AtomicUsize::new(0);

    /// The number of calls of the parallel one that are at work beside.
    struct Beside<const PARALLEL: bool>;

    impl<const PARALLEL: bool> Component for Beside<PARALLEL> {
        const ID: &'static str = "beside";
        const DESCRIPTION: &'static str = "Who else is at work.";
        type Config = Empty;

        fn create(_: Empty) -> PluginResult<Self> {
            Ok(Self)
        }
    }

    impl<const PARALLEL: bool> ArchitectureMetric for Beside<PARALLEL> {
        fn describe(&self) -> ArchitectureMetricInfo {
            ArchitectureMetricInfo { direction: Direction::Lower, unit: String::new(), parallel: PARALLEL }
        }

        fn score(&self, _: &[Candidate], _: &ScoreContext) -> PluginResult<Vec<Score>> {
            let beside = SCORING.fetch_add(usize::from(PARALLEL), Ordering::SeqCst);
            std::thread::yield_now();
            SCORING.fetch_sub(usize::from(PARALLEL), Ordering::SeqCst);
            Ok(vec![one_draw(Some(beside as f64))])
        }
    }

    fn metric<M: ArchitectureMetric>() -> ForeignArchitectureMetric {
        testing::local_architecture_metric::<M>(&json!({})).unwrap()
    }

    fn space<'a>(
        architecture: &'a ForeignArchitecture,
        kind: &str,
        max: f64,
        metric: Option<ForeignArchitectureMetric>,
    ) -> Space<'a> {
        let budgets = vec![Budget { kind: kind.to_owned(), max, metric }];
        let geometry = testing::ToySpace::GEOMETRY;
        Space::new(architecture, geometry, budgets, Direction::Higher, "cpu", 1).unwrap()
    }

    fn chains() -> ForeignArchitecture {
        testing::local_architecture::<Chains>(&json!({})).unwrap()
    }

    #[test]
    fn a_structure_whose_budget_is_undefined_breaks_it() {
        let chains = chains();
        let space = space(&chains, "width", 8.0, Some(metric::<Width>()));
        assert!(!space.measures_time());
        let broken = |spec| space.violation(&spec).unwrap();
        assert_eq!(broken(json!([8])), None);
        assert_eq!(broken(json!([12])).as_deref(), Some("width"));
        assert_eq!(broken(json!([16])).as_deref(), Some("width"), "it is rejected, the search goes on");
    }

    #[test]
    fn a_counter_that_the_space_leaves_out_is_an_error_that_names_it() {
        let chains = chains();
        let space = space(&chains, "firsts", 1.0, None);
        assert_eq!(space.violation(&json!([4])).unwrap(), None);
        let error = space.violation(&json!([8])).unwrap_err().to_string();
        assert!(error.contains("`chains` does not count `firsts` of [8]"), "{error}");
    }

    #[test]
    fn a_budget_of_time_is_measured_while_nobody_scores() {
        let chains = chains();
        let scored = metric::<Beside<true>>();
        let space = space(&chains, "beside", 0.0, Some(metric::<Beside<false>>()));
        assert!(space.measures_time());
        std::thread::scope(|scope| {
            for seed in 0..2 {
                let (space, scored) = (&space, &scored);
                scope.spawn(move || {
                    for _ in 0..300 {
                        space.score(scored, &json!([4]), seed).unwrap();
                    }
                });
            }
            for _ in 0..300 {
                assert_eq!(space.violation(&json!([8])).unwrap(), None);
            }
        });
    }
}
