//! `csv-images`: image files in a folder, labels in CSV files.

mod decode;
mod index;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::SystemTime,
};

use nashost_plugin_api::{
    component::{Component, PluginResult},
    dataset::{Dataset, DatasetInfo, Pixels, Record},
    problems::Problems,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use self::{decode::decode, index::Index};

/// Configuration of [`CsvImages`].
///
/// Without `csv`, the folder holds `train.csv`, `val.csv` and `test.csv` with the columns `Num`,
/// `ID` and one per label. With `csv`, one file holds everything, and columns are chosen below.
/// Column names match whatever their case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvImagesConfig {
    /// Folder of the images. No path may lead outside; links in it are followed.
    pub root: PathBuf,
    /// The only index file, relative to `root`.
    #[serde(default)]
    pub csv: Option<PathBuf>,
    /// Added to an id to make a file name, such as `jpeg`; empty if the ids have it.
    #[serde(default)]
    pub extension: String,
    /// Column of the image ids.
    #[serde(default = "id")]
    pub id: String,
    /// Column of the image paths, relative to `root`, if they are not the ids.
    #[serde(default)]
    pub path: Option<String>,
    /// Column of the patients. Without it, each image is its own patient.
    #[serde(default)]
    pub group: Option<String>,
    /// Column that says `train`, `val` or `test`.
    #[serde(default)]
    pub split: Option<String>,
    /// Columns of the labels, in order. Empty: all columns not named otherwise.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Columns carried along for subgroup reports.
    #[serde(default)]
    pub attributes: Vec<String>,
    /// Columns to leave out where `labels` is empty.
    #[serde(default = "ignore")]
    pub ignore: Vec<String>,
    /// The label that means "no other finding", if there is such a label.
    #[serde(default = "normal")]
    pub normal: String,
    /// 1 or 3: colours are turned into grey, or kept.
    #[serde(default = "channels")]
    #[schemars(range(min = 1, max = 3))]
    pub channels: usize,
}

fn id() -> String {
    "ID".to_owned()
}

fn ignore() -> Vec<String> {
    vec!["Num".to_owned()]
}

fn normal() -> String {
    "normal".to_owned()
}

fn channels() -> usize {
    1
}

impl CsvImagesConfig {
    /// The study's layout in `root`, every option at its default.
    pub fn study(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            csv: None,
            extension: String::new(),
            id: id(),
            path: None,
            group: None,
            split: None,
            labels: Vec::new(),
            attributes: Vec::new(),
            ignore: ignore(),
            normal: normal(),
            channels: channels(),
        }
    }
}

/// Images of a folder, labelled by CSV files.
#[derive(Debug)]
pub struct CsvImages {
    config: CsvImagesConfig,
    index: OnceLock<Result<Index, Problems>>,
}

impl CsvImages {
    /// Reads the index files on first use.
    fn index(&self) -> Result<&Index, Problems> {
        self.index.get_or_init(|| Index::read(&self.config)).as_ref().map_err(Clone::clone)
    }
}

impl Component for CsvImages {
    const ID: &'static str = "csv-images";
    const DESCRIPTION: &'static str = "PNG, JPEG and TIFF images in a folder, labelled by CSV files.";
    type Config = CsvImagesConfig;

    fn create(config: CsvImagesConfig) -> PluginResult<Self> {
        let mut problems = Problems::default();
        if !config.root.is_dir() {
            problems.add(format!("root: \"{}\" is not a folder", config.root.display()));
        }
        if !matches!(config.channels, 1 | 3) {
            problems.add(format!("channels: {} is neither 1 nor 3", config.channels));
        }
        Ok(problems.or(Self { config, index: OnceLock::new() })?)
    }
}

impl Dataset for CsvImages {
    fn describe(&self) -> PluginResult<DatasetInfo> {
        let index = self.index()?;
        Ok(DatasetInfo {
            labels: index.labels.clone(),
            normal_label: index.normal.map(|normal| index.labels[normal].clone()),
            channels: self.config.channels,
            source: format!("image files in {}; licence not stated", self.config.root.display()),
        })
    }

    fn records(&self) -> PluginResult<Vec<Record>> {
        Ok(self.index()?.rows.iter().map(|row| row.record.clone()).collect())
    }

    fn stamp(&self) -> PluginResult<String> {
        let index = self.index()?;
        let mut hash = Sha256::new();
        for path in index.files.iter().chain(index.rows.iter().map(|row| &row.path)) {
            hash.update(file_stamp(path)?);
        }
        let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("csv-images {hex}"))
    }

    fn pixels(&self, index: usize) -> PluginResult<Pixels> {
        let rows = &self.index()?.rows;
        let row = rows.get(index).ok_or_else(|| format!("image {index} of {}", rows.len()))?;
        Ok(decode(&row.path).map_err(|e| format!("{}: image \"{}\" {e}", row.place, row.path.display()))?)
    }
}

/// Path, size and time of change of a file.
fn file_stamp(path: &Path) -> PluginResult<String> {
    let facts = fs::metadata(path).map_err(|e| format!("\"{}\": {e}", path.display()))?;
    let changed = facts.modified()?.duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
    Ok(format!("{}\0{}\0{changed}\n", path.display(), facts.len()))
}
