//! The p-values of the study's Tables 9 to 14: printed, recomputed, and a verdict on each.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{GridRow, embedded, grid};
use crate::{Alternative, Method, Result, mann_whitney::mann_whitney, multiple::holm};

/// A printed p-value and what is behind it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Published {
    /// Number of the table.
    pub table: u8,
    /// `Neck` or `Elbow`.
    pub site: &'static str,
    /// What was compared.
    pub metric: &'static str,
    /// The first method.
    pub method: String,
    /// The second method.
    pub against: String,
    /// The p as printed.
    pub printed: f64,
    /// The p of the samples that the study must have used, where they are known or inferred.
    pub ours: Option<f64>,
    /// How ours was computed.
    pub how: Option<Method>,
    /// What to say of it.
    pub verdict: Verdict,
    /// The p of the five highest values that are on file for both methods.
    pub on_file: Option<f64>,
    /// Holm's p of the printed value within its table.
    pub holm_in_table: f64,
    /// Holm's p of the printed value over all tables.
    pub holm_over_all: f64,
}

/// How far a printed p-value reproduces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// From values that are on file.
    Reproduced,
    /// From values that are in part inferred from the printed p-values.
    ReproducedFromInferred,
    /// The values are not on file, but five against five values can give this p.
    Attainable,
    /// It follows from no values that fit what is on file.
    NotReproducible,
}

#[derive(Debug, Deserialize)]
struct PrintedRow {
    table: u8,
    method: String,
    against: String,
    p: f64,
}

#[derive(Debug, Deserialize)]
struct SampleRow {
    table: u8,
    method: String,
    rule: String,
    values: String,
}

/// What a table of the study compares: site, metric, and where the metric is in the grid's files.
type Subject = (&'static str, &'static str, Option<fn(&GridRow) -> f64>);

fn subject(table: u8) -> Subject {
    let accuracy: Option<fn(&GridRow) -> f64> = Some(|row| row.setting.accuracy);
    let f1: Option<fn(&GridRow) -> f64> = Some(|row| row.setting.macro_f1);
    match table {
        9 => ("Neck", "Mean Accuracy", accuracy),
        10 => ("Neck", "Macro F1", f1),
        11 => ("Neck", "Weighted TPR&FPR", None),
        12 => ("Elbow", "Mean Accuracy", accuracy),
        13 => ("Elbow", "Macro F1", f1),
        _ => ("Elbow", "Weighted TPR&FPR", None),
    }
}

/// Recomputes every p-value that the study printed.
///
/// # Errors
///
/// None that the data of this crate give.
pub fn published() -> Result<Vec<Published>> {
    let printed: Vec<PrintedRow> = embedded(include_str!("../../data/study/p_values.csv"));
    let samples: Vec<SampleRow> = embedded(include_str!("../../data/study/samples.csv"));
    let (grid, attainable) = (grid(), attainable()?);
    let over_all = holm(&printed.iter().map(|row| row.p).collect::<Vec<_>>())?;
    printed
        .iter()
        .zip(over_all)
        .map(|(row, holm_over_all)| {
            let (site, metric, value) = subject(row.table);
            let table: Vec<&PrintedRow> = printed.iter().filter(|other| other.table == row.table).collect();
            let in_table = holm(&table.iter().map(|row| row.p).collect::<Vec<_>>())?;
            let place =
                table.iter().position(|other| other.method == row.method && other.against == row.against);
            let highest = |method: &str| value.map(|value| highest(&grid, site, method, value));
            let sample = |method: &str| {
                let known =
                    samples.iter().find(|sample| sample.table == row.table && sample.method == method)?;
                Some((known.rule == "inferred", take(known, highest(method)?)))
            };
            let test = |x: &[f64], y: &[f64]| mann_whitney(x, y, Alternative::TwoSided, Method::Auto, true);
            let (ours, verdict) = match sample(&row.method).zip(sample(&row.against)) {
                Some(((inferred, x), (also_inferred, y))) => {
                    let found = test(&x, &y)?;
                    let verdict = match agrees(row.p, found.p) {
                        false => Verdict::NotReproducible,
                        true if inferred || also_inferred => Verdict::ReproducedFromInferred,
                        true => Verdict::Reproduced,
                    };
                    (Some(found), verdict)
                }
                None if attainable.iter().any(|p| agrees(row.p, *p)) => (None, Verdict::Attainable),
                None => (None, Verdict::NotReproducible),
            };
            let five =
                |method: &str| highest(method).map(|values| values.into_iter().take(5).collect::<Vec<_>>());
            let on_file = five(&row.method).zip(five(&row.against)).map(|(x, y)| test(&x, &y)).transpose()?;
            Ok(Published {
                table: row.table,
                site,
                metric,
                method: row.method.clone(),
                against: row.against.clone(),
                printed: row.p,
                ours: ours.map(|found| found.p),
                how: ours.map(|found| found.method),
                verdict,
                on_file: on_file.map(|found| found.p),
                holm_in_table: in_table[place.unwrap_or_default()],
                holm_over_all,
            })
        })
        .collect()
}

