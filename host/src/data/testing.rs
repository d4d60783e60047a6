//! A dataset in memory, for the tests of this module.

use std::sync::atomic::{AtomicUsize, Ordering};

use nashost_plugin_api::dataset::{DatasetInfo, Part, PixelType, Pixels, Record, Target};

use super::ImageSource;
use crate::error::{Error, Exit, Result};

/// A dataset in memory that counts how often it is asked for pixels.
pub(super) struct MemorySource {
    pub(super) info: DatasetInfo,
    pub(super) records: Vec<Record>,
    pub(super) pixels: Vec<Result<Pixels>>,
    pub(super) stamp: String,
    pub(super) decoded: AtomicUsize,
}

impl MemorySource {
    /// Grey 8-bit images of varied size; even ones are positive; parts repeat train, train, val, test.
    pub(super) fn new(images: usize) -> Self {
        let parts = [Part::Train, Part::Train, Part::Val, Part::Test];
        let records = (0..images).map(|i| {
            let code = i8::from((i / 4 + i) % 2 == 0);
            record(&format!("i{i}"), &format!("g{i}"), Some(parts[i % 4]), &[code])
        });
        let pixels = (0..images).map(|i| {
            let (height, width) = (8 + i % 3, 9 + i % 2);
            let data = (0..height * width).map(|at| ((at * 7 + i * 31) % 256) as u8).collect();
            Ok(Pixels { height, width, channels: 1, dtype: PixelType::U8, data })
        });
        Self {
            info: info(&["finding"]),
            records: records.collect(),
            pixels: pixels.collect(),
            stamp: "1".to_owned(),
            decoded: AtomicUsize::new(0),
        }
    }
}

impl ImageSource for MemorySource {
    fn info(&self) -> Result<DatasetInfo> {
        Ok(self.info.clone())
    }

    fn records(&self) -> Result<Vec<Record>> {
        Ok(self.records.clone())
    }

    fn stamp(&self) -> Result<String> {
        Ok(self.stamp.clone())
    }

    fn pixels(&self, index: usize) -> Result<Pixels> {
        self.decoded.fetch_add(1, Ordering::Relaxed);
        self.pixels[index].clone()
    }

    fn mask(&self, _: usize, _: usize) -> Result<Option<Pixels>> {
        Ok(None)
    }
}

/// An error of the dataset.
pub(super) fn damaged(message: &str) -> Error {
    Error::new(Exit::Usage, "E0300", message)
}

/// A description with the given labels; the one named `normal` is the normal label.
pub(super) fn info(labels: &[&str]) -> DatasetInfo {
    DatasetInfo {
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        normal_label: labels.iter().find(|&&label| label == "normal").map(|&label| label.to_owned()),
        channels: 1,
        source: "test".to_owned(),
    }
}

/// A record with the given target codes.
pub(super) fn record(id: &str, group: &str, split: Option<Part>, codes: &[i8]) -> Record {
    Record {
        id: id.to_owned(),
        group: group.to_owned(),
        split,
        targets: codes.iter().map(|&code| Target::from_code(code).unwrap()).collect(),
        attributes: Default::default(),
    }
}
