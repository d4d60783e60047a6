//! A whole run: data, search, training, evaluation, and their record.
//!
//! The order of things: everything that can be refused is refused before the run directory exists;
//! then each stage tells the [`Recorder`] what it did, and all tables are made from that record.

mod components;
mod data;
mod plan;
mod search;
mod trial;

use std::collections::BTreeMap;

use nashost_plugin_api::{
    architecture::{Geometry, Spec},
    component::Kind,
    dataset::Part,
    metric::Score,
    seed::derive_seed,
};

use self::{components::PluginScorer, data::Prepared, search::Searcher, trial::Executor};
pub(crate) use self::{
    data::{PluginSource, split},
    plan::Plan,
    search::portable,
};
use crate::{
    config::{Config, Resolved},
    device::ResolvedDevice,
    error::{Error, Exit, Result},
    evaluate::{MetricSet, PredictionScorer, Truth, bootstrap, fit_baselines},
    plugin::{Registry, cancel_state},
    run::{
        Ending, Recorder, RunDir, atomic,
        events::{Baseline, Failure, PluginIdentity, RunEvent, RunStarted},
        log::Log,
        progress::Progress,
        provenance::{Device, Provenance, RunLock},
        summary::Summary,
        trial::{ComponentRef, Control, TrialEvent, TrialRequest},
    },
};
use nashost_plugin_api::abi::host::CancelState;

/// Channels of every network. Grey images are repeated, as the study does and as published weights
/// want it.
pub(crate) const CHANNELS: usize = 3;

/// Threshold at which baselines are evaluated.
const HALF: f64 = 0.5;

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
}

/// A finished run.
pub(crate) struct Finished {
    /// Its directory.
    pub(crate) dir: RunDir,
    /// Its results.
    pub(crate) summary: Summary,
    /// What its end means for the process.
    pub(crate) exit: Exit,
}

/// Runs a configuration from its data to its results.
///
/// # Errors
///
/// Fails before anything is written if configuration, plugins, data or disk do not allow the run;
/// later only if the search fails or the run directory can no longer be written. A trial that fails is
/// recorded and the others go on.
pub(crate) fn run(resolved: &Resolved, host: &Host<'_>) -> Result<Finished> {
    let config = &resolved.config;
    let registry = host.registry;
    crate::run::preflight(&config.run.out, crate::run::MIN_FREE)?;
    if let Some(path) = config.train.pretrained.as_ref().filter(|path| !path.is_file()) {
        let message = format!("`train.pretrained`: there is no file {}", path.display());
        return Err(
            Error::new(Exit::Usage, "E0802", message).help("paths are relative to the working directory")
        );
    }
    let architecture_ref = ComponentRef::from(config.architecture()?);
    let architecture = registry.architecture(&architecture_ref.id, &architecture_ref.config)?;
    let scorers = PluginScorer::all(registry, &config.eval.metrics)?;
    let scorers: Vec<&dyn PredictionScorer> = scorers.iter().map(|s| s as _).collect();
    let metrics = MetricSet::new(&scorers)?;
    let prepared = data::prepare(registry, config, host.progress)?;
    let outputs = prepared.store.labels();
    let searcher = match &config.search {
        Some(search) => {
            Some(Searcher::new(registry, config, search, &architecture, outputs, &host.device.name)?)
        }
        None => None,
    };
    if let Some(searcher) = &searcher {
        searcher.space()?;
    }
    let first = architecture.initial()?;

    let mut recorder = start(config, host, &prepared, &metrics)?;
    let mut provenance = Provenance::gather(recorder.dir(), std::env::args(), device_facts(host));
    provenance.write(recorder.dir())?;
    let outcome = (|| {
        record_baselines(config, &prepared, &metrics, &mut recorder)?;
        let chosen: Vec<(Spec, BTreeMap<String, Score>)> = match &searcher {
            None => vec![(first, BTreeMap::new())],
            Some(searcher) => searcher
                .run(&mut recorder, host.progress)?
                .into_iter()
                .map(|(spec, score)| (spec, BTreeMap::from([(searcher.metric_id().to_owned(), score)])))
                .collect(),
        };
        let side = config.train.resolution;
        let geometry = Geometry { input: [CHANNELS, side, side], outputs };
        let version = registry.version(Kind::Architecture, &architecture_ref.id)?;
        let mut requests = Vec::new();
        for (spec, scores) in chosen {
            let portable =
                portable(&architecture, architecture_ref.clone(), version.clone(), spec, geometry, scores)?;
            let (id, spec) = (portable.id.clone(), portable.spec.clone());
            recorder.record(RunEvent::ArchitectureReady(Box::new(portable)))?;
            for &seed in &config.run.seeds.0 {
                let request = request(
                    config,
                    host,
                    &recorder,
                    &architecture_ref,
                    &spec,
                    geometry,
                    seed,
                    requests.len(),
                );
                recorder.record(RunEvent::TrialQueued {
                    request: Box::new(request.clone()),
                    architecture: id.clone(),
                })?;
                requests.push(request);
            }
        }
        let executor = Executor { registry, store: &prepared.store, metrics: &metrics };
        train_all(&requests, &executor, host, &mut recorder)
    })();
    finish(outcome, recorder, &mut provenance)
}

