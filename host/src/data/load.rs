//! From a dataset and a split to the images in memory.

use std::path::Path;

use nashost_plugin_api::dataset::Part;

use super::{
    Catalogue, ImageSource, ImageStore, Progress, Split,
    cache::{self, CacheKey},
    catalogue::refuse,
    check::check_parts,
    decode::{Decoded, decode_all},
    digest::sha256,
    statistics::mean_std,
};
use crate::error::{Error, Exit, Result};

/// What is wrong with training images that have no deviation.
pub(super) const ONE_GREY: &str =
    "all training images are of one and the same grey, so they cannot be normalised";

/// What is loaded, and how.
#[derive(Debug, Clone, Copy)]
pub struct LoadRequest<'a> {
    /// Id of the dataset component.
    pub component: &'a str,
    /// SHA-256 of the plugin that brings it.
    pub plugin_sha256: &'a str,
    /// Its configuration.
    pub config: &'a serde_json::Value,
    /// Rows and columns.
    pub resolution: usize,
    /// Folder of the cache; without one, everything is decoded.
    pub cache: Option<&'a Path>,
}

/// What became of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheUse {
    /// There is no cache folder.
    Off,
    /// Images were read from it.
    Hit,
    /// Images were decoded and written to it.
    Built,
    /// The cache file was damaged, for the given reason; images were decoded and written anew.
    Rebuilt(String),
    /// Images were decoded but could not be written, for the given reason.
    NotWritten(String),
}

/// Images in memory.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The images.
    pub store: ImageStore,
    /// What became of the cache.
    pub cache: CacheUse,
}

/// Decodes all images, or reads them from the cache.
///
/// A damaged cache and one that cannot be written are warnings in the log.
///
/// # Errors
///
/// Fails with E0302 and every unusable image, with E0304 and everything wrong with the split, and
/// with E0308 if the training images are all the same grey.
pub fn load(
    source: &dyn ImageSource,
    catalogue: Catalogue,
    split: Split,
    request: LoadRequest<'_>,
    progress: Progress<'_>,
) -> Result<Loaded> {
    let Catalogue { info, records } = catalogue;
    let parts: Vec<_> = split.parts.iter().copied().map(Some).collect();
    refuse("E0304", "unusable split", check_parts(&info, &records, &parts))?;
    let decode = || decode_all(source, &records, info.channels, request.resolution, progress);
    let stamp = source.stamp()?;
    let key = CacheKey {
        component: request.component,
        plugin_sha256: request.plugin_sha256,
        config: request.config,
        stamp: &stamp,
        resolution: request.resolution,
        channels: info.channels,
    };
    let (decoded, cache) = match request.cache {
        None => (decode()?, CacheUse::Off),
        Some(folder) => through_cache(folder, &key, records.len(), decode)?,
    };
    let training: Vec<_> = (0..records.len()).filter(|&i| split.parts[i] == Part::Train).collect();
    let (mean, std) = mean_std(&decoded, &training);
    if std.contains(&0.0) {
        return Err(Error::new(Exit::Usage, "E0308", ONE_GREY));
    }
    let labels = serde_json::json!([info.labels, info.normal_label, records, decoded.digest]);
    let store = ImageStore {
        fingerprint: sha256(labels.to_string()),
        split_hash: split.hash,
        parts: split.parts,
        dtype: decoded.dtype,
        channels: decoded.channels,
        resolution: decoded.resolution,
        data: decoded.data,
        info,
        records,
        mean,
        std,
    };
    Ok(Loaded { store, cache })
}

