//! What a run would do, for `--dry-run`.

use nashost_plugin_api::{architecture::Geometry, dataset::Part};
use serde::Serialize;

use super::{CHANNELS, PluginSource, method, portable, search::Searcher, split};
use crate::{
    config::Config, data::Catalogue, device::ResolvedDevice, error::Result, plugin::Registry,
    run::trial::ComponentRef,
};
use nashost_plugin_api::component::Kind;

/// Forward and backward pass cost about three forward passes.
const PASSES: f64 = 3.0;
/// Checkpoints that a trial keeps.
const CHECKPOINTS: u64 = 3;

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Plan {
    method: String,
    dataset: String,
    labels: usize,
    images: [usize; 3],
    device: String,
    structures_to_score: Option<u64>,
    search_reads_images: bool,
    trials: usize,
    epochs: u32,
    steps_per_epoch: usize,
    first_structure_params: u64,
    first_structure_macs: u64,
    training_macs: f64,
    image_bytes: u64,
    checkpoint_bytes: u64,
}

impl Plan {
    /// Looks at everything but the pixels and computes what the run would cost.
    ///
    /// Costs are those of the first structure: a search may end with a larger one, up to its budgets.
    ///
    /// # Errors
    ///
    /// Fails as the run itself would before it starts.
    pub(crate) fn new(registry: &Registry, config: &Config, device: &ResolvedDevice) -> Result<Self> {
        let catalogue = Catalogue::read(&PluginSource::new(registry, config)?)?;
        let (split, _) = split(config, &catalogue.records)?;
        let images = [Part::Train, Part::Val, Part::Test]
            .map(|part| split.parts.iter().filter(|&&p| p == part).count());
        let space = ComponentRef::from(config.architecture()?);
        let architecture = registry.architecture(&space.id, &space.config)?;
        let outputs = catalogue.info.labels.len();
        let mut structures_to_score = None;
        let mut search_reads_images = false;
        let mut top = 1;
        if let Some(search) = &config.search {
            let searcher = Searcher::new(registry, config, search, &architecture, outputs, &device.name)?;
            searcher.space()?;
            structures_to_score = searcher.proposals();
            search_reads_images = searcher.learns();
            top = search.top.max(1);
        }
        let side = config.train.resolution;
        let geometry = Geometry { input: [CHANNELS, side, side], outputs };
        let version = registry.version(Kind::Architecture, &space.id)?;
        let first =
            portable(&architecture, space, version, architecture.initial()?, geometry, Default::default())?;
        let trials = top * config.run.seeds.0.len();
        let passes = images[0] as f64 * PASSES + images[1] as f64;
        Ok(Self {
            method: method(config),
            dataset: config.data.plugin.clone(),
            labels: outputs,
            images,
            device: device.name.clone(),
            structures_to_score,
            search_reads_images,
            trials,
            epochs: config.train.epochs,
            steps_per_epoch: images[0].div_ceil(config.train.batch.max(1)),
            training_macs: passes * first.macs as f64 * f64::from(config.train.epochs) * trials as f64,
            image_bytes: (catalogue.records.len() * side * side * catalogue.info.channels) as u64,
            checkpoint_bytes: Self::bytes_of_checkpoints(first.params) * trials as u64,
            first_structure_params: first.params,
            first_structure_macs: first.macs,
        })
    }

    /// Structures that the search scores, if it knows.
    pub(crate) fn structures_to_score(&self) -> Option<u64> {
        self.structures_to_score
    }

    /// Parameters of the first structure.
    pub(crate) fn params(&self) -> u64 {
        self.first_structure_params
    }

    /// Multiply-adds of all trainings together.
    pub(crate) fn training_macs(&self) -> f64 {
        self.training_macs
    }

    /// Bytes of the checkpoints of one trial of a network with `params` parameters.
    pub(crate) fn bytes_of_checkpoints(params: u64) -> u64 {
        params * 4 * CHECKPOINTS
    }

    /// Renders the plan for people.
    pub(crate) fn text(&self) -> String {
        let [train, val, test] = self.images;
        let search = match self.structures_to_score {
            Some(n) => format!("score {n} structures, then "),
            None if self.search_reads_images => "search on the training images, then ".to_owned(),
            None => String::new(),
        };
        format!(
            "method    {}\ndata      {}: {train} training, {val} validation, {test} test images, {} labels\n\
             device    {}\nplan      {search}train {} trial(s) of {} epochs × {} steps\n\
             network   {:.2} M parameters, {:.1} M multiply-adds (first structure; budgets bound the others)\n\
             cost      about {:.2e} multiply-adds of training, {:.0} MB of images in memory, {:.0} MB of checkpoints\n\
             nothing was started\n",
            self.method,
            self.dataset,
            self.labels,
            self.device,
            self.trials,
            self.epochs,
            self.steps_per_epoch,
            self.first_structure_params as f64 / 1e6,
            self.first_structure_macs as f64 / 1e6,
            self.training_macs,
            self.image_bytes as f64 / 1e6,
            self.checkpoint_bytes as f64 / 1e6,
        )
    }
}