/// Makes the run directory and writes everything that is known before the first stage.
fn start(config: &Config, host: &Host<'_>, prepared: &Prepared, metrics: &MetricSet<'_>) -> Result<Recorder> {
    let text = config.to_toml()?;
    let config_sha256 = sha256(text.as_bytes());
    let claim = RunDir::create(&config.run.out, &name(config))?;
    host.log.attach(claim.dir())?;
    let dir = claim.dir().clone();
    atomic::write(&dir.file("run.toml"), text.as_bytes())?;
    prepared.split.write(&dir.file("split.json"))?;
    let plugins = identities(host.registry);
    RunLock {
        nashost: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch: host.libtorch.clone(),
        config_sha256: config_sha256.clone(),
        data_fingerprint: prepared.store.fingerprint.clone(),
        split_hash: prepared.store.split_hash.clone(),
        plugin: plugins.clone(),
    }
    .write(&dir)?;
    let mut recorder = Recorder::create(claim)?;
    recorder.record(RunEvent::RunStarted(RunStarted {
        run_id: dir.id().to_owned(),
        name: name(config),
        nashost: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch: host.libtorch.clone(),
        config_sha256,
        seeds: config.run.seeds.0.clone(),
        device: host.device.name.clone(),
        host: sysinfo::System::host_name().unwrap_or_default(),
        plugins,
        metrics: metrics.outputs().cloned().collect(),
    }))?;
    recorder.record(RunEvent::DataReady(prepared.ready.clone()))?;
    recorder.record(RunEvent::SplitMade(prepared.made.clone()))?;
    Ok(recorder)
}

/// Name of the run: as configured, or method and dataset.
fn name(config: &Config) -> String {
    let method = method(config);
    config.name.clone().unwrap_or_else(|| format!("{}-{method}", config.data.plugin))
}

/// Name in result tables: the strategy, or the architecture without one.
fn method(config: &Config) -> String {
    let arch = config.arch.as_ref().map(|arch| arch.plugin.clone());
    config.search.as_ref().map(|search| search.plugin.clone()).or(arch).unwrap_or_default()
}

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

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Evaluates the trivial predictors on the test part: what any method must beat.
fn record_baselines(
    config: &Config,
    prepared: &Prepared,
    metrics: &MetricSet<'_>,
    recorder: &mut Recorder,
) -> Result<()> {
    let store = &prepared.store;
    let seed = derive_seed(config.run.seed, "baselines");
    let half = vec![HALF; store.labels()];
    let train = Truth::of(store, Part::Train)?;
    let test = Truth::of(store, Part::Test)?;
    for baseline in fit_baselines(&train, store.info.normal_label.as_deref(), seed)? {
        let table = baseline.predict(&test)?;
        recorder.record(RunEvent::Baseline(Baseline {
            name: baseline.baseline().id().to_owned(),
            test: metrics.evaluate(&table, &half)?,
            intervals: bootstrap(metrics, &table, &half, config.eval.bootstrap, seed)?,
        }))?;
    }
    Ok(())
}

