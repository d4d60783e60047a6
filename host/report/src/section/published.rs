//! Results in the layout of the tables of the 2023 study, for whoever wants them side by side.

use nashost_stats::{Alternative, Method as Counting, mann_whitney::mann_whitney};

use crate::{
    curve::Confusion,
    data::{Method, ReportData},
    table::{Cell, Table},
};

/// Name of the tables' subset accuracy.
const ACCURACY: &str = "subset_accuracy";
/// Name of the tables' F1.
const F1: &str = "macro_f1";

/// The tables that there is something for. They stand in no page: all of it is told better there.
pub(super) fn tables(data: &ReportData) -> Vec<Table> {
    let mut tables = vec![overall(data), normal(data)];
    tables.push(tests(data, "study-p-accuracy", "mean accuracy (as in Tables 9 and 12)", |method| {
        method.values.get(ACCURACY).map(|value| value.per_seed.clone()).unwrap_or_default()
    }));
    tables.push(tests(data, "study-p-f1", "mean F1 (as in Tables 10 and 13)", |method| {
        method.values.get(F1).map(|value| value.per_seed.clone()).unwrap_or_default()
    }));
    tables.push(tests(
        data,
        "study-p-weighted",
        "weighted TPR and FPR of the normal label (as in Tables 11 and 14)",
        |method| {
            let each = confusions(data, method);
            each.iter().filter_map(Normal::of).map(|normal| normal.weighted).collect()
        },
    ));
    tables
}

/// A value as the study prints it: in percent.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyCell {
    /// Name of the method in the report.
    pub method: String,
    /// Column, as the study's files name it: `accuracy`, `macro_f1`, `normal_accuracy`, `normal_f1`,
    /// `normal_tpr`, `normal_fpr`, `normal_weighted`.
    pub column: &'static str,
    /// Mean over the seeds.
    pub percent: f64,
    /// 95 % interval from resampling the patients of the test part, where there is one.
    pub ci95: Option<[f64; 2]>,
}

/// Values of all methods in the columns of the study's Tables 3 to 6, as far as they are defined.
pub fn study_cells(data: &ReportData) -> Vec<StudyCell> {
    let of_method = |method: &Method| {
        let overall = [("accuracy", ACCURACY), ("macro_f1", F1)].into_iter().filter_map(|(column, name)| {
            let value = method.values.get(name)?;
            let ci95 = value.ci95.map(|ends| ends.map(|end| end * 100.0));
            Some(StudyCell { method: method.name.clone(), column, percent: value.mean? * 100.0, ci95 })
        });
        let each: Vec<Normal> = confusions(data, method).iter().filter_map(Normal::of).collect();
        let normal =
            Normal::COLUMNS.into_iter().filter(|_| !each.is_empty()).map(|(column, value)| StudyCell {
                method: method.name.clone(),
                column,
                percent: each.iter().map(value).sum::<f64>() / each.len() as f64 * 100.0,
                ci95: None,
            });
        overall.chain(normal).collect::<Vec<_>>()
    };
    data.methods.iter().flat_map(of_method).collect()
}

/// What the study tells of its normal label, as shares.
struct Normal {
    accuracy: f64,
    f1: f64,
    tpr: f64,
    fpr: f64,
    /// (TPR + 1 − FPR) / 2.
    weighted: f64,
}

/// Reads one of the shares.
type Share = fn(&Normal) -> f64;

impl Normal {
    /// Columns of Tables 3 and 4.
    const COLUMNS: [(&str, Share); 5] = [
        ("normal_accuracy", |normal| normal.accuracy),
        ("normal_f1", |normal| normal.f1),
        ("normal_tpr", |normal| normal.tpr),
        ("normal_fpr", |normal| normal.fpr),
        ("normal_weighted", |normal| normal.weighted),
    ];

    /// Nothing, unless there are images with and without the finding.
    fn of(counts: &Confusion) -> Option<Self> {
        let Confusion { tp, fp, fn_, tn } = *counts;
        let (tpr, specificity) = (counts.sensitivity()?, counts.specificity()?);
        Some(Self {
            accuracy: (tp + tn) / (tp + fp + fn_ + tn),
            // 0 where nothing was found, as the study's code has it.
            f1: 2.0 * tp / (2.0 * tp + fp + fn_),
            tpr,
            fpr: 1.0 - specificity,
            weighted: (tpr + specificity) / 2.0,
        })
    }
}

/// Decisions of each trial on the normal label of its run.
fn confusions(data: &ReportData, method: &Method) -> Vec<Confusion> {
    let run = data.runs.iter().find(|run| run.id == method.run);
    let Some(normal) = run.and_then(|run| run.normal_label.as_deref()) else { return Vec::new() };
    method.predictions(normal).map(|(_, s)| Confusion::of(&s.truth, &s.scores, s.threshold)).collect()
}

/// Tables 3 to 6: `columns` with their headings.
fn values(data: &ReportData, mut table: Table, columns: &[(&str, &str)]) -> Table {
    for (_, title) in columns {
        table = table.column(*title);
    }
    let cells = study_cells(data);
    for method in &data.methods {
        let found = columns.iter().map(|(column, _)| {
            cells
                .iter()
                .find(|cell| (&cell.method, cell.column) == (&method.name, *column))
                .map(|cell| cell.percent)
        });
        let found: Vec<Option<f64>> = found.collect();
        if found.iter().any(Option::is_some) {
            let numbers = found.into_iter().map(|percent| Cell::number(percent, 3));
            table.row(std::iter::once(Cell::Text(method.name.clone())).chain(numbers));
        }
    }
    table
}

