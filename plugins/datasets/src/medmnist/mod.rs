//! `medmnist`: npz files of the MedMNIST layout (Yang et al. 2023), two-dimensional sets.

mod archive;
mod claims;
mod names;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use nashost_plugin_api::{
    component::{Component, PluginResult},
    dataset::{Dataset, DatasetInfo, Part, PixelType, Pixels, Record},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::archive::Archive;

/// Configuration of [`Medmnist`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MedmnistConfig {
    /// The npz file.
    pub path: PathBuf,
    /// Label names. Empty: those of a known set (by file name), else `label_0`, `label_1`, ….
    #[serde(default)]
    pub labels: Vec<String>,
}

/// A MedMNIST-style set, held in memory.
///
/// A column of 0 and 1 is one label; a column of class numbers becomes one label per class; several
/// columns of 0 and 1 are one label each. Each image is its own patient, since the files do not
/// say whose it is.
#[derive(Debug)]
pub struct Medmnist {
    path: PathBuf,
    archive: Archive,
    labels: Vec<String>,
}

impl Component for Medmnist {
    const ID: &'static str = "medmnist";
    const DESCRIPTION: &'static str = "A two-dimensional MedMNIST npz file, with its own split.";
    type Config = MedmnistConfig;

    fn create(config: MedmnistConfig) -> PluginResult<Self> {
        let archive = Archive::read(&config.path)?;
        let labels = if config.labels.is_empty() {
            names::of_file(&config.path, archive.labels)
                .unwrap_or_else(|| (0..archive.labels).map(|i| format!("label_{i}")).collect())
        } else {
            config.labels
        };
        if labels.len() != archive.labels {
            return Err(format!(
                "labels: {} names for the {} labels of \"{}\"",
                labels.len(),
                archive.labels,
                config.path.display()
            )
            .into());
        }
        Ok(Self { path: config.path, archive, labels })
    }
}

/// Name of a part as in the file.
fn part_name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Val => "val",
        Part::Test => "test",
    }
}

impl Dataset for Medmnist {
    fn describe(&self) -> PluginResult<DatasetInfo> {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        Ok(DatasetInfo {
            labels: self.labels.clone(),
            normal_label: None,
            channels: self.archive.channels,
            source: format!("{file}, {}", names::source(&self.path)),
        })
    }

    fn records(&self) -> PluginResult<Vec<Record>> {
        let mut records = Vec::new();
        for part in &self.archive.parts {
            records.extend(part.targets.iter().enumerate().map(|(i, targets)| {
                let id = format!("{}_{i:05}", part_name(part.part));
                Record {
                    group: id.clone(),
                    id,
                    split: Some(part.part),
                    targets: targets.clone(),
                    attributes: Default::default(),
                }
            }));
        }
        Ok(records)
    }

    fn stamp(&self) -> PluginResult<String> {
        stamp(&self.path)
    }

    fn pixels(&self, index: usize) -> PluginResult<Pixels> {
        let Archive { height, width, channels, .. } = self.archive;
        let size = height * width * channels;
        let mut at = index;
        for part in &self.archive.parts {
            if at < part.targets.len() {
                let data = part.pixels[at * size..(at + 1) * size].to_vec();
                return Ok(Pixels { height, width, channels, dtype: PixelType::U8, data });
            }
            at -= part.targets.len();
        }
        Err(format!("image {index} of {}", index - at).into())
    }
}

/// Path, size and time of change of the file.
fn stamp(path: &Path) -> PluginResult<String> {
    let facts = fs::metadata(path).map_err(|e| format!("\"{}\": {e}", path.display()))?;
    let changed = facts.modified()?.duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
    Ok(format!("medmnist {} {} {changed}", path.display(), facts.len()))
}
