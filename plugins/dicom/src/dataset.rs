//! The component.

use std::{fs, path::Path, sync::OnceLock, time::SystemTime};

use nashost_plugin_api::{
    component::{Component, PluginResult},
    dataset::{Dataset, DatasetInfo, Pixels, Record},
    problems::Problems,
};
use sha2::{Digest as _, Sha256};

use crate::{
    config::DicomConfig,
    index::{Index, Names},
    picture::picture,
    pseudonym::{Salt, hex},
};

/// Grey DICOM images of a folder, labelled by a table.
#[derive(Debug)]
pub struct Dicom {
    config: DicomConfig,
    names: Names,
    index: OnceLock<Result<Index, Problems>>,
}

impl Dicom {
    /// Reads the table and the headers on first use.
    fn index(&self) -> Result<&Index, Problems> {
        self.index.get_or_init(|| Index::read(&self.config, &self.names)).as_ref().map_err(Clone::clone)
    }
}

impl Component for Dicom {
    const ID: &'static str = "dicom";
    const DESCRIPTION: &'static str = "Grey DICOM images in a folder, labelled by a CSV file.";
    type Config = DicomConfig;

    fn create(config: DicomConfig) -> PluginResult<Self> {
        let problems: Problems = config.problems().into_iter().collect();
        let config = problems.or(config)?;
        let salt = config.pseudonymise.then(|| Salt::of(config.salt_file.as_deref())).transpose()?;
        Ok(Self { config, names: Names(salt), index: OnceLock::new() })
    }
}

impl Dataset for Dicom {
    fn describe(&self) -> PluginResult<DatasetInfo> {
        let index = self.index()?;
        Ok(DatasetInfo {
            labels: index.labels.clone(),
            normal_label: index.normal.clone(),
            channels: 1,
            source: format!("DICOM files in {}; licence not stated", self.config.root.display()),
        })
    }

    fn records(&self) -> PluginResult<Vec<Record>> {
        Ok(self.index()?.images.iter().map(|image| image.record.clone()).collect())
    }

    fn stamp(&self) -> PluginResult<String> {
        let index = self.index()?;
        let mut hash = Sha256::new();
        hash.update(file_stamp(&self.config.root.join(&self.config.csv))?);
        for image in &index.images {
            let stamp = file_stamp(&image.path)
                .map_err(|error| format!("{}: {error}", self.names.file(&image.path)))?;
            hash.update(stamp);
        }
        Ok(format!("dicom {}", hex(&hash.finalize())))
    }

    fn pixels(&self, index: usize) -> PluginResult<Pixels> {
        let images = &self.index()?.images;
        let image = images.get(index).ok_or_else(|| format!("image {index} of {}", images.len()))?;
        picture(&image.path, &self.config).map_err(|error| {
            let csv = self.config.csv.display();
            format!("{} ({csv}:{}) {error}", self.names.file(&image.path), image.line).into()
        })
    }
}

/// Path, size and time of change of a file.
fn file_stamp(path: &Path) -> std::io::Result<String> {
    let facts = fs::metadata(path)?;
    let changed = facts.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    Ok(format!("{}\0{}\0{changed}\n", path.display(), facts.len()))
}
