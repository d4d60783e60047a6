//! Building blocks of reports: means over what is defined, and the names of the values.

use nashost_plugin_api::metric::{Direction, MetricReport, MetricValue, OutputInfo};

/// A value, or why there is none.
pub(crate) type Defined = Result<f64, &'static str>;

/// Returns `numerator / denominator`, undefined for `reason` if the denominator is 0.
pub(crate) fn ratio(numerator: u64, denominator: u64, reason: &'static str) -> Defined {
    if denominator == 0 { Err(reason) } else { Ok(numerator as f64 / denominator as f64) }
}

/// Adds a support to a value.
pub(crate) fn supported(value: Defined, support: u64) -> MetricValue {
    match value {
        Ok(value) => MetricValue::new(value, support),
        Err(reason) => MetricValue::undefined(support, reason),
    }
}

/// Returns the mean over the defined labels; its support is their number.
pub(crate) fn macro_mean(labels: &[MetricValue]) -> MetricValue {
    let defined: Vec<f64> = labels.iter().filter_map(|label| label.value).collect();
    let left_out: Vec<String> = labels
        .iter()
        .enumerate()
        .filter(|(_, value)| value.value.is_none())
        .map(|(label, value)| format!("label {label}: {}", value.why.as_deref().unwrap_or("undefined")))
        .collect();
    let support = defined.len() as u64;
    if defined.is_empty() {
        return MetricValue::undefined(
            support,
            format!("undefined for every label ({})", left_out.join("; ")),
        );
    }
    MetricValue {
        why: (!left_out.is_empty()).then(|| format!("leaves out {}", left_out.join("; "))),
        ..MetricValue::new(defined.iter().sum::<f64>() / defined.len() as f64, support)
    }
}

/// Puts the values per label and their macro mean into `report`.
pub(crate) fn insert_labels(report: &mut MetricReport, name: &str, labels: Vec<MetricValue>) {
    report.overall.insert(format!("macro_{name}"), macro_mean(&labels));
    report.per_label.insert(name.to_owned(), labels);
}

/// Describes a single value.
pub(crate) fn overall(name: String, direction: Direction, description: String) -> OutputInfo {
    OutputInfo { name, direction, per_label: false, description }
}

/// Describes what [`insert_labels`] puts in.
pub(crate) fn label_outputs(name: &str, direction: Direction, formula: &str) -> Vec<OutputInfo> {
    vec![
        OutputInfo { name: name.to_owned(), direction, per_label: true, description: formula.to_owned() },
        overall(format!("macro_{name}"), direction, format!("Mean over the defined labels of: {formula}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macro_means_say_what_they_leave_out() {
        let labels =
            [MetricValue::new(0.5, 3), MetricValue::undefined(0, "no positives"), MetricValue::new(1.0, 1)];
        let mean = macro_mean(&labels);
        assert_eq!(mean.value, Some(0.75));
        assert_eq!(mean.support, 2);
        assert_eq!(mean.why.as_deref(), Some("leaves out label 1: no positives"));
        assert_eq!(macro_mean(&labels[..1]).why, None);
    }

    #[test]
    fn a_mean_over_nothing_is_undefined() {
        let mean = macro_mean(&[MetricValue::undefined(0, "no positives")]);
        assert_eq!(mean.value, None);
        assert_eq!(mean.why.as_deref(), Some("undefined for every label (label 0: no positives)"));
    }
}