#[expect(
    clippy::too_many_arguments,
    reason = "one call site, and every field of the request is told apart there"
)]
fn request(
    config: &Config,
    host: &Host<'_>,
    recorder: &Recorder,
    architecture: &ComponentRef,
    spec: &Spec,
    geometry: Geometry,
    seed: u64,
    before: usize,
) -> TrialRequest {
    let state = recorder.state();
    TrialRequest {
        run_id: recorder.dir().id().to_owned(),
        trial: before as u32 + 1,
        attempt: 1,
        method: method(config),
        architecture: architecture.clone(),
        spec: spec.clone(),
        geometry,
        dataset: ComponentRef::from(&config.data),
        split_hash: state.split.as_ref().map(|split| split.hash.clone()).unwrap_or_default(),
        train: config.train.clone(),
        eval: config.eval.clone(),
        seed,
        device: host.device.name.clone(),
        run_dir: recorder.dir().path().to_owned(),
    }
}

/// Executes the trials in order; returns how many failed.
fn train_all(
    requests: &[TrialRequest],
    executor: &Executor<'_>,
    host: &Host<'_>,
    recorder: &mut Recorder,
) -> Result<usize> {
    let bar = host.progress.training(requests.len() as u32);
    let mut failed = 0;
    for request in requests {
        let mut broken = None;
        let result = executor.execute(request, &mut |event| {
            bar.tell(request, &event);
            let recorded =
                recorder.record_trial(request.trial, request.attempt, event.clone()).and_then(|()| {
                    if matches!(event, TrialEvent::Epoch(_)) { recorder.write_tables() } else { Ok(()) }
                });
            match recorded {
                Err(error) => {
                    broken = Some(error);
                    Control::Stop
                }
                Ok(()) if cancel_state() != CancelState::Go => Control::Stop,
                Ok(()) => Control::Continue,
            }
        });
        if let Some(error) = broken {
            return Err(error);
        }
        match result {
            Ok(()) => {}
            Err(error) if error.exit == Exit::Interrupted => return Err(error),
            Err(error) => {
                failed += 1;
                tracing::error!(trial = request.name(), code = error.code, "{error}");
                let event = TrialEvent::Failed { code: error.code.to_owned(), message: with_help(&error) };
                bar.tell(request, &event);
                recorder.record_trial(request.trial, request.attempt, event)?;
            }
        }
    }
    Ok(failed)
}

fn with_help(error: &Error) -> String {
    match &error.help {
        Some(help) => format!("{} (help: {help})", error.message),
        None => error.message.clone(),
    }
}

/// Ends the record. A run that was stopped stays open: its directory reads as interrupted.
fn finish(outcome: Result<usize>, recorder: Recorder, provenance: &mut Provenance) -> Result<Finished> {
    let dir = recorder.dir().clone();
    let trials = recorder.state().trials.len();
    let (ending, failure, exit) = match outcome {
        Err(error) if error.exit == Exit::Interrupted => {
            recorder.write_tables()?;
            let where_to = format!("everything so far is in {}", dir.path().display());
            return Err(error.help(where_to));
        }
        Err(error) => {
            let failure = Failure { code: error.code.to_owned(), message: error.message.clone() };
            provenance.end(Ending::Failed, Some(failure.clone()));
            provenance.write(&dir)?;
            recorder.finish(Ending::Failed, Some(failure))?;
            return Err(error);
        }
        Ok(0) => (Ending::Done, None, Exit::Ok),
        Ok(failed) if failed < trials => (Ending::Done, None, Exit::No),
        Ok(_) => {
            let message = "every trial failed; `nashost show` tells why".to_owned();
            (Ending::Failed, Some(Failure { code: "E0804".to_owned(), message }), Exit::AllFailed)
        }
    };
    provenance.end(ending, failure.clone());
    provenance.write(&dir)?;
    recorder.finish(ending, failure)?;
    let summary = Summary::of(&crate::run::tables::read(&dir)?);
    Ok(Finished { dir, summary, exit })
}
