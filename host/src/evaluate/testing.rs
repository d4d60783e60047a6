//! What the tests of this module share.

use std::collections::BTreeMap;

use nashost_plugin_api::{
    dataset::Target,
    metric::{Direction, MetricReport, MetricValue, OutputInfo, Predictions},
};

use super::{PredictionScorer, PredictionTable, Truth};
use crate::error::Result;

/// A table of images `image0…` of one patient each, with labels `label0…`.
pub(super) fn table(labels: usize, scores: &[f64], targets: &[Target]) -> PredictionTable {
    let images = targets.len() / labels;
    let names = |prefix: &str, count: usize| (0..count).map(|i| format!("{prefix}{i}")).collect();
    let truth = Truth::new(
        names("label", labels),
        names("image", images),
        names("patient", images),
        targets.to_vec(),
    );
    PredictionTable::new(truth.unwrap(), scores.to_vec()).unwrap()
}

/// Subset accuracy and F1, straight from their definitions, for tests that must not load a plugin.
pub(super) struct Decisions;

impl PredictionScorer for Decisions {
    fn id(&self) -> &str {
        "decisions"
    }

    fn outputs(&self) -> Vec<OutputInfo> {
        [("subset_accuracy", false), ("macro_f1", false), ("f1", true)]
            .map(|(name, per_label)| OutputInfo {
                name: name.to_owned(),
                direction: Direction::Higher,
                per_label,
                description: "a test's own".to_owned(),
            })
            .to_vec()
    }

    fn evaluate(&self, p: &Predictions<'_>) -> Result<MetricReport> {
        let right = |image: usize, label: usize| {
            (p.target(image, label) == Target::Positive) == p.predicted(image, label)
        };
        let images_right = (0..p.len()).filter(|&i| (0..p.labels).all(|l| right(i, l))).count();
        let f1: Vec<MetricValue> = (0..p.labels)
            .map(|label| {
                let count = |wanted: (bool, bool)| {
                    let pair = |i: usize| (p.predicted(i, label), p.target(i, label) == Target::Positive);
                    (0..p.len()).filter(|&i| pair(i) == wanted).count() as f64
                };
                let (found, wrong) = (count((true, true)), count((true, false)) + count((false, true)));
                if found + wrong > 0.0 {
                    MetricValue::new(2.0 * found / (2.0 * found + wrong), 0)
                } else {
                    MetricValue::undefined(0, "nothing to find")
                }
            })
            .collect();
        let defined: Vec<f64> = f1.iter().filter_map(|value| value.value).collect();
        let mean = defined.iter().sum::<f64>() / defined.len() as f64;
        let accuracy = images_right as f64 / p.len() as f64;
        Ok(MetricReport {
            overall: BTreeMap::from([
                ("subset_accuracy".to_owned(), MetricValue::new(accuracy, p.len() as u64)),
                ("macro_f1".to_owned(), MetricValue::new(mean, defined.len() as u64)),
            ]),
            per_label: BTreeMap::from([("f1".to_owned(), f1)]),
        })
    }
}
