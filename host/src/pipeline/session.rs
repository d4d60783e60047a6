//! One process's part of a run: everything that the record lacks, stage by stage.

use std::{path::PathBuf, time::Instant};

use nashost_plugin_api::{
    abi::foreign::ForeignArchitecture,
    architecture::{Geometry, Spec},
    dataset::Part,
    seed::derive_seed,
};

use super::{
    Finished, Host, Prepared, SPLIT, budget::Budget, identities, interrupted, is_cancelled, method,
    search::Searcher, training::is_of_surroundings,
};
use crate::{
    config::Config,
    error::{Error, Exit, Result},
    evaluate::{MetricSet, Truth, bootstrap, fit_baselines},
    run::{
        Ending, Recorder,
        events::{Baseline, Failure, PortableArchitecture, RunEvent},
        provenance::Provenance,
        retention,
        summary::Summary,
        times::Times,
        trial::{ComponentRef, TrialRequest},
    },
    worker::{Launcher, Pool, Setup},
};

/// Threshold at which baselines are evaluated.
const HALF: f64 = 0.5;

/// Why a session ends before the run is complete.
#[derive(Debug)]
pub(super) enum Stop {
    /// A budget of the run is used up.
    Budget(String),
    /// Somebody asked for it, or something failed.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// One process's part of a run.
pub(super) struct Session<'a> {
    pub(super) config: &'a Config,
    pub(super) host: &'a Host<'a>,
    pub(super) recorder: Recorder,
    pub(super) budget: Budget<'a>,
    pub(super) architecture_ref: ComponentRef,
    pub(super) architecture: &'a ForeignArchitecture,
    pub(super) prepared: Prepared,
    provenance: Provenance,
}

impl<'a> Session<'a> {
    #[expect(clippy::too_many_arguments, reason = "one call site, and every argument is another thing")]
    pub(super) fn new(
        config: &'a Config,
        host: &'a Host<'a>,
        architecture_ref: ComponentRef,
        architecture: &'a ForeignArchitecture,
        prepared: Prepared,
        recorder: Recorder,
        provenance: Provenance,
        began: Instant,
    ) -> Self {
        let budget = Budget::new(&config.run, began, recorder.state());
        Self { config, host, recorder, budget, architecture_ref, architecture, prepared, provenance }
    }

    /// Does everything that the record lacks, and ends the run if nothing is left.
    pub(super) fn carry_out(
        mut self,
        searcher: Option<&Searcher<'_>>,
        metrics: &MetricSet<'_>,
    ) -> Result<Finished> {
        let outcome = self.stages(searcher, metrics);
        self.finish(outcome)
    }

    fn stages(
        &mut self,
        searcher: Option<&Searcher<'_>>,
        metrics: &MetricSet<'_>,
    ) -> std::result::Result<usize, Stop> {
        self.baselines(metrics)?;
        let mut pool = Pool::new(self.launcher()?);
        let chosen = match searcher {
            None => vec![self.structure(self.architecture.initial().map_err(Error::from)?)?],
            Some(searcher) => {
                let ranked = self.search(searcher, &mut pool)?;
                self.chosen(searcher, ranked)?
            }
        };
        self.queue(chosen)?;
        self.train(&mut pool)
    }

    /// Evaluates the trivial predictors on the test part: what any method must beat.
    fn baselines(&mut self, metrics: &MetricSet<'_>) -> Result<()> {
        let store = &self.prepared.store;
        let seed = derive_seed(self.config.run.seed, "baselines");
        let half = vec![HALF; store.labels()];
        let train = Truth::of(store, Part::Train)?;
        let test = Truth::of(store, Part::Test)?;
        for baseline in fit_baselines(&train, store.info.normal_label.as_deref(), seed)? {
            let name = baseline.baseline().id();
            if self.recorder.state().baselines.iter().any(|known| known.name == name) {
                continue;
            }
            let table = baseline.predict(&test)?;
            self.recorder.record(RunEvent::Baseline(Baseline {
                name: name.to_owned(),
                test: metrics.evaluate(&table, &half)?,
                intervals: bootstrap(metrics, &table, &half, self.config.eval.bootstrap, seed)?,
            }))?;
        }
        Ok(())
    }

    /// Queues a trial for each structure and seed.
    fn queue(&mut self, chosen: Vec<PortableArchitecture>) -> Result<()> {
        let mut number = 0;
        for structure in chosen {
            let (id, spec, geometry) = (structure.id.clone(), structure.spec.clone(), structure.geometry);
            if !self.recorder.state().architectures.contains_key(&id) {
                self.recorder.record(RunEvent::ArchitectureReady(Box::new(structure)))?;
            }
            for &seed in &self.config.run.seeds.0 {
                number += 1;
                if self.recorder.state().trials.contains_key(&number) {
                    continue;
                }
                let request = Box::new(self.request(number, &spec, geometry, seed));
                self.recorder.record(RunEvent::TrialQueued { request, architecture: id.clone() })?;
            }
        }
        Ok(())
    }

