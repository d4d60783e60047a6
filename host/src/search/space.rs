//! A search space under budgets, as a strategy sees it.

use nashost_plugin_api::{
    abi::foreign::{CallError, ForeignArchitecture, ForeignArchitectureMetric},
    architecture::{Counters, Geometry, Spec},
    component::{PluginError, PluginResult},
    graph::Graph,
    metric::{Candidate, Direction, ScoreContext},
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

/// A search space: an architecture at one geometry, under budgets.
pub struct Space<'a> {
    architecture: &'a ForeignArchitecture,
    geometry: Geometry,
    budgets: Vec<Budget>,
    direction: Direction,
    device: String,
    seed: u64,
}

impl<'a> Space<'a> {
    /// Builds the space and checks that every budget can be counted, on its first structure.
    ///
    /// # Errors
    ///
    /// Fails if the space has no first structure or a budget names nothing that can be counted.
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
        let space = Self { architecture, geometry, budgets, direction, device: device.to_owned(), seed };
        let first = architecture.initial()?;
        let counters = architecture.counters(&first, &geometry)?;
        space.check_exact(&first, &counters)?;
        for budget in &space.budgets {
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

    fn count(
        &self,
        budget: &Budget,
        spec: &str,
        counters: &Counters,
        graph: &mut Option<(Spec, Graph)>,
    ) -> PluginResult<f64> {
        if let Some(&value) = counters.get(&budget.kind) {
            return Ok(value);
        }
        let (spec, graph) = match graph {
            Some(known) => known,
            None => {
                let spec = serde_json::from_str(spec)?;
                let network = self.network(&spec)?;
                graph.insert((spec, network))
            }
        };
        if let Some(metric) = &budget.metric {
            let candidate = Candidate {
                spec: spec.clone(),
                graph: graph.clone(),
                counters: counters.clone(),
                seed: derive_seed(self.seed, "budget"),
            };
            let score = metric.score(&[candidate], &self.score_context())?.remove(0);
            return score.value.ok_or_else(|| {
                PluginError::from(format!(
                    "`{}` is undefined: {}",
                    budget.kind,
                    score.why.unwrap_or_default()
                ))
            });
        }
        let costs = graph.costs()?;
        Ok(match budget.kind.as_str() {
            "params" => costs.params as f64,
            "macs" => costs.macs as f64,
            _ => costs.layers as f64,
        })
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
        if self.budgets.is_empty() {
            return Ok(None);
        }
        let counters = self.architecture.counters_text(spec, &self.geometry)?;
        let mut graph = None;
        for budget in &self.budgets {
            if self.count(budget, spec, &counters, &mut graph)? > budget.max {
                return Ok(Some(budget.kind.clone()));
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
