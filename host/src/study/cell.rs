//! One combination of a study.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Config;

/// A dataset, a method, a point of the grid, a fold and a seed: one run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// What it is.
    pub(crate) key: CellKey,
    /// Configuration of the run, every default filled in.
    pub(crate) config: Config,
}

/// What a cell is, as tables tell it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CellKey {
    /// Dataset.
    pub(crate) dataset: String,
    /// Method or control.
    pub(crate) method: String,
    /// Whether the method is a control.
    pub(crate) control: bool,
    /// Number of the point, from 0.
    pub(crate) point: usize,
    /// The point's settings.
    pub(crate) settings: Map<String, Value>,
    /// Fold, from 1, if there are any.
    pub(crate) fold: Option<u32>,
    /// Seed.
    pub(crate) seed: u64,
}

impl CellKey {
    /// Name of the run, and of the cell's files.
    pub(crate) fn id(&self) -> String {
        let Self { dataset, method, point, seed, .. } = self;
        let fold = self.fold.map(|fold| format!(".f{fold}")).unwrap_or_default();
        format!("{dataset}.{method}.p{point}{fold}.s{seed}")
    }

    /// The method at its point of the grid: `zennas train.lr=0.002`.
    pub(crate) fn method_text(&self) -> String {
        let settings: String = self.settings.iter().map(|(key, value)| format!(" {key}={value}")).collect();
        format!("{}{settings}", self.method)
    }

    /// The cell for people: `neck zennas train.lr=0.002 fold 2 seed 1`.
    pub(crate) fn text(&self) -> String {
        let fold = self.fold.map(|fold| format!(" fold {fold}")).unwrap_or_default();
        format!("{} {}{fold} seed {}", self.dataset, self.method_text(), self.seed)
    }
}
