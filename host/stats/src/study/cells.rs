//! The cells of the study's Tables 3 to 6, and which published checkpoints have them.

use serde::{Deserialize, Serialize};

use super::embedded;

/// Most that a printed cell may differ from a file, in percent: the paper rounds or cuts to three digits.
pub const TOLERANCE: f64 = 0.00105;

/// A printed cell and where it is on file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// Number of the table.
    pub table: u8,
    /// `Neck` or `Elbow`.
    pub site: String,
    /// Row of the table, such as `ZenNAS (1)`.
    pub row: String,
    /// Column, by its name in the files' data.
    pub column: String,
    /// The printed value, in percent.
    pub printed: f64,
    /// The value on file that is nearest, of all checkpoints of the method.
    pub nearest: Option<f64>,
    /// Checkpoints that have the printed value.
    pub found_in: Vec<String>,
}

/// A row of the printed tables: is it one model?
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowVerdict {
    /// `Neck` or `Elbow`.
    pub site: String,
    /// Row of the tables.
    pub row: String,
    /// Cells that are on file.
    pub found: usize,
    /// Cells of the row.
    pub cells: usize,
    /// Checkpoints that have every cell.
    pub one_checkpoint: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct PrintedCell {
    table: u8,
    site: String,
    row: String,
    column: String,
    percent: f64,
}

#[derive(Debug, Deserialize)]
struct Checkpoint {
    site: String,
    method: String,
    run: String,
    checkpoint: String,
    accuracy: f64,
    macro_f1: f64,
    normal_accuracy: f64,
    normal_f1: f64,
    normal_tpr: f64,
    normal_fpr: f64,
    normal_weighted: f64,
}

impl Checkpoint {
    fn value(&self, column: &str) -> Option<f64> {
        match column {
            "accuracy" => Some(self.accuracy),
            "macro_f1" => Some(self.macro_f1),
            "normal_accuracy" => Some(self.normal_accuracy),
            "normal_f1" => Some(self.normal_f1),
            "normal_tpr" => Some(self.normal_tpr),
            "normal_fpr" => Some(self.normal_fpr),
            "normal_weighted" => Some(self.normal_weighted),
            _ => None,
        }
    }
}

/// Looks every printed cell up in the published checkpoints of its method.
pub fn cells() -> Vec<Cell> {
    let printed: Vec<PrintedCell> = embedded(include_str!("../../data/study/cells.csv"));
    let checkpoints: Vec<Checkpoint> = embedded(include_str!("../../data/study/checkpoints.csv"));
    let look = |cell: PrintedCell| {
        let values: Vec<(String, f64)> = checkpoints
            .iter()
            .filter(|known| known.site == cell.site && known.method == method_of(&cell.row))
            .filter_map(|known| {
                Some((format!("{}:{}", known.run, known.checkpoint), known.value(&cell.column)?))
            })
            .collect();
        let distance = |value: f64| (value - cell.percent).abs();
        let nearest =
            values.iter().map(|(_, value)| *value).min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
        let found = values.iter().filter(|(_, value)| distance(*value) <= TOLERANCE);
        Cell {
            found_in: found.map(|(name, _)| name.clone()).collect(),
            nearest,
            table: cell.table,
            site: cell.site,
            row: cell.row,
            column: cell.column,
            printed: cell.percent,
        }
    };
    printed.into_iter().map(look).collect()
}

/// The method of a row: `ZenNAS (2)` is ZenNAS.
fn method_of(row: &str) -> &str {
    match row.split(" (").next() {
        Some("Pretrained ResNet") => "ResNetPre",
        Some(name) => name,
        None => row,
    }
}

/// Names that `examples/paper` gives to the methods of the rows.
const NAMES: [(&str, &str); 5] = [
    ("DeepMAD", "deepmad"),
    ("ShapleyNAS", "shapleynas"),
    ("ZenNAS", "zennas"),
    ("ResNet", "resnet50"),
    ("ResNetPre", "resnet50-imagenet"),
];

/// A printed cell beside a value of a study of one's own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Beside {
    /// The printed cell.
    #[serde(flatten)]
    pub cell: Cell,
    /// Our value, in percent; none if the study does not have it.
    pub ours: Option<f64>,
    /// Our 95 % interval, in percent.
    pub interval: Option<[f64; 2]>,
    /// What follows.
    pub verdict: &'static str,
}

