//! What a worker process does for a run: it searches, trains and evaluates.

use std::sync::atomic::{AtomicU64, Ordering};

use nashost_plugin_api::component::Kind;
use nashost_plugin_torch::deterministic::set_deterministic;

use super::{
    components::PluginScorer,
    data::{self, Prepared},
    identities,
    search::Searcher,
    trial::Executor,
};
use crate::{
    config::Config,
    error::{Error, Exit, Result},
    evaluate::{MetricSet, PredictionScorer},
    plugin::Registry,
    run::{
        events::PluginIdentity,
        trial::{ComponentRef, Control, TrialEvent, TrialRequest},
    },
    worker::{self, FromWorker, Known, OneShotTask, SearchTask, Setup},
};

/// The work of one process.
pub(crate) struct Duties<'a> {
    registry: &'a Registry,
    setup: Setup,
    /// Rises while images are decoded, so that the driver sees progress.
    pulse: &'a AtomicU64,
    prepared: Option<Prepared>,
}

impl<'a> Duties<'a> {
    /// Prepares for the tasks of a run.
    pub(crate) fn new(registry: &'a Registry, setup: Setup, pulse: &'a AtomicU64) -> Self {
        set_deterministic(setup.config.run.deterministic);
        Self { registry, setup, pulse, prepared: None }
    }
}

/// Says that `error` is not the task's: the driver prepared the same, so something around it has changed.
fn of_surroundings(error: Error) -> Error {
    let exit = if matches!(error.exit, Exit::No | Exit::Usage) { Exit::Environment } else { error.exit };
    Error { exit, ..error }
}

/// Returns the images, which are loaded for the first task that wants them.
fn load<'p>(
    prepared: &'p mut Option<Prepared>,
    registry: &Registry,
    config: &Config,
    pulse: &AtomicU64,
) -> Result<&'p Prepared> {
    match prepared {
        Some(prepared) => Ok(prepared),
        none => {
            let count = |_: usize, _: usize| {
                pulse.fetch_add(1, Ordering::Relaxed);
            };
            Ok(none.insert(data::prepare(registry, config, &count).map_err(of_surroundings)?))
        }
    }
}

/// Makes the components of the search for `work`.
fn with_searcher(
    registry: &Registry,
    setup: &Setup,
    work: impl FnOnce(&Searcher<'_>) -> Result<()>,
) -> Result<()> {
    let config = &setup.config;
    let Some(search) = &config.search else {
        return Err(Error::new(Exit::Bug, "E0817", "a search was asked for that is not configured"));
    };
    let space = ComponentRef::from(config.architecture()?);
    loaded_as_there(registry, &space.id, &setup.plugins)?;
    let architecture = registry.architecture(&space.id, &space.config)?;
    let searcher = Searcher::new(registry, config, search, &architecture, setup.outputs, &setup.device)?;
    same_plugins(registry, &setup.plugins)?;
    work(&searcher)
}

/// Loads the plugin of an architecture and checks that it is the driver's, before its code is asked anything: another
/// build may refuse what the run has.
fn loaded_as_there(registry: &Registry, architecture: &str, theirs: &[PluginIdentity]) -> Result<()> {
    registry.sha256(Kind::Architecture, architecture).map_err(of_surroundings)?;
    same_plugins(registry, theirs)
}

/// Checks that this process loaded the plugins that the driver has.
fn same_plugins(registry: &Registry, theirs: &[PluginIdentity]) -> Result<()> {
    for ours in identities(registry) {
        let theirs = theirs.iter().find(|plugin| plugin.id == ours.id);
        if theirs.is_some_and(|theirs| theirs.sha256 != ours.sha256) {
            let message = format!("plugin `{}` was replaced while the run was going on", ours.id);
            return Err(Error::new(Exit::Identity, "E0806", message)
                .help("`nashost resume` tells what changed, and goes on if you allow it"));
        }
    }
    Ok(())
}

impl worker::Duties for Duties<'_> {
    fn search(&mut self, task: SearchTask, tell: &mut dyn FnMut(FromWorker) -> Control) -> Result<()> {
        with_searcher(self.registry, &self.setup, |searcher| searcher.perform(task, tell))
    }

    fn one_shot(&mut self, task: OneShotTask, tell: &mut dyn FnMut(FromWorker) -> Control) -> Result<()> {
        let Setup { config, run_dir, .. } = &self.setup;
        let prepared = load(&mut self.prepared, self.registry, config, self.pulse)?;
        // On a CPU the number of threads decides the last bits, so it is the run's and not the machine's.
        tch::set_num_threads(i32::try_from(config.run.threads).unwrap_or(i32::MAX));
        with_searcher(self.registry, &self.setup, |searcher| {
            searcher.learn(&prepared.store, &config.train, run_dir, &task, self.pulse, tell)
        })
    }

    fn trial(
        &mut self,
        request: &TrialRequest,
        known: &Known,
        tell: &mut dyn FnMut(TrialEvent) -> Control,
    ) -> Result<()> {
        let config = &self.setup.config;
        let prepared = load(&mut self.prepared, self.registry, config, self.pulse)?;
        let scorers = PluginScorer::all(self.registry, &config.eval.metrics).map_err(of_surroundings)?;
        let scorers: Vec<&dyn PredictionScorer> = scorers.iter().map(|s| s as _).collect();
        let metrics = MetricSet::new(&scorers).map_err(of_surroundings)?;
        let executor = Executor {
            registry: self.registry,
            store: &prepared.store,
            metrics: &metrics,
            run_dir: &self.setup.run_dir,
            device: &self.setup.device,
        };
        tch::set_num_threads(i32::try_from(request.threads).unwrap_or(i32::MAX));
        loaded_as_there(self.registry, &request.architecture.id, &self.setup.plugins)?;
        let loaded = executor.network(request)?;
        executor.execute(request, loaded, known, tell)
    }
}
