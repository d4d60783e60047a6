//! A whole run: data, search, training, evaluation, and their record.
//!
//! The order of things: everything that can be refused is refused before the run directory exists;
//! then each stage tells the [`Recorder`](crate::run::Recorder) what it did, and all tables are made
//! from that record. Each stage does what the record lacks, so taking a run up again is running it.
//! This process is the driver: search and training happen in [workers](crate::worker).

mod budget;
mod chosen;
mod components;
mod data;
mod duties;
mod identity;
mod learning;
mod plan;
mod saliency;
mod search;
mod searching;
mod session;
mod training;
mod trial;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Instant,
};

use nashost_plugin_api::abi::host::CancelState;

use self::{
    components::PluginScorer,
    data::Prepared,
    identity::Identity,
    search::Searcher,
    session::{Session, Stop},
};
pub(crate) use self::{
    data::{PluginSource, patients, split},
    duties::Duties,
    identity::{Allowed, config_differences},
    plan::Plan,
    saliency::file as saliency_file,
    search::portable,
};
use crate::{
    config::{Config, Resolved},
    device::ResolvedDevice,
    error::{Error, Exit, Result},
    evaluate::{MetricSet, PredictionScorer},
    plugin::{Registry, cancel_state},
    report,
    run::{
        Recorder, RunDir, atomic,
        events::{PluginIdentity, RunEvent, RunResumed, RunStarted},
        log::Log,
        progress::Progress,
        provenance::{Device, Provenance, RunLock, command_line},
        summary::Summary,
        times::Times,
        trial::ComponentRef,
    },
};

/// Channels of every network. Grey images are repeated, as the study does and as published weights
/// want it.
pub(crate) const CHANNELS: usize = 3;

/// File of the run's split.
const SPLIT: &str = "split.json";
/// File of the run's configuration.
pub(crate) const RUN_CONFIG: &str = "run.toml";

/// What a run takes from its process.
pub(crate) struct Host<'a> {
    /// The plugins.
    pub(crate) registry: &'a Registry,
    /// Where to compute.
    pub(crate) device: &'a ResolvedDevice,
    /// Version of the libtorch in this process.
    pub(crate) libtorch: String,
    /// Where progress is shown.
    pub(crate) progress: &'a Progress,
    /// The process's log, which follows into the run directory.
    pub(crate) log: &'a Log,
    /// Arguments that make another process of this program see the same plugins.
    pub(crate) arguments: Vec<OsString>,
    /// Empty folder that was made for the run, in the sandbox.
    pub(crate) reserved: Option<PathBuf>,
}

/// A run that came to an end, or to the end of its budget.
pub(crate) struct Finished {
    /// Its directory.
    pub(crate) dir: RunDir,
    /// Its results.
    pub(crate) summary: Summary,
    /// Where its time went.
    pub(crate) times: Times,
    /// Which budget stopped it, if one did.
    pub(crate) stopped: Option<String>,
    /// What its end means for the process.
    pub(crate) exit: Exit,
}

/// Runs a configuration from its data to its results.
///
/// # Errors
///
/// Fails before anything is written if configuration, plugins, data or disk do not allow the run;
/// later only if the search fails, the run is stopped, or its directory can no longer be written. A
/// trial that fails is recorded and the others go on.
pub(crate) fn run(resolved: &Resolved, host: &Host<'_>) -> Result<Finished> {
    let mut config = resolved.config.clone();
    // Written down, so that a run made again has the same bits with any number of trainings side by side.
    config.run.threads = config.run.training_threads(host.device.visible(&config.run.device).len());
    let config = &config;
    crate::run::preflight(host.reserved.as_ref().unwrap_or(&config.run.out), crate::run::MIN_FREE)?;
    if let Some(path) = config.train.pretrained.as_ref().filter(|path| !path.is_file()) {
        let message = format!("`train.pretrained`: there is no file {}", path.display());
        return Err(
            Error::new(Exit::Usage, "E0802", message).help("paths are relative to the working directory")
        );
    }
    carry_out(config, host, None, |prepared, metrics| start(config, host, prepared, metrics))
}

/// How a run is taken up.
#[derive(Debug, Default)]
pub(crate) struct TakeUp {
    /// Differences between the configuration and the run's own.
    pub(crate) changes: Vec<String>,
    /// What may differ.
    pub(crate) allowed: Allowed,
    /// Gives trials that were given up one more attempt.
    pub(crate) retry_failed: bool,
}