/// Puts the printed cells beside the values that `ours` answers for a dataset (`neck`, `elbow`), a method as
/// `examples/paper` names it, and a column: a value with its interval, in percent.
pub fn beside(
    cells: Vec<Cell>,
    ours: impl Fn(&str, &str, &str) -> Option<(f64, Option<[f64; 2]>)>,
) -> Vec<Beside> {
    let put = |cell: Cell| {
        let method = NAMES.iter().find(|(name, _)| *name == method_of(&cell.row)).map(|(_, ours)| *ours);
        let found = method.and_then(|method| ours(&cell.site.to_lowercase(), method, &cell.column));
        let interval = found.and_then(|(_, interval)| interval);
        let verdict = match (found, interval) {
            (None, _) => "not made",
            (Some(_), Some([low, _])) if cell.printed < low => "printed value below our interval",
            (Some(_), Some([_, high])) if cell.printed > high => "printed value above our interval",
            (Some(_), Some(_)) => "printed value within our interval",
            (Some(_), None) => "no interval",
        };
        Beside { ours: found.map(|(value, _)| value), interval, verdict, cell }
    };
    cells.into_iter().map(put).collect()
}

/// Says for each row of the printed tables whether its cells are those of one model.
pub fn rows(cells: &[Cell]) -> Vec<RowVerdict> {
    let mut rows: Vec<RowVerdict> = Vec::new();
    for cell in cells {
        if let Some(row) = rows.iter_mut().find(|row| row.site == cell.site && row.row == cell.row) {
            row.cells += 1;
            row.found += usize::from(!cell.found_in.is_empty());
            row.one_checkpoint.retain(|name| cell.found_in.contains(name));
        } else {
            rows.push(RowVerdict {
                site: cell.site.clone(),
                row: cell.row.clone(),
                found: usize::from(!cell.found_in.is_empty()),
                cells: 1,
                one_checkpoint: cell.found_in.clone(),
            });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_cells_are_on_file_and_nearly_half_of_the_rows_are_no_single_model() {
        let cells = cells();
        assert_eq!(cells.len(), 126);
        let missing: Vec<_> = cells.iter().filter(|cell| cell.found_in.is_empty()).collect();
        assert_eq!(missing.len(), 12);
        let lost = |row: &str| missing.iter().filter(|cell| cell.site == "Neck" && cell.row == row).count();
        assert_eq!((lost("DeepMAD (2)"), lost("ShapleyNAS (2)")), (7, 5));
        let rows = rows(&cells);
        let mixed = rows.iter().filter(|row| row.one_checkpoint.is_empty()).count();
        assert_eq!((rows.len(), mixed), (18, 8));
    }

    #[test]
    fn printed_cells_stand_beside_those_of_the_same_site_method_and_column() {
        let ours = |dataset: &str, method: &str, column: &str| match (dataset, method, column) {
            ("neck", "deepmad", "accuracy") => Some((30.0, Some([20.0, 35.0]))),
            ("elbow", "resnet50-imagenet", "normal_tpr") => Some((50.0, None)),
            _ => None,
        };
        let found = beside(cells(), ours);
        assert_eq!(found.len(), 126);
        let made: Vec<_> = found
            .iter()
            .filter(|beside| beside.ours.is_some())
            .map(|beside| (beside.cell.row.as_str(), beside.cell.column.as_str(), beside.verdict))
            .collect();
        // Printed: 27.66 and 37.234.
        assert_eq!(
            made,
            [
                ("DeepMAD (1)", "accuracy", "printed value within our interval"),
                ("DeepMAD (2)", "accuracy", "printed value above our interval"),
                ("Pretrained ResNet", "normal_tpr", "no interval"),
            ]
        );
        assert!(cells().iter().all(|cell| NAMES.iter().any(|(name, _)| *name == method_of(&cell.row))));
    }
}
