//! The layouts of the study's result files, which are no tables: `GridSearchResults.csv` has four rows
//! per run, and `output.csv` three tables side by side.

use serde::Serialize;

use super::Setting;

/// A file that does not have a layout of the study.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StudyFileError {
    /// A line that is no CSV.
    #[error("{0}")]
    Csv(String),
    /// The header is that of neither layout.
    #[error("the header is none of the 2023 study's")]
    Header,
    /// Something in it is not as the study's scripts write it.
    #[error("line {line}: {what}")]
    Line {
        /// The line.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// It has no row.
    #[error("there is no row")]
    Empty,
}

type Result<T> = std::result::Result<T, StudyFileError>;

/// A layout of the study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `GridSearchResults.csv`.
    Grid,
    /// `output.csv` of a run.
    Output,
}

const GRID_HEADER: [&str; 3] = ["hyperparameters", "test_metrics_mean_acc", "test_metrics_macro_F1"];
/// Columns of one part of `output.csv`.
const BLOCK: usize = 8;
const BLOCKS: usize = 4;

impl Layout {
    /// Returns the layout of a text, by its header.
    pub fn of(text: &str) -> Option<Self> {
        let first = text.lines().next()?;
        let first = first.trim_start_matches('\u{feff}');
        if first.split(',').skip_while(|cell| cell.is_empty()).eq(GRID_HEADER) {
            return Some(Self::Grid);
        }
        let is_output =
            first.contains("Type (TRAIN)") && first.contains("Type (VAL)") && first.contains("Type (TEST)");
        is_output.then_some(Self::Output)
    }
}

/// Reads `GridSearchResults.csv`: each run is four rows with the same values, of which the first column
/// is batch size, epochs, learning rate and resolution.
///
/// # Errors
///
/// If the layout is another one, or the rows do not come in fours that agree.
pub fn grid(text: &str) -> Result<Vec<Setting>> {
    let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().map_err(csv_error)?.clone();
    // An index column, if pandas wrote one, has no name.
    let skip = header.iter().take_while(|name| name.is_empty()).count();
    if !header.iter().skip(skip).eq(GRID_HEADER) {
        return Err(StudyFileError::Header);
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(csv_error)?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |index: usize| number(&record[skip + index], line);
        rows.push((line, [cell(0)?, cell(1)?, cell(2)?]));
    }
    let setting = |four: &[(u64, [f64; 3])]| {
        let (line, [batch, accuracy, macro_f1]) = four[0];
        if four.len() < 4 || four.iter().any(|(_, row)| row[1..] != [accuracy, macro_f1]) {
            let what = "a run has four rows with the same values".to_owned();
            return Err(StudyFileError::Line { line, what });
        }
        let [epochs, lr, resolution] = [1, 2, 3].map(|index: usize| four[index].1[0]);
        Ok(Setting { batch, epochs, lr, resolution, accuracy, macro_f1 })
    };
    let settings: Vec<Setting> = rows.chunks(4).map(setting).collect::<Result<_>>()?;
    if settings.is_empty() { Err(StudyFileError::Empty) } else { Ok(settings) }
}

/// The test values of one checkpoint of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tested {
    /// `best validation accuracy` or `best validation F1`.
    pub checkpoint: &'static str,
    /// Overall values, then those of each label.
    pub rows: Vec<LabelRow>,
}

/// A row of a part of `output.csv`, in percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelRow {
    /// `Overall (Macro-Average)`, or a label.
    pub label: String,
    /// Images with all labels right if overall, and else right answers of the label.
    pub accuracy: f64,
    /// TP / (TP + FP), else 0.
    pub precision: f64,
    /// TP / (TP + FN), else 0.
    pub sensitivity: f64,
    /// TN / (TN + FP), else 0.
    pub specificity: f64,
    /// FN / (TP + FN), else 0.
    pub fnr: f64,
    /// F1, else 0.
    pub f1: f64,
}

impl LabelRow {
    /// The study's FPR: 100 − specificity.
    pub fn fpr(&self) -> f64 {
        100.0 - self.specificity
    }

    /// The study's "Weighted TPR&FPR", which is the balanced accuracy.
    pub fn weighted(&self) -> f64 {
        f64::midpoint(self.sensitivity, self.specificity)
    }
}