/// Reads from the cache, or decodes and writes to it.
fn through_cache(
    folder: &Path,
    key: &CacheKey<'_>,
    images: usize,
    decode: impl FnOnce() -> Result<Decoded>,
) -> Result<(Decoded, CacheUse)> {
    let built = match cache::read(folder, key, images) {
        Ok(Some(decoded)) => return Ok((decoded, CacheUse::Hit)),
        Ok(None) => CacheUse::Built,
        Err(reason) => {
            tracing::warn!("cache file {} is not used: {reason}", key.path(folder).display());
            CacheUse::Rebuilt(reason)
        }
    };
    let decoded = decode()?;
    let cache = match cache::write(folder, key, images, &decoded) {
        Ok(()) => built,
        Err(error) => {
            tracing::warn!("decoded images cannot be kept in {}: {error}", folder.display());
            CacheUse::NotWritten(error.to_string())
        }
    };
    Ok((decoded, cache))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::atomic::Ordering};

    use super::*;
    use crate::data::testing::{MemorySource, record};

    fn load_from(source: &MemorySource, cache: Option<&Path>) -> Result<Loaded> {
        load_with("one", source, cache)
    }

    fn load_with(plugin_sha256: &str, source: &MemorySource, cache: Option<&Path>) -> Result<Loaded> {
        let catalogue = Catalogue::read(source)?;
        let split = Split::as_given(&catalogue.records)?;
        let config = serde_json::json!({});
        let request =
            LoadRequest { component: "memory", plugin_sha256, config: &config, resolution: 8, cache };
        load(source, catalogue, split, request, &|_, _| {})
    }

    #[test]
    fn the_cache_saves_decoding_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let source = MemorySource::new(16);
        let fresh = load_from(&source, None).unwrap();
        let built = load_from(&source, Some(folder.path())).unwrap();
        let decoded = source.decoded.load(Ordering::Relaxed);
        assert_eq!(decoded, 32);
        let hit = load_from(&source, Some(folder.path())).unwrap();
        assert_eq!(source.decoded.load(Ordering::Relaxed), decoded);
        assert_eq!(
            [&fresh, &built, &hit].map(|l| &l.cache),
            [&CacheUse::Off, &CacheUse::Built, &CacheUse::Hit]
        );
        for other in [built, hit] {
            assert_eq!(fresh.store.data, other.store.data);
            assert_eq!(fresh.store.fingerprint, other.store.fingerprint);
            assert_eq!((&fresh.store.mean, &fresh.store.std), (&other.store.mean, &other.store.std));
        }
        assert_eq!(fresh.store.data.len(), 16 * 64);
    }

    #[test]
    fn a_damaged_cache_is_rebuilt() {
        let folder = tempfile::tempdir().unwrap();
        let source = MemorySource::new(16);
        let before = load_from(&source, Some(folder.path())).unwrap();
        let file = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() - 1]).unwrap();
        let again = load_from(&source, Some(folder.path())).unwrap();
        assert_eq!(again.cache, CacheUse::Rebuilt("its checksum is wrong".to_owned()));
        assert_eq!(again.store.data, before.store.data);
        assert_eq!(fs::read(&file).unwrap(), whole);
    }

    #[test]
    fn a_new_stamp_means_new_images() {
        let folder = tempfile::tempdir().unwrap();
        let mut source = MemorySource::new(16);
        let before = load_from(&source, Some(folder.path())).unwrap();
        source.pixels[0].as_mut().unwrap().data[0] ^= 0xFF;
        source.stamp = "2".to_owned();
        let after = load_from(&source, Some(folder.path())).unwrap();
        assert_eq!(after.cache, CacheUse::Built);
        assert_ne!(before.store.fingerprint, after.store.fingerprint);
    }

    #[test]
    fn new_code_of_the_plugin_means_new_images() {
        let folder = tempfile::tempdir().unwrap();
        let mut source = MemorySource::new(16);
        let before = load_with("one", &source, Some(folder.path())).unwrap();
        source.pixels[0].as_mut().unwrap().data[0] ^= 0xFF;
        let after = load_with("two", &source, Some(folder.path())).unwrap();
        assert_eq!(after.cache, CacheUse::Built);
        assert_ne!(before.store.fingerprint, after.store.fingerprint);
    }

    #[test]
    fn an_unwritable_cache_is_not_fatal() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "in the way").unwrap();
        let loaded = load_from(&MemorySource::new(16), Some(&file)).unwrap();
        assert!(matches!(loaded.cache, CacheUse::NotWritten(_)), "{:?}", loaded.cache);
    }

    #[test]
    fn statistics_come_from_the_training_part_only() {
        let source = MemorySource::new(16);
        let before = load_from(&source, None).unwrap().store;
        let mut changed = MemorySource::new(16);
        for i in [2, 3] {
            changed.pixels[i].as_mut().unwrap().data.fill(255);
        }
        let after = load_from(&changed, None).unwrap().store;
        assert_ne!(before.data, after.data);
        assert_eq!((before.mean, before.std), (after.mean, after.std));
    }

    #[test]
    fn unusable_splits_and_constant_images_are_refused() {
        let mut source = MemorySource::new(16);
        for i in (0..16).filter(|i| i % 4 < 2) {
            source.records[i] = record(&format!("i{i}"), "p", Some(Part::Train), &[0]);
        }
        let error = load_from(&source, None).unwrap_err();
        assert_eq!(error.code, "E0304");
        assert!(error.message.contains("label \"finding\" has no positive image of part train"), "{error}");
        let mut source = MemorySource::new(16);
        source.pixels.iter_mut().for_each(|pixels| pixels.as_mut().unwrap().data.fill(9));
        assert_eq!(load_from(&source, None).unwrap_err().code, "E0308");
    }
}
