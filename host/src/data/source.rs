//! Where images come from, as the host sees it.

use nashost_plugin_api::dataset::{DatasetInfo, Pixels, Record};

use crate::error::Result;

/// Called with the number of images done and the number of all.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// A dataset component behind the plugin boundary. Every method may be called from any thread.
pub trait ImageSource: Sync {
    /// Describes the dataset.
    ///
    /// # Errors
    ///
    /// Fails if the component cannot.
    fn info(&self) -> Result<DatasetInfo>;

    /// Lists all images, in a fixed order.
    ///
    /// # Errors
    ///
    /// Fails with every problem of the index, one per line.
    fn records(&self) -> Result<Vec<Record>>;

    /// Returns a text that changes whenever an image may have changed.
    ///
    /// # Errors
    ///
    /// Fails if the source cannot be looked at.
    fn stamp(&self) -> Result<String>;

    /// Decodes image `index`.
    ///
    /// # Errors
    ///
    /// Fails if the image is missing, damaged or of an unsupported kind.
    fn pixels(&self, index: usize) -> Result<Pixels>;

    /// Returns where finding `label` is on image `index`, if the dataset knows.
    ///
    /// # Errors
    ///
    /// Fails if the mask exists but cannot be read.
    fn mask(&self, index: usize, label: usize) -> Result<Option<Pixels>>;
}