fn overall(data: &ReportData) -> Table {
    let table = Table::new(
        "study-overall",
        "Mean accuracy and mean F1 (as in Tables 5 and 6 of the 2023 study)",
        format!(
            "In percent, means over the seeds. Accuracy is that of whole label sets. The study printed the best of \
             several settings on the test part; {}.",
            if data.selected_on_test { "so does this" } else { "here nothing was chosen there" }
        ),
    );
    values(
        data,
        table.text_column("Method"),
        &[("accuracy", "Mean accuracy (%)"), ("macro_f1", "Mean F1 (%)")],
    )
}

fn normal(data: &ReportData) -> Table {
    let table = Table::new(
        "study-normal",
        "The normal label (as in Tables 3 and 4 of the 2023 study)",
        "In percent, means over the seeds. Weighted is the mean of TPR and 100 − FPR.",
    );
    let columns = [
        ("normal_accuracy", "Accuracy (%)"),
        ("normal_f1", "F1 (%)"),
        ("normal_tpr", "TPR (%)"),
        ("normal_fpr", "FPR (%)"),
        ("normal_weighted", "Weighted (%)"),
    ];
    values(data, table.text_column("Method"), &columns)
}

/// Tables 9 to 14: each method against the ones after it.
fn tests(data: &ReportData, id: &'static str, what: &str, values: impl Fn(&Method) -> Vec<f64>) -> Table {
    let samples: Vec<(&str, Vec<f64>)> = data
        .methods
        .iter()
        .map(|method| (method.name.as_str(), values(method)))
        .filter(|(_, values)| values.len() > 1)
        .collect();
    let mut table = Table::new(
        id,
        format!("p-values of {what} of the 2023 study"),
        "Two-sided Mann–Whitney tests as the study made them, not adjusted. Its samples were the five best settings on \
         the test part; here they are all seeds.",
    )
    .text_column("");
    for (name, _) in samples.iter().skip(1) {
        table = table.column(*name);
    }
    for (row, (name, x)) in samples.iter().enumerate().take(samples.len().saturating_sub(1)) {
        let cells = samples.iter().enumerate().skip(1).map(|(column, (_, y))| {
            if column <= row {
                return Cell::Undefined(String::new());
            }
            match mann_whitney(x, y, Alternative::TwoSided, Counting::Auto, true) {
                Ok(found) => Cell::Number(found.p, 4),
                Err(why) => Cell::Undefined(why.to_string()),
            }
        });
        table.row(std::iter::once(Cell::Text((*name).to_owned())).chain(cells));
    }
    table
}

/// Whether a table is one of these.
pub(super) fn is_published(table: &Table) -> bool {
    table.id.starts_with("study-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::Value, testing};

    fn two_methods() -> ReportData {
        let mut data = testing::report();
        data.runs[0].normal_label = Some("Fracture".to_owned());
        for (method, values) in data.methods.iter_mut().zip([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]) {
            let value = Value { mean: Some(values[1]), per_seed: values.to_vec(), ..Value::default() };
            method.values.insert(F1.to_owned(), value);
        }
        data
    }

    #[test]
    fn the_layout_is_that_of_the_study() {
        let data = two_methods();
        let tables = tables(&data);
        let ids: Vec<&str> = tables.iter().map(|table| table.id).collect();
        assert_eq!(
            ids,
            ["study-overall", "study-normal", "study-p-accuracy", "study-p-f1", "study-p-weighted"]
        );
        assert_eq!(tables[0].csv().lines().nth(1), Some("zennas,,20.0"));
        let normal = tables[1].csv();
        assert!(normal.starts_with("method,accuracy"), "{normal}");
        // Full separation of three and three: 2 / C(6, 3).
        let p = tables[3].csv();
        assert_eq!(p.lines().nth(1), Some("zennas,0.1"), "{p}");
        assert!(tables[2].rows.is_empty() && tables[4].rows.is_empty(), "no seeds, no test");
    }

    #[test]
    fn a_choice_by_test_values_stands_below_every_table() {
        let mut data = two_methods();
        let says = |data: &ReportData| {
            let tables = crate::tables(data);
            tables.iter().filter(|table| table.markdown().contains("SELECTION ON TEST")).count()
        };
        assert_eq!(says(&data), 0);
        data.selected_on_test = true;
        assert_eq!(says(&data), crate::tables(&data).len());
        let published = tables(&data);
        assert!(!published[0].note.contains("nothing was chosen"), "{}", published[0].note);
    }

    #[test]
    fn the_normal_label_is_judged_as_the_study_does() {
        let counts = Confusion { tp: 28.0, fp: 55.0, fn_: 2.0, tn: 9.0 };
        // Neck, DeepMAD (1), Table 3, as printed: 39.362, 49.558, 93.333, 85.938, 53.698.
        let normal = Normal::of(&counts).unwrap();
        let found = [normal.accuracy, normal.f1, normal.tpr, normal.fpr, normal.weighted];
        for (found, printed) in found.iter().zip([39.362, 49.558, 93.333, 85.938, 53.698]) {
            assert!((found * 100.0 - printed).abs() < 1e-3, "{}", found * 100.0);
        }
        assert!(Normal::of(&Confusion { tp: 0.0, fp: 1.0, fn_: 0.0, tn: 1.0 }).is_none());
    }
}
