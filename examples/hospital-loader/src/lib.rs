//! A lab's own archive as a dataset: an SQLite index beside one large file of pixels.

use std::{collections::HashMap, fs::File, os::unix::fs::FileExt as _, path::PathBuf};

use nashost_plugin_api::{
    component::{Component, PluginResult},
    dataset::{Dataset, DatasetInfo, PixelType, Pixels, Record, Target},
};
use rusqlite::{Connection, OpenFlags, Row};
use schemars::JsonSchema;
use serde::Deserialize;

/// What users may set.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of `index.sqlite` and `pixels.bin`.
    path: PathBuf,
}

/// A line of the table `image`. The table `patient` has names, and is not read.
struct Image {
    id: i64,
    patient: i64,
    scanner: String,
    height: usize,
    width: usize,
    bits: u32,
    start: u64,
}

/// The archive: its index in memory, its pixels on disk.
pub struct Hospital {
    config: Config,
    findings: Vec<(i64, String)>,
    images: Vec<Image>,
    /// Whether a finding is present, by image and finding.
    readings: HashMap<(i64, i64), bool>,
    pixels: File,
}

impl Component for Hospital {
    const ID: &'static str = "hospital";
    const DESCRIPTION: &'static str = "Radiographs of the lab's archive, with their readings.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        let path = config.path.join("index.sqlite");
        let index = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(|error| format!("{} cannot be opened: {error}", path.display()))?;
        let orphans = all(&index, "PRAGMA foreign_key_check", |row| row.get::<_, String>(0))?;
        if !orphans.is_empty() {
            return Err(format!("rows of {} that refer to nothing", orphans.join(", ")).into());
        }
        let findings =
            all(&index, "SELECT id, name FROM finding ORDER BY id", |row| Ok((row.get(0)?, row.get(1)?)))?;
        let images = "SELECT id, patient, scanner, \"rows\", \"columns\", bits, start FROM image ORDER BY id";
        let images = all(&index, images, |row| {
            let (id, patient, scanner) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (height, width, bits, start) = (row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
            Ok(Image { id, patient, scanner, height, width, bits, start })
        })?;
        let readings = all(&index, "SELECT image, finding, present FROM reading", |row| {
            Ok(((row.get(0)?, row.get(1)?), row.get(2)?))
        })?;
        let pixels = File::open(config.path.join("pixels.bin"))
            .map_err(|error| format!("pixels.bin cannot be opened: {error}"))?;
        Ok(Self { findings, images, readings: readings.into_iter().collect(), pixels, config })
    }
}

/// Every row of an answer.
fn all<T>(
    index: &Connection,
    sql: &str,
    read: impl FnMut(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    index.prepare(sql)?.query_map([], read)?.collect()
}

impl Dataset for Hospital {
    fn describe(&self) -> PluginResult<DatasetInfo> {
        let source = "the archive of the lab, not published".to_owned();
        let labels = self.findings.iter().map(|(_, name)| name.clone()).collect();
        Ok(DatasetInfo { labels, normal_label: None, channels: 1, source })
    }

    fn records(&self) -> PluginResult<Vec<Record>> {
        let target = |image: &Image, finding: i64| match self.readings.get(&(image.id, finding)) {
            Some(true) => Target::Positive,
            Some(false) => Target::Negative,
            None => Target::NotAssessed,
        };
        let record = |image: &Image| Record {
            id: format!("image-{}", image.id),
            group: format!("patient-{}", image.patient),
            split: None,
            targets: self.findings.iter().map(|(finding, _)| target(image, *finding)).collect(),
            attributes: [("scanner".to_owned(), image.scanner.clone())].into(),
        };
        Ok(self.images.iter().map(record).collect())
    }

    fn stamp(&self) -> PluginResult<String> {
        let files = ["index.sqlite", "pixels.bin"].map(|name| self.config.path.join(name));
        let stamp = |file: &PathBuf| {
            let metadata = file.metadata()?;
            Ok(format!("{}:{:?}", metadata.len(), metadata.modified()?))
        };
        files.iter().map(stamp).collect()
    }

    fn pixels(&self, index: usize) -> PluginResult<Pixels> {
        let image = self.images.get(index).ok_or("there is no such image")?;
        let &Image { id, height, width, bits, start, .. } = image;
        // In 128 bits no product of these overflows; nothing is reserved for what is not there.
        let length = 2 * height as u128 * width as u128;
        if length == 0 || start as u128 + length > self.pixels.metadata()?.len().into() {
            return Err(format!("image {id}: {height}×{width} values do not lie in pixels.bin").into());
        }
        if !(1..=16).contains(&bits) {
            return Err(format!("image {id} has {bits} bits").into());
        }
        let mut data = vec![0; length as usize];
        self.pixels.read_exact_at(&mut data, start)?;
        let greatest = (1_u32 << bits) - 1;
        for value in data.chunks_exact_mut(2) {
            let stored = u32::from(u16::from_le_bytes([value[0], value[1]])).min(greatest);
            value.copy_from_slice(&((stored * 65535 / greatest) as u16).to_ne_bytes());
        }
        Ok(Pixels { height, width, channels: 1, dtype: PixelType::U16, data })
    }
}

nashost_plugin_api::register!(dataset: Hospital);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));

#[cfg(test)]
mod tests {
    #[test]
    fn the_contract_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let made = std::process::Command::new("python3").arg("make_store.py").arg(&path).status().unwrap();
        assert!(made.success());
        let settings = serde_json::json!({ "path": path });
        nashost_plugin_api::testing::dataset::<super::Hospital>(settings).assert_passed();
    }
}