/// Test values of a method, highest first.
fn highest(grid: &[GridRow], site: &str, method: &str, value: fn(&GridRow) -> f64) -> Vec<f64> {
    let rows = grid.iter().filter(|row| row.site == site && row.method == method);
    let mut values: Vec<f64> = rows.map(value).collect();
    values.sort_unstable_by(|a, b| b.total_cmp(a));
    values
}

/// The values that a test was given.
fn take(sample: &SampleRow, mut highest: Vec<f64>) -> Vec<f64> {
    match sample.rule.as_str() {
        "top-4" => highest.truncate(4),
        "top-5" => highest.truncate(5),
        "top-5-distinct" => {
            highest.dedup();
            highest.truncate(5);
        }
        _ => return sample.values.split(' ').filter_map(|value| value.parse().ok()).collect(),
    }
    highest
}

/// Whether `p`, rounded or cut to four digits, is what is printed.
fn agrees(printed: f64, p: f64) -> bool {
    let digits = |value: f64| (value * 1e4).round() as i64;
    let cut = (p * 1e4 + 1e-9).floor() as i64;
    digits(printed) == digits(p) || digits(printed) == cut
}

/// Every two-sided p of five against five different values, and of those with one value in common.
fn attainable() -> Result<Vec<f64>> {
    let mut found = BTreeSet::new();
    for places in (0u32..1 << 10).filter(|places| places.count_ones() == 5) {
        let of = |wanted: u32| (0..10).filter(move |i| places >> i & 1 == wanted);
        let (x, y): (Vec<f64>, Vec<f64>) = (of(1).map(f64::from).collect(), of(0).map(f64::from).collect());
        found.insert(p_bits(&x, &y)?);
        for i in of(1).filter(|i| *i < 9 && places >> (i + 1) & 1 == 0) {
            let tied: Vec<f64> =
                y.iter().map(|v| if *v == f64::from(i + 1) { f64::from(i) } else { *v }).collect();
            found.insert(p_bits(&x, &tied)?);
        }
    }
    Ok(found.into_iter().map(f64::from_bits).collect())
}

fn p_bits(x: &[f64], y: &[f64]) -> Result<u64> {
    Ok(mann_whitney(x, y, Alternative::TwoSided, Method::Auto, true)?.p.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_of_thirty_six_do_not_reproduce() {
        let published = published().unwrap();
        assert_eq!(published.len(), 36);
        let missing: Vec<_> = published
            .iter()
            .filter(|test| test.verdict == Verdict::NotReproducible)
            .map(|test| (test.table, test.method.as_str(), test.against.as_str()))
            .collect();
        let expected = [
            (11, "ShapleyNAS", "ZenNAS"),
            (13, "DeepMAD", "ResNet"),
            (13, "ShapleyNAS", "ResNet"),
            (13, "ZenNAS", "ResNet"),
            (14, "DeepMAD", "ResNet"),
        ];
        assert_eq!(missing, expected);
        let count = |verdict| published.iter().filter(|test| test.verdict == verdict).count();
        assert_eq!(count(Verdict::Attainable), 10);
        assert_eq!(count(Verdict::Reproduced), 7);
        assert_eq!(count(Verdict::ReproducedFromInferred), 14);
    }

    #[test]
    fn numbers_are_those_of_the_published_analysis() {
        let published = published().unwrap();
        let of = |table: u8, method: &str, against: &str| {
            published.iter().find(|t| t.table == table && t.method == method && t.against == against).unwrap()
        };
        // SciPy 1.17.1 on the same samples.
        let zen = of(10, "ZenNAS", "ResNet");
        assert!((zen.ours.unwrap() - 4.0 / 252.0).abs() < 1e-12 && zen.how == Some(Method::Exact));
        assert!((zen.holm_in_table - 0.0954).abs() < 1e-9, "6 × 0.0159: {}", zen.holm_in_table);
        assert!((of(13, "ZenNAS", "ResNet").on_file.unwrap() - 0.6905).abs() < 5e-5);
        assert!((of(12, "ZenNAS", "ResNet").on_file.unwrap() - 0.0345).abs() < 5e-5);
        assert!((of(9, "DeepMAD", "ShapleyNAS").on_file.unwrap() - 0.029_727_183_306_054_5).abs() < 1e-12);
        assert!(published.iter().all(|test| test.holm_over_all > 0.2), "nothing survives over all tables");
    }

    #[test]
    fn printed_digits_may_be_rounded_or_cut() {
        assert!(agrees(0.0159, 0.015_873) && agrees(0.0158, 0.015_873) && !agrees(0.0157, 0.015_873));
        assert!(agrees(0.2, 0.2) && agrees(0.0571, 0.057_142_857));
    }
}
