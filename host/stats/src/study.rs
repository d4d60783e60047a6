//! The 2023 study (tomslav/InvestigatingNAS, commit a350c6f): the layouts of its result files, its
//! published tests and its published tables, compared with what its own files say.
//!
//! Numbers are in percent here, as in the study's files.

pub mod cells;
pub mod files;
pub mod significance;

use serde::{Deserialize, de::DeserializeOwned};

/// A row of a grid search: hyper-parameters, and the values on the test set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct GridRow {
    /// `Neck` or `Elbow`.
    pub site: String,
    /// `DeepMAD`, `ShapleyNAS`, `ZenNAS`, `ResNet` or `ResNetPre` (pretrained).
    pub method: String,
    /// Its settings.
    #[serde(flatten)]
    pub setting: Setting,
}

/// Settings of a run of the study, and its test values in percent.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Setting {
    /// Images in a batch.
    pub batch: f64,
    /// Epochs.
    pub epochs: f64,
    /// Learning rate.
    pub lr: f64,
    /// Pixels on a side.
    pub resolution: f64,
    /// Images of which all labels are right: the greater of both checkpoints on the test set.
    pub accuracy: f64,
    /// Mean F1 over labels, likewise.
    pub macro_f1: f64,
}

/// The grid searches whose files were published.
pub fn grid() -> Vec<GridRow> {
    embedded(include_str!("../data/study/grid.csv"))
}

fn embedded<T: DeserializeOwned>(text: &str) -> Vec<T> {
    let rows = csv::Reader::from_reader(text.as_bytes()).into_deserialize();
    rows.collect::<Result<_, _>>().expect("the data of this crate are as its tests read them")
}
