//! The metrics of the 2023 study, exactly as its scripts compute them.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    metric::{
        Direction::{self, Higher, Lower},
        MetricReport, OutputInfo, PredictionMetric, Predictions,
    },
};

use crate::{
    config::NoConfig,
    counts::{Confusion, Counts},
    report::{Defined, macro_mean, overall, ratio, supported},
};

/// The metrics of "Investigating Neural Architecture Search" (tomslav/InvestigatingNAS, 2023),
/// equations (1) to (9), as fractions where the study prints percent.
///
/// Kept apart under the prefix `study_`, because they are not what their names promise: a ratio
/// with denominator 0 is 0, and the macro means run over all labels, the normal label and labels
/// without positives included. Only an accuracy over no image at all is undefined here too: the
/// scripts would divide by 0.
#[derive(Debug, Clone, Copy)]
pub struct Study;

const SUBSET_ACCURACY: &str = "study_subset_accuracy";

/// A column of the study's tables.
struct Column {
    name: &'static str,
    direction: Direction,
    formula: &'static str,
    value: fn(Counts) -> Defined,
}

const COLUMNS: [Column; 8] = [
    Column {
        name: "accuracy",
        direction: Higher,
        formula: "Right answers over images: eq. (9), the \"Mean Accuracy\" of a label",
        value: |c| ratio(c.correct(), c.total(), "no image was assessed"),
    },
    Column {
        name: "precision",
        direction: Higher,
        formula: "TP / (TP + FP), else 0",
        value: |c| Ok(precision(c)),
    },
    Column {
        name: "sensitivity",
        direction: Higher,
        formula: "TP / (TP + FN), else 0",
        value: |c| Ok(sensitivity(c)),
    },
    Column {
        name: "specificity",
        direction: Higher,
        formula: "TN / (TN + FP), else 0",
        value: |c| Ok(specificity(c)),
    },
    Column {
        name: "fnr",
        direction: Lower,
        formula: "FN / (TP + FN), else 0",
        value: |c| Ok(or_zero(c.fneg, c.positives())),
    },
    Column {
        name: "fpr",
        direction: Lower,
        formula: "1 − specificity, hence 1 for a label without negatives",
        value: |c| Ok(1.0 - specificity(c)),
    },
    Column {
        name: "f1",
        direction: Higher,
        formula: "2·precision·sensitivity / (precision + sensitivity), else 0",
        value: |c| {
            let (p, s) = (precision(c), sensitivity(c));
            Ok(if p + s > 0.0 { 2.0 * p * s / (p + s) } else { 0.0 })
        },
    },
    Column {
        name: "weighted",
        direction: Higher,
        formula: "(sensitivity + 1 − FPR) / 2, the study's \"Weighted TPR & FPR\"",
        // 1 − FPR is the specificity.
        value: |c| Ok((sensitivity(c) + specificity(c)) / 2.0),
    },
];

impl Component for Study {
    const ID: &'static str = "study";
    const DESCRIPTION: &'static str =
        "The 2023 study's equations 1-9 as its scripts compute them, zeros for undefined values included.";
    type Config = NoConfig;

    fn create(_: NoConfig) -> PluginResult<Self> {
        Ok(Self)
    }
}

impl PredictionMetric for Study {
    fn outputs(&self) -> Vec<OutputInfo> {
        let mut outputs = vec![overall(
            SUBSET_ACCURACY.to_owned(),
            Higher,
            "Share of images with every label right: eq. (1), the study's \"Mean Accuracy\" of a model"
                .to_owned(),
        )];
        for &Column { name, direction, formula, .. } in &COLUMNS {
            outputs.push(OutputInfo {
                name: format!("study_{name}"),
                direction,
                per_label: true,
                description: formula.to_owned(),
            });
            let description = format!("Mean over all labels of: {formula}");
            outputs.push(overall(format!("study_macro_{name}"), direction, description));
        }
        outputs
    }

    fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        let confusion = Confusion::of(predictions)?;
        let mut report = MetricReport::default();
        report.overall.insert(SUBSET_ACCURACY.to_owned(), confusion.subset_accuracy());
        for &Column { name, value, .. } in &COLUMNS {
            let labels: Vec<_> =
                confusion.labels.iter().map(|&c| supported(value(c), c.positives())).collect();
            report.overall.insert(format!("study_macro_{name}"), macro_mean(&labels));
            report.per_label.insert(format!("study_{name}"), labels);
        }
        Ok(report)
    }
}

fn or_zero(numerator: u64, denominator: u64) -> f64 {
    if denominator == 0 { 0.0 } else { numerator as f64 / denominator as f64 }
}

fn precision(c: Counts) -> f64 {
    or_zero(c.tp, c.predicted_positives())
}

fn sensitivity(c: Counts) -> f64 {
    or_zero(c.tp, c.positives())
}

fn specificity(c: Counts) -> f64 {
    or_zero(c.tn, c.negatives())
}
