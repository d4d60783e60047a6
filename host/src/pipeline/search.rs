//! The search stage of a run: from a configuration to the structures that are trained.

use std::collections::BTreeMap;

use nashost_plugin_api::{
    abi::foreign::{ForeignArchitecture, ForeignArchitectureMetric},
    architecture::{Geometry, Spec},
    component::Kind,
    metric::{Direction, Score},
    seed::derive_seed,
    strategy::StrategyInfo,
};
use serde_json::json;

use crate::{
    config::{Config, SearchConfig},
    error::{Error, Exit, Result},
    plugin::Registry,
    run::{
        events::{Budget as BudgetEvent, PortableArchitecture, SearchStarted},
        trial::{ComponentRef, Control},
    },
    search::{Budget, SearchSetup, Space, is_exact, search},
    worker::{FromWorker, SearchTask},
};

/// The components of a search, checked to fit together.
pub(crate) struct Searcher<'a> {
    registry: &'a Registry,
    config: &'a SearchConfig,
    space_ref: ComponentRef,
    metric_ref: ComponentRef,
    architecture: &'a ForeignArchitecture,
    metric: ForeignArchitectureMetric,
    direction: Direction,
    info: StrategyInfo,
    geometry: Geometry,
    device: String,
    seed: u64,
    jobs: usize,
}

impl<'a> Searcher<'a> {
    /// Creates the components of `config.search` and checks that they fit together.
    ///
    /// # Errors
    ///
    /// Fails if the strategy does not work with the architecture (E0221), no metric is given, or a
    /// component is unknown or refuses its settings.
    pub(crate) fn new(
        registry: &'a Registry,
        config: &'a Config,
        search: &'a SearchConfig,
        architecture: &'a ForeignArchitecture,
        outputs: usize,
        device: &str,
    ) -> Result<Self> {
        let space_ref = ComponentRef::from(config.architecture()?);
        let strategy_ref = ComponentRef::from(search);
        let info = registry.strategy(&strategy_ref.id, &strategy_ref.config)?.describe()?;
        check_fit(&strategy_ref.id, &info, architecture)?;
        let metric_ref = match (&config.score, &info.default_metric) {
            (Some(score), _) => ComponentRef::from(score),
            (None, Some(id)) => ComponentRef { id: id.clone(), config: json!({}) },
            (None, None) => {
                return Err(Error::new(
                    Exit::Usage,
                    "E0222",
                    format!("strategy `{}` needs an architecture metric", strategy_ref.id),
                )
                .help(format!(
                    "set `score.plugin` to one of {}",
                    registry.ids(Kind::ArchitectureMetric).join(", ")
                )));
            }
        };
        let metric = registry.architecture_metric(&metric_ref.id, &metric_ref.config)?;
        let direction = metric.describe()?.direction;
        let side = config.search_resolution();
        Ok(Self {
            registry,
            config: search,
            space_ref,
            metric_ref,
            architecture,
            metric,
            direction,
            info,
            geometry: Geometry { input: [super::CHANNELS, side, side], outputs },
            device: device.to_owned(),
            seed: derive_seed(config.run.seed, "search"),
            jobs: config.run.search_threads(),
        })
    }

    /// Builds the space with its budgets.
    ///
    /// # Errors
    ///
    /// Fails if a budget names nothing that can be counted.
    pub(crate) fn space(&self) -> Result<Space<'_>> {
        let metrics = self.registry.ids(Kind::ArchitectureMetric);
        let budgets = self
            .config
            .budget
            .iter()
            .map(|budget| {
                let measured = !is_exact(&budget.kind) && metrics.contains(&budget.kind);
                let metric = if measured {
                    Some(self.registry.architecture_metric(&budget.kind, &json!({}))?)
                } else {
                    None
                };
                Ok(Budget { kind: budget.kind.clone(), max: budget.max, metric })
            })
            .collect::<Result<Vec<_>>>()?;
        Space::new(self.architecture, self.geometry, budgets, self.direction, &self.device, self.seed)
    }

    /// Returns how many structures the strategy will have scored, if it knows.
    pub(crate) fn proposals(&self) -> Option<u64> {
        self.info.proposals
    }

    /// What there is to record of the search when it starts.
    pub(crate) fn started(&self) -> SearchStarted {
        let budgets = self.config.budget.iter();
        SearchStarted {
            strategy: ComponentRef::from(self.config),
            space: self.space_ref.clone(),
            metric: self.metric_ref.clone(),
            direction: self.direction,
            uses_data: self.info.uses_data,
            seed: self.seed,
            geometry: self.geometry,
            budgets: budgets.map(|b| BudgetEvent { kind: b.kind.clone(), max: b.max }).collect(),
        }
    }

    /// Searches in this process, from where `task` says.
    ///
    /// # Errors
    ///
    /// Fails if a component fails or `tell` says stop.
    pub(crate) fn perform(
        &self,
        task: SearchTask,
        tell: &mut dyn FnMut(FromWorker) -> Control,
    ) -> Result<()> {
        let space = self.space()?;
        let strategy_ref = ComponentRef::from(self.config);
        let mut strategy = self.registry.strategy(&strategy_ref.id, &strategy_ref.config)?;
        let setup =
            SearchSetup { strategy: &mut strategy, space: &space, metric: &self.metric, jobs: self.jobs };
        // Candidates are scored side by side, each by one thread.
        tch::set_num_threads(1);
        search(setup, task, tell)
    }

    /// Which way the metric is better.
    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    /// Id of the metric that structures were scored with.
    pub(crate) fn metric_id(&self) -> &str {
        &self.metric_ref.id
    }
}

fn check_fit(strategy: &str, info: &StrategyInfo, architecture: &ForeignArchitecture) -> Result<()> {
    let space = architecture.id();
    if !architecture.describe()?.searchable {
        return Err(Error::new(
            Exit::Usage,
            "E0221",
            format!("strategy `{strategy}` cannot search `{space}`: it is a single network, not a space"),
        )
        .help("leave out `search`, or set `arch.plugin` to a space such as `superres`"));
    }
    if !info.valid_spaces.is_empty() && !info.valid_spaces.iter().any(|id| id == space) {
        return Err(Error::new(
            Exit::Usage,
            "E0221",
            format!("strategy `{strategy}` does not work with `{space}`"),
        )
        .help(format!("it works with {}", info.valid_spaces.join(", "))));
    }
    Ok(())
}

/// Describes a structure so that it can be built and compared elsewhere.
///
/// # Errors
///
/// Fails if the structure has no valid network of this geometry.
pub(crate) fn portable(
    architecture: &ForeignArchitecture,
    space: ComponentRef,
    space_version: String,
    spec: Spec,
    geometry: Geometry,
    scores: BTreeMap<String, Score>,
) -> Result<PortableArchitecture> {
    let graph = architecture.graph(&spec, &geometry)?;
    let costs = graph.costs().map_err(|e| {
        Error::new(
            Exit::Plugin,
            "E0422",
            format!("architecture `{}` built an invalid network: {e}", space.id),
        )
    })?;
    Ok(PortableArchitecture {
        schema_version: 1,
        id: graph.hash(),
        space,
        space_version,
        counters: architecture.counters(&spec, &geometry)?,
        spec,
        geometry,
        params: costs.params,
        macs: costs.macs,
        scores,
        graph,
    })
}
