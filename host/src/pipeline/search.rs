//! The search stage of a run: from a configuration to the structures that are trained.

use std::{collections::BTreeMap, path::Path, sync::atomic::AtomicU64, time::Instant};

use nashost_plugin_api::{
    abi::foreign::{ForeignArchitecture, ForeignArchitectureMetric},
    architecture::{Geometry, Spec},
    component::Kind,
    metric::{Direction, Score},
    seed::derive_seed,
    strategy::{SearchContext as _, StrategyInfo},
};
use nashost_plugin_torch::{ForeignOneShot, OneShotTask as Task, parse_device};
use serde_json::json;

use super::trial::torch;
use crate::{
    config::{Config, SearchConfig, train::TrainConfig},
    data::ImageStore,
    error::{Error, Exit, Result},
    plugin::Registry,
    run::{
        events::{Budget as BudgetEvent, PortableArchitecture, SearchStarted},
        trial::{ComponentRef, Control},
    },
    search::{Budget, OneShotSetup, SearchSetup, Space, TrainingSamples, is_exact, one_shot, search},
    worker::{FromWorker, OneShotTask, SearchTask},
};

/// Where the values of structures come from.
enum Values {
    /// From an architecture metric.
    Metric { id: ComponentRef, metric: ForeignArchitectureMetric, direction: Direction },
    /// From the strategy itself, which learns from the training images; higher is better.
    Images,
}

/// The components of a search, checked to fit together.
pub(crate) struct Searcher<'a> {
    registry: &'a Registry,
    config: &'a SearchConfig,
    space_ref: ComponentRef,
    architecture: &'a ForeignArchitecture,
    values: Values,
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
    /// Fails if the strategy does not work with the architecture (E0221), a metric is missing or too
    /// much (E0222), or a component is unknown or refuses its settings.
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
        let strategy = registry.strategy(&strategy_ref.id, &strategy_ref.config)?;
        let info = strategy.describe()?;
        check_fit(&strategy_ref.id, &info, architecture)?;
        let values = if ForeignOneShot::is(&strategy) {
            check_one_shot(config, &strategy_ref.id)?;
            Values::Images
        } else {
            let id = metric(registry, config, &strategy_ref.id, &info)?;
            let metric = registry.architecture_metric(&id.id, &id.config)?;
            let direction = metric.describe()?.direction;
            Values::Metric { id, metric, direction }
        };
        let side = config.search_resolution();
        Ok(Self {
            registry,
            config: search,
            space_ref,
            architecture,
            values,
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
        Space::new(self.architecture, self.geometry, budgets, self.direction(), &self.device, self.seed)
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
            metric: match &self.values {
                Values::Metric { id, .. } => Some(id.clone()),
                Values::Images => None,
            },
            direction: self.direction(),
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
        let Values::Metric { metric, .. } = &self.values else {
            return Err(Error::new(Exit::Bug, "E0817", "a one-shot search was asked to score structures"));
        };
        let space = self.space()?;
        let strategy_ref = ComponentRef::from(self.config);
        let mut strategy = self.registry.strategy(&strategy_ref.id, &strategy_ref.config)?;
        let setup = SearchSetup { strategy: &mut strategy, space: &space, metric, jobs: self.jobs };
        // Candidates are scored side by side, each by one thread.
        tch::set_num_threads(1);
        search(setup, task, tell)
    }

    /// Makes a one-shot search in this process, on the training part of `store`, from where `start`
    /// says. Structures that break a budget are left out of the result.
    ///
    /// # Errors
    ///
    /// Fails if a component fails, `folder` cannot be written, or `tell` says stop.
    pub(crate) fn learn(
        &self,
        store: &ImageStore,
        train: &TrainConfig,
        folder: &Path,
        start: &OneShotTask,
        pulse: &AtomicU64,
        tell: &mut dyn FnMut(FromWorker) -> Control,
    ) -> Result<()> {
        let began = Instant::now();
        let space = self.space()?;
        let strategy_ref = ComponentRef::from(self.config);
        let mut strategy = self.registry.strategy(&strategy_ref.id, &strategy_ref.config)?;
        let device = parse_device(&self.device).map_err(|e| torch(&e))?;
        let task = Task {
            geometry: self.geometry,
            labels: store.info.labels.clone(),
            initial: self.architecture.initial()?,
            seed: self.seed,
            device: self.device.clone(),
        };
        let input = self.geometry.input;
        let mut samples = TrainingSamples::new(store, input, &train.augmentation, device, pulse)?;
        let setup = OneShotSetup { strategy: &mut strategy, task: &task, samples: &mut samples, folder };
        one_shot(setup, start, tell)?;
        let details = ForeignOneShot::new(&mut strategy)?.details()?;
        let mut result = strategy.result()?;
        let mut kept = Vec::with_capacity(result.ranked.len());
        for ranked in result.ranked {
            match space
                .violation(&ranked.spec)
                .map_err(|e| Error::new(Exit::Plugin, "E0422", e.to_string()))?
            {
                None => kept.push(ranked),
                Some(budget) => *result.rejected.entry(budget).or_default() += 1,
            }
        }
        result.ranked = kept;
        let seconds = began.elapsed().as_secs_f64();
        tell(FromWorker::SearchDone { result, seconds, details: Some(details) });
        Ok(())
    }

    /// Whether the strategy learns from the training images.
    pub(crate) fn learns(&self) -> bool {
        matches!(self.values, Values::Images)
    }

    /// Which way values are better.
    pub(crate) fn direction(&self) -> Direction {
        match &self.values {
            Values::Metric { direction, .. } => *direction,
            Values::Images => Direction::Higher,
        }
    }

    /// Id of what structures were valued by: the metric, or the strategy.
    pub(crate) fn metric_id(&self) -> &str {
        match &self.values {
            Values::Metric { id, .. } => &id.id,
            Values::Images => &self.config.plugin,
        }
    }
}

/// Chooses the metric that structures are scored with.
fn metric(registry: &Registry, config: &Config, strategy: &str, info: &StrategyInfo) -> Result<ComponentRef> {
    match (&config.score, &info.default_metric) {
        (Some(score), _) => Ok(ComponentRef::from(score)),
        (None, Some(id)) => Ok(ComponentRef { id: id.clone(), config: json!({}) }),
        (None, None) => Err(Error::new(
            Exit::Usage,
            "E0222",
            format!("strategy `{strategy}` needs an architecture metric"),
        )
        .help(format!("set `score.plugin` to one of {}", registry.ids(Kind::ArchitectureMetric).join(", ")))),
    }
}

/// Checks what a strategy that learns from images needs of the rest of the configuration.
fn check_one_shot(config: &Config, strategy: &str) -> Result<()> {
    if let Some(score) = &config.score {
        let message = format!(
            "strategy `{strategy}` values structures itself, so `score.plugin` = \"{}\" has no use",
            score.plugin
        );
        return Err(Error::new(Exit::Usage, "E0222", message).help("leave out `score`"));
    }
    let (search, train) = (config.search_resolution(), config.train.resolution);
    if search != train {
        let message = format!(
            "strategy `{strategy}` learns from the images that are trained on, so `search.resolution` ({search}) \
             must be `train.resolution` ({train})"
        );
        return Err(Error::new(Exit::Usage, "E0221", message).help(
            "leave out `search.resolution`; settings of the strategy may make the images smaller for the search",
        ));
    }
    Ok(())
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