/// Takes up a run whose record was reopened, with the configuration `config`. The run is as it was
/// until all is known to be in order.
///
/// # Errors
///
/// Fails if something that decides results is not as it was and may not differ (E0805), and as [`run`]
/// does.
pub(crate) fn resume(config: &Config, how: TakeUp, recorder: Recorder, host: &Host<'_>) -> Result<Finished> {
    crate::run::preflight(recorder.dir().path(), crate::run::MIN_FREE)?;
    let split = recorder.dir().file(SPLIT);
    carry_out(config, host, Some(&split), |prepared, _| take_up(config, how, recorder, host, prepared))
}

/// Does everything that the record, which `open` opens, lacks.
fn carry_out(
    config: &Config,
    host: &Host<'_>,
    split: Option<&Path>,
    open: impl FnOnce(&Prepared, &MetricSet<'_>) -> Result<(Recorder, Provenance)>,
) -> Result<Finished> {
    let began = Instant::now();
    let registry = host.registry;
    let architecture_ref = ComponentRef::from(config.architecture()?);
    let architecture = registry.architecture(&architecture_ref.id, &architecture_ref.config)?;
    let scorers = PluginScorer::all(registry, &config.eval.metrics)?;
    let scorers: Vec<&dyn PredictionScorer> = scorers.iter().map(|s| s as _).collect();
    let metrics = MetricSet::new(&scorers)?;
    let prepared = {
        let bar = std::sync::OnceLock::new();
        let mut config = config.clone();
        config.split.file = split.map(Path::to_owned).or(config.split.file);
        data::prepare(registry, &config, &|done, of| {
            bar.get_or_init(|| host.progress.decode(of as u64)).reach(done as u64);
        })?
    };
    let searcher = match &config.search {
        Some(search) => {
            let outputs = prepared.store.labels();
            Some(Searcher::new(registry, config, search, &architecture, outputs, &host.device.name)?)
        }
        None => None,
    };
    if let Some(searcher) = &searcher {
        searcher.space()?;
    }
    architecture.initial()?;
    let (recorder, provenance) = open(&prepared, &metrics)?;
    Session::new(config, host, architecture_ref, &architecture, prepared, recorder, provenance, began)
        .carry_out(searcher.as_ref(), &metrics)
}

/// Makes the run directory and writes everything that is known before the first stage.
fn start(
    config: &Config,
    host: &Host<'_>,
    prepared: &Prepared,
    metrics: &MetricSet<'_>,
) -> Result<(Recorder, Provenance)> {
    let text = config.to_toml()?;
    let claim = match &host.reserved {
        Some(path) => RunDir::reserved(path.clone())?.begin()?,
        None => RunDir::create(&config.run.out, &name(config))?,
    };
    host.log.attach(claim.dir())?;
    let dir = claim.dir().clone();
    atomic::write(&dir.file(RUN_CONFIG), text.as_bytes())?;
    prepared.split.write(&dir.file(SPLIT))?;
    report::write_attributes(&dir, &prepared.store)?;
    let identity = Identity::of(&text, host, prepared);
    identity.lock().write(&dir)?;
    let mut recorder = Recorder::create(claim)?;
    let RunLock { nashost, libtorch, config_sha256, plugin: plugins, .. } = identity.into_lock();
    recorder.record(RunEvent::RunStarted(RunStarted {
        run_id: dir.id().to_owned(),
        name: name(config),
        nashost,
        libtorch,
        config_sha256,
        seeds: config.run.seeds.0.clone(),
        device: host.device.name.clone(),
        host: sysinfo::System::host_name().unwrap_or_default(),
        plugins,
        metrics: metrics.outputs().cloned().collect(),
    }))?;
    recorder.record(RunEvent::DataReady(prepared.ready.clone()))?;
    recorder.record(RunEvent::SplitMade(prepared.made.clone()))?;
    let provenance = Provenance::gather(&dir, command_line(), device_facts(host));
    provenance.write(&dir)?;
    Ok((recorder, provenance))
}

/// Compares the run with what it was, and writes that it goes on.
fn take_up(
    config: &Config,
    how: TakeUp,
    mut recorder: Recorder,
    host: &Host<'_>,
    prepared: &Prepared,
) -> Result<(Recorder, Provenance)> {
    let TakeUp { mut changes, allowed, retry_failed } = how;
    let dir = recorder.dir().clone();
    let text = config.to_toml()?;
    let identity = Identity::of(&text, host, prepared);
    let before = RunLock::read(&dir)?;
    changes.extend(identity.differences(&before));
    allowed.check(&changes)?;
    recorder.go_on()?;
    host.log.attach(&dir)?;
    atomic::write(&dir.file(RUN_CONFIG), text.as_bytes())?;
    identity.lock().write(&dir)?;
    // Comes first: what follows belongs to this session, and not to the time of the last.
    recorder.record(RunEvent::RunResumed(RunResumed {
        nashost: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch: host.libtorch.clone(),
        device: host.device.name.clone(),
        host: sysinfo::System::host_name().unwrap_or_default(),
        changes,
    }))?;
    // A run that was killed in its first moments has not recorded these, and they may have changed with leave.
    if recorder.state().data.as_ref().is_none_or(|data| !data.is_same(&prepared.ready)) {
        recorder.record(RunEvent::DataReady(prepared.ready.clone()))?;
    }
    if recorder.state().split.as_ref().is_none_or(|split| split.hash != prepared.made.hash) {
        recorder.record(RunEvent::SplitMade(prepared.made.clone()))?;
    }
    if retry_failed {
        let given_up = recorder.state().given_up(config.run.attempts);
        let again: Vec<_> = given_up.map(|t| RunEvent::again(&t.request, &t.architecture)).collect();
        again.into_iter().try_for_each(|event| recorder.record(event))?;
    }
    let now = Provenance::gather(&dir, command_line(), device_facts(host));
    let provenance = match Provenance::read(&dir) {
        Ok(first) => first.resumed_by(now),
        // It is for people, and decides nothing.
        Err(_) => now,
    };
    provenance.write(&dir)?;
    Ok((recorder, provenance))
}

/// Name of the run: as configured, or method and dataset.
fn name(config: &Config) -> String {
    let method = strategy_or_architecture(config);
    config.name.clone().unwrap_or_else(|| format!("{}-{method}", config.data.plugin))
}

/// Name in result tables: as configured, or what was chosen.
fn method(config: &Config) -> String {
    config.method.clone().unwrap_or_else(|| strategy_or_architecture(config))
}

/// Id of the strategy, or of the architecture without one.
fn strategy_or_architecture(config: &Config) -> String {
    let arch = config.arch.as_ref().map(|arch| arch.plugin.clone());
    config.search.as_ref().map(|search| search.plugin.clone()).or(arch).unwrap_or_default()
}

/// The plugins that this process has loaded.
fn identities(registry: &Registry) -> Vec<PluginIdentity> {
    let used = registry.used();
    used.into_iter()
        .map(|plugin| PluginIdentity {
            id: plugin.id,
            version: plugin.version,
            sha256: plugin.sha256,
            abi: plugin.abi_major.to_string(),
            components: plugin.components,
        })
        .collect()
}

fn device_facts(host: &Host<'_>) -> Device {
    let facts = crate::device::facts();
    Device {
        name: host.device.name.clone(),
        libtorch: host.libtorch.clone(),
        gpu: facts.models.first().cloned(),
        driver: facts.driver,
        cuda: None,
    }
}

/// The error of a run that was asked to stop.
fn interrupted() -> Error {
    Error::new(Exit::Interrupted, "E0811", "the run was stopped")
}

/// Whether somebody asked the process to stop.
fn is_cancelled() -> bool {
    cancel_state() != CancelState::Go
}

/// Takes up the record of a run.
///
/// # Errors
///
/// Fails if another process writes the run, or its events are damaged.
pub(crate) fn reopen(dir: RunDir) -> Result<Recorder> {
    let claim = dir.claim()?;
    let id = claim.dir().id().to_owned();
    if claim.dir().file(crate::run::events::FILE).exists() {
        let recorder = Recorder::reopen(claim)?;
        if recorder.state().started.is_some() {
            return Ok(recorder);
        }
    }
    let message = format!("run {id} ended before its record began");
    Err(Error::new(Exit::Usage, "E0705", message).help("there is nothing to take up: start it anew"))
}
