//! Executes a trial request in this process: build, train, choose on validation, test once.

use std::path::Path;

use nashost_plugin_api::{dataset::Part, seed::derive_seed};
use nashost_plugin_torch::{Network, TorchError, Weights, parse_device};
use sha2::{Digest as _, Sha256};
use tch::Device;

use super::{data::PluginSource, saliency};
use crate::{
    config::train::CheckpointChoice,
    data::ImageStore,
    error::{Error, Exit, Result},
    evaluate::{MetricSet, PredictionTable, Truth, bootstrap, threshold_values},
    plugin::Registry,
    run::trial::{CheckpointReport, Control, TestReport, TrialEvent, TrialRequest},
    train::{self, Job, Outcome, Resume, SAVE_EVERY, Trained},
    worker::Known,
};

/// What a trial needs beside its request.
pub(crate) struct Executor<'a> {
    /// Where architectures come from.
    pub(crate) registry: &'a Registry,
    /// The images, split.
    pub(crate) store: &'a ImageStore,
    /// The prediction metrics of the run.
    pub(crate) metrics: &'a MetricSet<'a>,
    /// The run's folder, for checkpoints and predictions.
    pub(crate) run_dir: &'a Path,
    /// Where to compute, as this process names it.
    pub(crate) device: &'a str,
}

impl Executor<'_> {
    /// Executes `request` on a network with its first weights, from where an earlier attempt stopped,
    /// and tells `sink` what happens, but for what is `known`.
    ///
    /// # Errors
    ///
    /// Fails if the data are not those of the request (E0801), the network cannot be trained, the
    /// device or the disk fails, or `sink` says stop.
    pub(crate) fn execute(
        &self,
        request: &TrialRequest,
        (network, init): (Network, Weights),
        known: &Known,
        sink: &mut dyn FnMut(TrialEvent) -> Control,
    ) -> Result<()> {
        if request.split_hash != self.store.split_hash {
            return Err(Error::new(
                Exit::Identity,
                "E0801",
                format!(
                    "trial {} was made for split {}, but the split is {}",
                    request.name(),
                    request.split_hash,
                    self.store.split_hash
                ),
            )
            .help("give the split file of the run as `split.file`"));
        }
        let device = parse_device(self.device).map_err(|e| torch(&e))?;
        let costs = network.graph().costs().map_err(|e| torch(&e.into()))?;
        if sink(TrialEvent::Started { params: costs.params, macs: costs.macs }) == Control::Stop {
            return Err(stopped());
        }
        let job = Job {
            network: &network,
            init: &init,
            store: self.store,
            config: &request.train,
            seed: request.seed,
            device,
            run_dir: self.run_dir,
            trial: &request.name(),
            resume: Resume {
                identity: &request.identity(),
                known_epochs: known.epochs,
                known_checkpoints: &known.checkpoints,
                save_every: SAVE_EVERY,
            },
        };
        let validation = Truth::of(self.store, Part::Val)?;
        let score = |scores: &[f64], _: &[_]| {
            let table = PredictionTable::new(validation.clone(), scores.to_vec())?;
            self.metrics.validate(request.eval.threshold, &table)
        };
        match train::train(&job, &score, sink)? {
            Outcome::Cancelled => Err(stopped()),
            Outcome::Completed(trained) => {
                let report = self.test(request, &network, *trained, device)?;
                sink(TrialEvent::Finished(report));
                Ok(())
            }
        }
    }

    /// Builds the network of `request` and draws or loads its first weights.
    ///
    /// # Errors
    ///
    /// Fails if the network cannot be built or the weights do not fit.
    pub(crate) fn network(&self, request: &TrialRequest) -> Result<(Network, Weights)> {
        let architecture =
            self.registry.architecture(&request.architecture.id, &request.architecture.config)?;
        let graph = architecture.graph(&request.spec, &request.geometry)?;
        let network = Network::new(graph).map_err(|e| torch(&e))?;
        let seed = derive_seed(request.seed, "weights");
        let weights = match &request.train.pretrained {
            None => network.initialize(seed),
            Some(path) => {
                let names = architecture.pretrained_names(&request.spec)?;
                Weights::load_pretrained(&network, path, &names, seed).map_err(|e| {
                    Error::new(Exit::Usage, "E0802", format!("`train.pretrained`: {e}")).help(
                        "give a safetensors file of the same architecture, with torchvision's or timm's names",
                    )
                })?
            }
        };
        Ok((network, weights))
    }

    /// The final evaluation of a frozen configuration: thresholds come from the validation part, and
    /// the test part is looked at here and nowhere else.
    fn test(
        &self,
        request: &TrialRequest,
        network: &Network,
        trained: Trained,
        device: Device,
    ) -> Result<TestReport> {
        let checkpoint = match request.eval.checkpoint {
            CheckpointChoice::BestMacroF1 => trained.best_macro_f1,
            CheckpointChoice::BestSubsetAccuracy => trained.best_subset_accuracy,
            CheckpointChoice::Last => trained.last,
        };
        let weights = Weights::load(network, &self.run_dir.join(&checkpoint.path))
            .map_err(|e| torch(&e))?
            .to_device(device);
        let predict = |part: Part| {
            let indices = self.store.indices(part);
            let batch = request.train.batch;
            let scores = train::predict(network, &weights, self.store, &indices, batch, device)?;
            PredictionTable::new(Truth::of(self.store, part)?, scores)
        };
        let thresholds = threshold_values(request.eval.threshold, &predict(Part::Val)?);
        let frozen = frozen(request, &checkpoint, &thresholds);
        let table = predict(Part::Test)?;
        let predictions = std::path::Path::new("predictions").join(format!("{}_test.csv", request.name()));
        table.write(&self.run_dir.join(&predictions))?;
        let test = self.metrics.evaluate(&table, &thresholds)?;
        let seed = derive_seed(request.seed, "bootstrap");
        let intervals = bootstrap(self.metrics, &table, &thresholds, request.eval.bootstrap, seed)?;
        if request.eval.saliency {
            let source = PluginSource::of(self.registry, &request.dataset)?;
            let trained =
                saliency::Trained { network, weights: &weights, table: &table, seed: request.seed, device };
            saliency::write(
                &self.run_dir.join(saliency::file(&request.name())),
                &source,
                self.store,
                &trained,
            )?;
        }
        Ok(TestReport { checkpoint, thresholds, frozen, test, intervals, predictions })
    }
}

/// SHA-256 of everything that decides the test result, taken before the test part is touched.
fn frozen(request: &TrialRequest, checkpoint: &CheckpointReport, thresholds: &[f64]) -> String {
    let text = serde_json::json!({
        "request": request.identity(),
        "checkpoint": checkpoint.sha256,
        "thresholds": thresholds,
    })
    .to_string();
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn stopped() -> Error {
    Error::new(Exit::Interrupted, "E0811", "the trial was stopped")
}

/// A failure of libtorch or of a graph in the host's words.
pub(crate) fn torch(error: &TorchError) -> Error {
    Error::new(Exit::No, "E0803", error.to_string())
}
