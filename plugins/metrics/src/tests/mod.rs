//! Fixtures, and all components as the host would call them.

mod oracles;
mod properties;

use std::path::PathBuf;

use nashost_plugin_api::{
    dataset::Target,
    metric::{MetricReport, OutputInfo, PredictionMetric, Predictions},
};
use serde_json::Value;

use crate::*;

/// Path of a fixture.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/metrics").join(name)
}

/// Reads a JSON fixture.
fn json(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture(name)).unwrap()).unwrap()
}

/// Predictions that own their arrays.
#[derive(Debug, Clone, PartialEq)]
struct Table {
    labels: usize,
    scores: Vec<f64>,
    targets: Vec<Target>,
    thresholds: Vec<f64>,
}

impl Table {
    fn view(&self) -> Predictions<'_> {
        Predictions {
            labels: self.labels,
            scores: &self.scores,
            targets: &self.targets,
            thresholds: &self.thresholds,
        }
    }

    /// The table with its images in the order `images`.
    fn reordered(&self, images: &[usize]) -> Self {
        fn rows<T: Copy>(labels: usize, all: &[T], images: &[usize]) -> Vec<T> {
            images.iter().flat_map(|&i| all[i * labels..(i + 1) * labels].iter().copied()).collect()
        }
        Self {
            scores: rows(self.labels, &self.scores, images),
            targets: rows(self.labels, &self.targets, images),
            ..self.clone()
        }
    }
}

/// A matrix of targets, row-major.
fn targets(matrix: &Value) -> Vec<Target> {
    cells(matrix).map(|cell| Target::from_code(cell.as_i64().unwrap() as i8).unwrap()).collect()
}

/// A matrix of numbers, row-major.
fn numbers(matrix: &Value) -> Vec<f64> {
    cells(matrix).map(|cell| cell.as_f64().unwrap()).collect()
}

fn cells(matrix: &Value) -> impl Iterator<Item = &Value> {
    matrix.as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap())
}

/// Every component with its default configuration.
fn components() -> Vec<(&'static str, Box<dyn Metric>)> {
    fn make<M: PredictionMetric>() -> (&'static str, Box<dyn Metric>) {
        let config = serde_json::from_value(serde_json::json!({})).unwrap();
        (M::ID, Box::new(M::create(config).unwrap()))
    }
    vec![
        make::<Auroc>(),
        make::<AveragePrecision>(),
        make::<BalancedAccuracy>(),
        make::<Brier>(),
        make::<Ece>(),
        make::<F1>(),
        make::<Hamming>(),
        make::<Jaccard>(),
        make::<Mcc>(),
        make::<Precision>(),
        make::<Recall>(),
        make::<Specificity>(),
        make::<Study>(),
        make::<SubsetAccuracy>(),
    ]
}

/// The object-safe part of [`PredictionMetric`].
trait Metric {
    fn outputs(&self) -> Vec<OutputInfo>;
    fn evaluate(&self, predictions: &Predictions<'_>) -> Result<MetricReport, String>;
}

impl<M: PredictionMetric> Metric for M {
    fn outputs(&self) -> Vec<OutputInfo> {
        PredictionMetric::outputs(self)
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> Result<MetricReport, String> {
        PredictionMetric::evaluate(self, predictions).map_err(|error| error.to_string())
    }
}

/// The values of all components together.
fn evaluate_all(table: &Table) -> MetricReport {
    let mut all = MetricReport::default();
    for (_, component) in components() {
        let report = component.evaluate(&table.view()).unwrap();
        all.overall.extend(report.overall);
        all.per_label.extend(report.per_label);
    }
    all
}
