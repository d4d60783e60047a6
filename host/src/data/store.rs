//! The decoded dataset that training and evaluation gather batches from.

use nashost_plugin_api::dataset::{DatasetInfo, Part, PixelType, Record, Target};

/// All images of a dataset, decoded and resized to squares, with their labels and split.
#[derive(Debug, Clone)]
pub struct ImageStore {
    /// Description of the dataset.
    pub info: DatasetInfo,
    /// One per image.
    pub records: Vec<Record>,
    /// Part of each image.
    pub parts: Vec<Part>,
    /// Pixel type of `data`.
    pub dtype: PixelType,
    /// 1 or 3 channels stored per image.
    pub channels: usize,
    /// Rows and columns.
    pub resolution: usize,
    /// Images × channels × rows × columns, `dtype.size()` bytes per value, native byte order.
    pub data: Vec<u8>,
    /// Mean over the training part, in 0…1, one per channel.
    pub mean: Vec<f64>,
    /// Standard deviation over the training part, in 0…1, one per channel.
    pub std: Vec<f64>,
    /// SHA-256 of labels, records and decoded pixels at their own size.
    pub fingerprint: String,
    /// SHA-256 of the split.
    pub split_hash: String,
}

impl ImageStore {
    /// Indices of the images of `part`, ascending.
    pub fn indices(&self, part: Part) -> Vec<usize> {
        (0..self.parts.len()).filter(|&i| self.parts[i] == part).collect()
    }

    /// Number of labels.
    pub fn labels(&self) -> usize {
        self.info.labels.len()
    }

    /// Targets of the images `indices`, row-major `indices.len() × labels`.
    pub fn targets(&self, indices: &[usize]) -> Vec<Target> {
        indices.iter().flat_map(|&i| self.records[i].targets.iter().copied()).collect()
    }
}
