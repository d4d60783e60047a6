//! The data stage of a run: from a dataset component to images in memory with their split.

use std::collections::BTreeMap;

use nashost_export::Normalisation;
use nashost_plugin_api::{
    abi::foreign::{CallError, CallErrorKind, ForeignDataset},
    component::Kind,
    dataset::{DatasetInfo, Part, Pixels, Record, Target},
};
use nashost_plugin_torch::GradGuard;

use crate::{
    config::Config,
    data::{CacheUse, Catalogue, ImageSource, ImageStore, LoadRequest, Loaded, Split, SplitFile, load},
    error::{Error, Exit, Result},
    plugin::Registry,
    run::{
        events::{DataReady, PartCounts, SplitMade},
        trial::ComponentRef,
    },
};

/// A dataset of a plugin.
pub(crate) struct PluginSource(ForeignDataset);

impl PluginSource {
    /// Creates the dataset of `config.data`.
    ///
    /// # Errors
    ///
    /// Fails if there is no such dataset or it refuses its settings.
    pub(crate) fn new(registry: &Registry, config: &Config) -> Result<Self> {
        Self::of(registry, &ComponentRef::from(&config.data))
    }

    /// Creates the dataset `dataset`.
    ///
    /// # Errors
    ///
    /// Fails if there is no such dataset or it refuses its settings.
    pub(crate) fn of(registry: &Registry, dataset: &ComponentRef) -> Result<Self> {
        Ok(Self(registry.dataset(&dataset.id, &dataset.config)?))
    }
}

/// What a dataset says of its index is about the user's files, not about the plugin.
fn index_error(error: CallError) -> Error {
    match error.kind {
        CallErrorKind::Failed => Error::new(Exit::Usage, "E0300", error.to_string())
            .help("`nashost plugin schema` shows the dataset's settings, `nashost data check` every problem"),
        _ => error.into(),
    }
}

impl ImageSource for PluginSource {
    fn info(&self) -> Result<DatasetInfo> {
        let _grad = GradGuard::save();
        self.0.describe().map_err(index_error)
    }

    fn records(&self) -> Result<Vec<Record>> {
        let _grad = GradGuard::save();
        self.0.records().map_err(index_error)
    }

    fn stamp(&self) -> Result<String> {
        let _grad = GradGuard::save();
        self.0.stamp().map_err(index_error)
    }

    fn pixels(&self, index: usize) -> Result<Pixels> {
        let _grad = GradGuard::save();
        Ok(self.0.pixels(index)?)
    }

    fn mask(&self, index: usize, label: usize) -> Result<Option<Pixels>> {
        let _grad = GradGuard::save();
        Ok(self.0.mask(index, label)?)
    }
}

/// Assigns the images to parts as `config.split` says: from a file, as the dataset prescribes, or
/// by patient and label.
///
/// # Errors
///
/// Fails if the file does not fit the records, or a part would be empty.
pub(crate) fn split(config: &Config, records: &[Record]) -> Result<(Split, &'static str)> {
    if let Some(file) = &config.split.file {
        return Ok((SplitFile::read(file)?.apply(records)?, "file"));
    }
    if config.split.use_given && records.iter().any(|record| record.split.is_some()) {
        return Ok((Split::as_given(records)?, "dataset"));
    }
    Ok((Split::stratified(records, config.split.fractions, config.split.seed)?, "stratified"))
}

/// Reads which patient each image of the dataset of `config` is of; no image is decoded.
///
/// # Errors
///
/// Fails if there is no such dataset, or it cannot be read.
pub(crate) fn patients(registry: &Registry, config: &Config) -> Result<BTreeMap<String, String>> {
    let records = PluginSource::new(registry, config)?.records()?;
    Ok(records.into_iter().map(|record| (record.id, record.group)).collect())
}

/// The images of a run and what its record says of them.
pub(crate) struct Prepared {
    /// The images.
    pub(crate) store: ImageStore,
    /// The split, for its file.
    pub(crate) split: SplitFile,
    /// Event.
    pub(crate) ready: DataReady,
    /// Event.
    pub(crate) made: SplitMade,
}

/// Reads, checks, splits and decodes the dataset of `config`, and tells `watch` how many images are
/// decoded, and of how many.
///
/// # Errors
///
/// Fails with everything that is wrong with the dataset at the first stage that finds something.
pub(crate) fn prepare(
    registry: &Registry,
    config: &Config,
    watch: &(dyn Fn(usize, usize) + Sync),
) -> Result<Prepared> {
    let begin = std::time::Instant::now();
    let source = PluginSource::new(registry, config)?;
    let dataset = ComponentRef::from(&config.data);
    let catalogue = Catalogue::read(&source)?;
    let (split, origin) = split(config, &catalogue.records)?;
    let file = SplitFile::new(&split, &catalogue.records);
    let images = catalogue.records.len();
    let cache = config.run.cache_folder();
    let plugin_sha256 = registry.sha256(Kind::Dataset, &dataset.id)?;
    let request = LoadRequest {
        component: &dataset.id,
        plugin_sha256: &plugin_sha256,
        config: &dataset.config,
        resolution: config.train.resolution,
        cache: cache.as_deref(),
    };
    let loaded = load(&source, catalogue, split, request, watch)?;
    let Loaded { store, cache } = loaded;
    let ready = DataReady {
        dataset,
        info: store.info.clone(),
        images: images as u64,
        resolution: store.resolution as u64,
        fingerprint: store.fingerprint.clone(),
        normalisation: Some(Normalisation { mean: store.mean.clone(), std: store.std.clone() }),
        cached: cache == CacheUse::Hit,
        seconds: begin.elapsed().as_secs_f64(),
    };
    let parts = [Part::Train, Part::Val, Part::Test].map(|part| (part, counts(&store, part)));
    let made = SplitMade {
        hash: store.split_hash.clone(),
        source: origin.to_owned(),
        parts: parts.into_iter().collect(),
    };
    Ok(Prepared { store, split: file, ready, made })
}

fn counts(store: &ImageStore, part: Part) -> PartCounts {
    let indices = store.indices(part);
    let mut groups: Vec<&str> = indices.iter().map(|&i| store.records[i].group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    let count = |label: usize, keep: fn(Target) -> bool| {
        indices.iter().filter(|&&i| keep(store.records[i].targets[label])).count() as u64
    };
    PartCounts {
        images: indices.len() as u64,
        groups: groups.len() as u64,
        positives: (0..store.labels()).map(|l| count(l, |t| t == Target::Positive)).collect(),
        assessed: (0..store.labels()).map(|l| count(l, |t| t != Target::NotAssessed)).collect(),
    }
}