    fn request(&self, trial: u32, spec: &Spec, geometry: Geometry, seed: u64) -> TrialRequest {
        TrialRequest {
            run_id: self.recorder.dir().id().to_owned(),
            trial,
            attempt: 1,
            method: method(self.config),
            architecture: self.architecture_ref.clone(),
            spec: spec.clone(),
            geometry,
            dataset: ComponentRef::from(&self.config.data),
            split_hash: self.prepared.store.split_hash.clone(),
            train: self.config.train.clone(),
            eval: self.config.eval.clone(),
            seed,
            device: self.host.device.name.clone(),
            threads: self.config.run.threads,
        }
    }

    /// GPU of each worker.
    fn gpus(&self) -> Vec<Option<String>> {
        let gpus = self.host.device.visible(&self.config.run.device);
        let workers = self.config.run.trainings(gpus.len());
        if gpus.is_empty() { vec![None; workers] } else { gpus.into_iter().take(workers).map(Some).collect() }
    }

    fn launcher(&self) -> Result<Launcher> {
        let mut config = self.config.clone();
        config.split.file = Some(self.recorder.dir().file(SPLIT));
        let device = if self.host.device.name == "cpu" { "cpu" } else { "cuda:0" };
        Ok(Launcher {
            lock: self.recorder.share_lock()?,
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("nashost")),
            arguments: self.host.arguments.clone(),
            gpus: self.gpus(),
            stall: config.run.stall.0,
            setup: Setup {
                config,
                run_dir: self.recorder.dir().path().to_owned(),
                device: device.to_owned(),
                outputs: self.prepared.store.labels(),
                plugins: identities(self.host.registry),
            },
        })
    }

    /// Why the run must not go on, if it must not.
    pub(super) fn must_stop(&mut self) -> Option<Stop> {
        if is_cancelled() {
            return Some(Stop::Error(interrupted()));
        }
        self.budget.exhausted(self.recorder.dir().path(), &self.host.device.name).map(Stop::Budget)
    }

    /// Ends the record. A run that was stopped stays open: its directory reads as interrupted, and
    /// can be taken up.
    fn finish(mut self, outcome: std::result::Result<usize, Stop>) -> Result<Finished> {
        let dir = self.recorder.dir().clone();
        let trials = self.recorder.trials();
        let again = format!("go on with `nashost resume {}`", dir.short_id());
        let (ending, failure, exit) = match outcome {
            Err(Stop::Budget(why)) => {
                self.recorder.write_tables()?;
                let (summary, times, done) = self.recorder.whole(|_, state| {
                    let done = state.trials.values().filter(|trial| trial.test().is_some()).count();
                    Ok((Summary::of(state), Times::of(state), done))
                })?;
                let stopped = format!("{why}; {done} of {trials} trials are done. Raise it and {again}");
                if done == 0 {
                    return Err(Error::new(Exit::Budget, "E0820", stopped));
                }
                return Ok(Finished { dir, summary, times, stopped: Some(stopped), exit: Exit::Ok });
            }
            Err(Stop::Error(error)) if error.exit == Exit::Interrupted => {
                self.recorder.write_tables()?;
                return Err(error.help(format!("everything so far is in {}; {again}", dir.path().display())));
            }
            Err(Stop::Error(error)) if is_of_surroundings(&error) => {
                // Tables can be made again from the events; the disk may refuse them now.
                let _ = self.recorder.write_tables();
                let help = error.help.clone().map(|help| format!("{help}; then ")).unwrap_or_default();
                return Err(error.help(format!("{help}{again}: nothing that was finished is lost")));
            }
            Err(Stop::Error(error)) => {
                let failure = Failure { code: error.code.to_owned(), message: error.message.clone() };
                self.provenance.end(Ending::Failed, Some(failure.clone()));
                self.provenance.write(&dir)?;
                self.recorder.finish(Ending::Failed, Some(failure))?;
                return Err(error);
            }
            Ok(0) => (Ending::Done, None, Exit::Ok),
            Ok(failed) if failed < trials => (Ending::Done, None, Exit::No),
            Ok(_) => {
                let message = "every trial failed; `nashost show` tells why".to_owned();
                (Ending::Failed, Some(Failure { code: "E0804".to_owned(), message }), Exit::AllFailed)
            }
        };
        let keep = self.config.run.keep_checkpoints;
        let garbage = self.recorder.whole(|dir, state| retention::garbage(dir, state, keep))?;
        retention::remove(&dir, &garbage)?;
        self.provenance.end(ending, failure.clone());
        self.provenance.write(&dir)?;
        self.recorder.finish(ending, failure)?;
        let state = crate::run::tables::read(&dir)?;
        let (summary, times) = (Summary::of(&state), Times::of(&state));
        Ok(Finished { dir, summary, times, stopped: None, exit })
    }
}