/// Reads the test values of both checkpoints from `output.csv`. They stand there once per epoch; the
/// last epoch's rows are taken.
///
/// # Errors
///
/// If the layout is another one, a cell holds no number, or the rows of one epoch are incomplete.
pub fn output(text: &str) -> Result<[Tested; 2]> {
    let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().map_err(csv_error)?.clone();
    let skip = header.iter().take_while(|name| name.is_empty()).count();
    let is_test = |block: usize| {
        // pandas, when it reads such a file, numbers repeated names: `Type (TEST).1`.
        header.get(skip + block * BLOCK + 1).is_some_and(|name| name.starts_with("Type (TEST)"))
    };
    if header.len() != skip + BLOCKS * BLOCK || !is_test(2) || !is_test(3) {
        return Err(StudyFileError::Header);
    }
    let mut tested: [Vec<LabelRow>; 2] = [Vec::new(), Vec::new()];
    for record in reader.records() {
        let record = record.map_err(csv_error)?;
        let line = record.position().map_or(0, csv::Position::line);
        for (part, rows) in tested.iter_mut().enumerate() {
            let start = skip + (part + 2) * BLOCK;
            let cell = |column: usize| number(&record[start + column], line);
            let label = record[start + 1].to_owned();
            if label.starts_with("Overall") {
                rows.clear();
            } else if rows.is_empty() {
                let what = format!("`{label}` comes before the overall row of its epoch");
                return Err(StudyFileError::Line { line, what });
            }
            rows.push(LabelRow {
                label,
                accuracy: cell(2)?,
                precision: cell(3)?,
                sensitivity: cell(4)?,
                specificity: cell(5)?,
                fnr: cell(6)?,
                f1: cell(7)?,
            });
        }
    }
    let [accuracy, f1] = tested;
    if accuracy.is_empty() {
        return Err(StudyFileError::Empty);
    }
    Ok([
        Tested { checkpoint: "best validation accuracy", rows: accuracy },
        Tested { checkpoint: "best validation F1", rows: f1 },
    ])
}

fn number(cell: &str, line: u64) -> Result<f64> {
    let finite = cell.trim().parse().ok().filter(|number: &f64| number.is_finite());
    finite.ok_or_else(|| StudyFileError::Line { line, what: format!("`{cell}` is no number") })
}

fn csv_error(error: csv::Error) -> StudyFileError {
    StudyFileError::Csv(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: &str = "hyperparameters,test_metrics_mean_acc,test_metrics_macro_F1\n\
                        32.0,37.2,13.8\n15.0,37.2,13.8\n0.001,37.2,13.8\n64.0,37.2,13.8\n\
                        64.0,31.9,25.7\n15.0,31.9,25.7\n0.002,31.9,25.7\n128.0,31.9,25.7\n";

    /// Two epochs and one label; the test parts repeat.
    fn output_csv() -> String {
        let names = ["Mean Accuracy", "Precision", "Sensitivity", "Specificity", "FNR", "F1 Score"];
        let block = |part: &str| {
            let named = names.map(|name| format!("{name} ({part})"));
            format!("Epoch,Type ({part}),{}", named.join(","))
        };
        let header = ["TRAIN", "VAL", "TEST", "TEST"].map(block).join(",");
        let row = |epoch: u32, label: &str, first: f64| {
            let cells = |e: u32, start: f64| {
                let values: Vec<String> = (0..6).map(|i| format!("{}", start + f64::from(i))).collect();
                format!("{e},{label},{}", values.join(","))
            };
            [cells(epoch, 1.0), cells(epoch, 2.0), cells(1, first), cells(1, first + 40.0)].join(",")
        };
        let epochs = (1..3).flat_map(|e| [row(e, "Overall (Macro-Average)", 10.0), row(e, "normal", 20.0)]);
        format!("{header}\n{}\n", epochs.collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn four_rows_are_one_run() {
        assert_eq!(Layout::of(GRID), Some(Layout::Grid));
        let runs = grid(GRID).unwrap();
        assert_eq!(runs.len(), 2);
        let second = Setting {
            batch: 64.0,
            epochs: 15.0,
            lr: 0.002,
            resolution: 128.0,
            accuracy: 31.9,
            macro_f1: 25.7,
        };
        assert_eq!(runs[1], second);
        let indexed: String = GRID
            .lines()
            .enumerate()
            .map(|(i, l)| format!("{},{l}\n", if i == 0 { String::new() } else { i.to_string() }))
            .collect();
        assert_eq!(grid(&indexed), Ok(runs));
        let cut: String = GRID.lines().take(7).map(|line| line.to_owned() + "\n").collect();
        assert!(matches!(grid(&cut), Err(StudyFileError::Line { line: 6, .. })));
        let other = GRID.replace("0.001,37.2", "0.001,37.3");
        assert!(matches!(grid(&other), Err(StudyFileError::Line { line: 2, .. })));
        assert!(matches!(grid("a,b\n1,2\n"), Err(StudyFileError::Header)));
    }

    #[test]
    fn both_checkpoints_are_read_once() {
        let text = output_csv();
        assert_eq!(Layout::of(&text), Some(Layout::Output));
        let [accuracy, f1] = output(&text).unwrap();
        assert_eq!((accuracy.rows.len(), f1.rows.len()), (2, 2), "not once per epoch");
        let normal = &f1.rows[1];
        assert_eq!((normal.label.as_str(), normal.accuracy, normal.f1), ("normal", 60.0, 65.0));
        assert_eq!((normal.fpr(), normal.weighted()), (37.0, 62.5));
        assert_eq!(accuracy.rows[0].accuracy, 10.0);
        assert!(matches!(output(GRID), Err(StudyFileError::Header)));
        let broken = text.replace("60,61", "x,61");
        assert!(matches!(output(&broken), Err(StudyFileError::Line { .. })));
        assert_eq!(Layout::of("method,value\n"), None);
    }
}
