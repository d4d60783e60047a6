//! Prediction metrics, wherever they come from, behind one face.

use std::collections::BTreeMap;

use nashost_plugin_api::metric::{MetricReport, MetricValue, OutputInfo, Predictions};

use super::{PredictionTable, threshold_values};
use crate::{
    config::train::Threshold,
    error::{Error, Exit, Result},
};

/// A prediction metric as the evaluation sees it.
pub trait PredictionScorer: Send + Sync {
    /// Component id, for messages.
    fn id(&self) -> &str;

    /// Lists what [`PredictionScorer::evaluate`] answers.
    fn outputs(&self) -> Vec<OutputInfo>;

    /// Computes the values.
    ///
    /// # Errors
    ///
    /// Fails if the component does.
    fn evaluate(&self, predictions: &Predictions<'_>) -> Result<MetricReport>;
}

/// Several metrics whose values have different names.
pub struct MetricSet<'a> {
    scorers: Vec<(&'a dyn PredictionScorer, Vec<OutputInfo>)>,
}

impl<'a> MetricSet<'a> {
    /// Puts `scorers` together.
    ///
    /// # Errors
    ///
    /// E0606 with every name that comes from two metrics.
    pub fn new(scorers: &[&'a dyn PredictionScorer]) -> Result<Self> {
        let scorers: Vec<_> = scorers.iter().map(|&scorer| (scorer, scorer.outputs())).collect();
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        let mut clashes = Vec::new();
        for (scorer, outputs) in &scorers {
            for output in outputs {
                if let Some(first) = owners.insert(&output.name, scorer.id()) {
                    clashes.push(format!("`{}` from `{first}` and `{}`", output.name, scorer.id()));
                }
            }
        }
        if !clashes.is_empty() {
            return Err(Error::new(
                Exit::Plugin,
                "E0606",
                format!("two metrics answer values of one name: {}", clashes.join(", ")),
            )
            .help("name only one of them in `eval.metrics`"));
        }
        Ok(Self { scorers })
    }

    /// Describes all values.
    pub fn outputs(&self) -> impl Iterator<Item = &OutputInfo> {
        self.scorers.iter().flat_map(|(_, outputs)| outputs)
    }

    /// Computes all values of `table`; what macro means leave out is told by label name.
    ///
    /// # Errors
    ///
    /// Fails if a metric does; E0601 if the number of thresholds is not that of the labels; E0607 if
    /// an answer is not what the metric declared.
    pub fn evaluate(&self, table: &PredictionTable, thresholds: &[f64]) -> Result<MetricReport> {
        let labels = table.truth().labels();
        if thresholds.len() != labels.len() {
            let sizes = format!("{} labels but {} thresholds", labels.len(), thresholds.len());
            return Err(Error::new(Exit::Bug, "E0601", format!("thresholds do not fit: {sizes}")));
        }
        let mut report = self.compute(&table.view(thresholds))?;
        name_left_out_labels(&mut report, labels);
        Ok(report)
    }

    /// Computes all values of the validation part at the thresholds that `rule` chooses on it: what chooses
    /// checkpoints is decided as what is reported.
    ///
    /// # Errors
    ///
    /// As [`MetricSet::evaluate`].
    pub fn validate(&self, rule: Threshold, validation: &PredictionTable) -> Result<MetricReport> {
        self.evaluate(validation, &threshold_values(rule, validation))
    }

    /// Computes all values of bare predictions.
    ///
    /// # Errors
    ///
    /// As [`MetricSet::evaluate`].
    pub(super) fn compute(&self, predictions: &Predictions<'_>) -> Result<MetricReport> {
        let mut all = MetricReport::default();
        for (scorer, outputs) in &self.scorers {
            let report = scorer.evaluate(predictions)?;
            check_answer(scorer.id(), outputs, &report, predictions.labels)?;
            all.overall.extend(report.overall);
            all.per_label.extend(report.per_label);
        }
        Ok(all)
    }
}

/// Computes the values of all `scorers` and merges them into one report.
///
/// # Errors
///
/// As [`MetricSet::new`] and [`MetricSet::evaluate`].
pub fn evaluate_all(
    scorers: &[&dyn PredictionScorer],
    table: &PredictionTable,
    thresholds: &[f64],
) -> Result<MetricReport> {
    MetricSet::new(scorers)?.evaluate(table, thresholds)
}

fn check_answer(id: &str, outputs: &[OutputInfo], report: &MetricReport, labels: usize) -> Result<()> {
    let mut problems = Vec::new();
    for OutputInfo { name, per_label, .. } in outputs {
        let missing = if *per_label {
            !report.per_label.contains_key(name)
        } else {
            !report.overall.contains_key(name)
        };
        if missing {
            problems.push(format!("`{name}` is missing"));
        }
    }
    let declared = |name: &str, per_label| outputs.iter().any(|o| o.name == name && o.per_label == per_label);
    let undeclared = report.overall.keys().filter(|name| !declared(name, false));
    let undeclared = undeclared.chain(report.per_label.keys().filter(|name| !declared(name, true)));
    problems.extend(undeclared.map(|name| format!("`{name}` is not declared")));
    for (name, values) in &report.per_label {
        if values.len() != labels {
            problems.push(format!("`{name}` has {} values for {labels} labels", values.len()));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Exit::Plugin,
        "E0607",
        format!("metric `{id}` does not answer what it declares: {}", problems.join(", ")),
    )
    .help("this is a mistake in the plugin; tell its author"))
}

/// Metrics know labels by index only; users know them by name.
fn name_left_out_labels(report: &mut MetricReport, labels: &[String]) {
    for (name, values) in &report.per_label {
        let undefined: Vec<String> = labels
            .iter()
            .zip(values)
            .filter(|(_, value)| value.value.is_none())
            .map(|(label, value)| format!("{label} ({})", value.why.as_deref().unwrap_or("undefined")))
            .collect();
        if let Some(MetricValue { value, why, .. }) = report.overall.get_mut(&format!("macro_{name}"))
            && !undefined.is_empty()
        {
            let start = if value.is_some() { "leaves out" } else { "undefined for every label:" };
            *why = Some(format!("{start} {}", undefined.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::{
        dataset::Target::{Negative, Positive},
        metric::Direction,
    };

    use super::*;
    use crate::evaluate::testing::{Decisions, table};

    /// Declares one name and answers another.
    struct Liar;

    impl PredictionScorer for Liar {
        fn id(&self) -> &str {
            "liar"
        }

        fn outputs(&self) -> Vec<OutputInfo> {
            vec![OutputInfo {
                name: "promised".to_owned(),
                direction: Direction::Higher,
                per_label: true,
                description: String::new(),
            }]
        }

        fn evaluate(&self, _: &Predictions<'_>) -> Result<MetricReport> {
            let mut report = MetricReport::default();
            report.overall.insert("other".to_owned(), MetricValue::new(1.0, 1));
            Ok(report)
        }
    }

    #[test]
    fn two_metrics_of_one_name_are_an_error_that_names_them() {
        let error = MetricSet::new(&[&Decisions, &Decisions]).err().unwrap();
        assert_eq!(error.code, "E0606");
        assert!(error.message.contains("`macro_f1` from `decisions` and `decisions`"), "{error}");
        assert!(error.message.contains("`subset_accuracy`"), "{error}");
    }

    #[test]
    fn answers_are_checked_against_the_declaration() {
        let table = table(1, &[0.5], &[Positive]);
        let error = evaluate_all(&[&Decisions, &Liar], &table, &[0.5]).unwrap_err();
        assert_eq!(error.code, "E0607");
        assert!(error.message.contains("`promised` is missing"), "{error}");
        assert!(error.message.contains("`other` is not declared"), "{error}");
    }

    #[test]
    fn validation_is_decided_by_the_rule_of_the_run() {
        // In order, and all below a half.
        let table = table(1, &[0.1, 0.2, 0.3, 0.4], &[Negative, Negative, Positive, Positive]);
        let metrics = MetricSet::new(&[&Decisions]).unwrap();
        let f1 = |rule| metrics.validate(rule, &table).unwrap().overall["macro_f1"].value;
        assert_eq!((f1(Threshold::Half), f1(Threshold::ValF1)), (Some(0.0), Some(1.0)));
    }

    #[test]
    fn macro_means_name_the_labels_they_leave_out() {
        let table = table(2, &[0.9, 0.1, 0.9, 0.1], &[Positive, Negative, Positive, Negative]);
        let report = evaluate_all(&[&Decisions], &table, &[0.5, 0.5]).unwrap();
        assert_eq!(report.overall["macro_f1"].value, Some(1.0));
        assert_eq!(report.overall["macro_f1"].why.as_deref(), Some("leaves out label1 (nothing to find)"));
        assert_eq!(evaluate_all(&[&Decisions], &table, &[0.5]).unwrap_err().code, "E0601");
    }
}
