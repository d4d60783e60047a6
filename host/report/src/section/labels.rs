//! Metrics of each label, with the number of findings they rest on.

use std::collections::BTreeSet;

use maud::{Markup, html};
use nashost_stats::delong::Auroc;

use super::{Section, label_names, method_key};
use crate::{
    data::{LabelResult, Method, ReportData, Value},
    number,
    plot::{Axis, forest, look},
    table::{Cell, Table},
};

/// The metric that has an interval of its own for each label.
const AUROC: &str = "auroc";
/// Level of that interval.
const LEVEL: f64 = 0.95;
/// Columns, as far as the run has them.
const PREFERRED: [&str; 7] =
    ["auroc", "average_precision", "f1", "recall", "specificity", "precision", "mcc"];
/// Metrics that have a figure, what chance reaches, and how to read it.
const DRAWN: [(&str, Option<f64>, &str); 3] = [
    (
        "auroc",
        Some(0.5),
        "1 ranks every image with the finding above every image without; 0.5, the dashed line, is chance.",
    ),
    (
        "average_precision",
        None,
        "How many alarms are right, averaged over all thresholds. Chance is the share of images with the finding.",
    ),
    ("f1", None, "Balance of findings found and alarms that are right, at the threshold of the label."),
];
/// Columns where it has none of these.
const OTHERS: usize = 8;

pub(super) fn section(data: &ReportData) -> Option<Section> {
    let table = table(data);
    (!table.rows.is_empty()).then(|| Section {
        id: "labels",
        title: "Label by label",
        lead: "A mean over labels hides which findings a network sees. Support is the number of test images \
               with the finding: below about ten, a value says little."
            .to_owned(),
        body: html! {
            @if data.methods.len() > 1 { (method_key(data)) }
            div.figures { @for (metric, chance, meaning) in DRAWN {
                @if data.methods.iter().any(|m| m.labels.iter().any(|l| l.values.contains_key(metric))) {
                    (figure(data, metric, chance, meaning))
                }
            } }
            (table.markup())
        },
    })
}

/// A value of a label. The area under the ROC curve has DeLong's interval where the predictions are known:
/// the mean of its ends over the trials. It takes images as independent.
fn value(method: &Method, result: &LabelResult, metric: &str) -> Option<Value> {
    let value = result.values.get(metric)?.clone();
    if metric != AUROC || value.ci95.is_some() || value.mean.is_none() {
        return Some(value);
    }
    let each = method.predictions(&result.label).map(|(_, scores)| {
        Auroc::of(&scores.scores, &scores.truth).and_then(|area| area.interval(LEVEL)).ok()
    });
    let each: Option<Vec<[f64; 2]>> = each.collect();
    let each = each.filter(|each| !each.is_empty());
    let end =
        |each: &[[f64; 2]], end: usize| each.iter().map(|ends| ends[end]).sum::<f64>() / each.len() as f64;
    Some(Value { ci95: each.map(|each| [end(&each, 0), end(&each, 1)]), ..value })
}

/// A metric of each label, methods side by side.
fn figure(data: &ReportData, metric: &str, chance: Option<f64>, meaning: &str) -> Markup {
    let mut rows = Vec::new();
    for label in label_names(data) {
        for (index, method) in data.methods.iter().enumerate() {
            let Some(result) = method.labels.iter().find(|result| result.label == label) else { continue };
            let value = value(method, result, metric);
            let mean = value.as_ref().and_then(|value| value.mean);
            let interval = value.as_ref().and_then(|value| value.ci95);
            let support = result.support.map(|n| format!(" (n = {n})")).unwrap_or_default();
            let method = if data.methods.len() > 1 { format!(" · {}", method.name) } else { String::new() };
            rows.push(forest::Row {
                name: format!("{label}{support}{method}"),
                text: mean.map_or_else(|| "undefined".to_owned(), |mean| number::fixed(mean, 3)),
                class: look(index),
                value: mean,
                interval,
                seeds: value.map(|value| value.per_seed).unwrap_or_default(),
            });
        }
    }
    let title = number::metric(metric);
    forest::figure(
        &number::heading(&format!("{title} of each label")),
        &format!("{title} of each label on the test part. {meaning}"),
        &Axis::share(title.as_str()),
        chance,
        &rows,
        &html! {
            (meaning) " Dot: mean over seeds; ticks: single seeds. n: test images with the finding."
            @if metric == AUROC { " Bar: 95 % interval (DeLong), as if every image were of another patient." }
        },
    )
}

pub(super) fn table(data: &ReportData) -> Table {
    let labels = || data.methods.iter().flat_map(|method| &method.labels);
    let known: BTreeSet<&str> = labels().flat_map(|label| label.values.keys()).map(String::as_str).collect();
    let preferred: Vec<&str> = PREFERRED.into_iter().filter(|name| known.contains(name)).collect();
    let metrics = if preferred.is_empty() { known.into_iter().take(OTHERS).collect() } else { preferred };
    let mut table = Table::new(
        "per-label",
        "Test results of each label",
        "Means over the seeds; ± is the standard deviation over them. Beside AUROC: DeLong’s 95 % interval, as if every \
         image were of another patient; none where all images are ranked rightly, which of few images is no certainty. \
         – is undefined: the finding is in no or in every image, or was never predicted.",
    )
    .text_column("Label")
    .text_column("Method")
    .column("Support");
    for metric in &metrics {
        table = table.column(number::metric(metric));
    }
    for label in label_names(data) {
        for method in &data.methods {
            let Some(result) = method.labels.iter().find(|result| result.label == label) else { continue };
            let support = result.support.map_or_else(|| Cell::Undefined(String::new()), Cell::Count);
            let values = metrics.iter().map(|metric| Cell::value(value(method, result, metric).as_ref()));
            let start = [Cell::Text(label.to_owned()), Cell::Text(method.name.clone()), support];
            table.row(start.into_iter().chain(values));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_area_under_the_curve_has_an_interval_where_predictions_are_known() {
        let mut method = testing::report().methods.swap_remove(0);
        let mut result = method.labels[0].clone();
        let bare = Value { mean: Some(0.8), ..Value::default() };
        result.values = [("auroc".to_owned(), bare.clone()), ("f1".to_owned(), bare)].into();
        let scores = &method.trials[0].predictions[0];
        let expected = Auroc::of(&scores.scores, &scores.truth).unwrap().interval(0.95).unwrap();
        assert_eq!(value(&method, &result, "auroc").unwrap().ci95, Some(expected));
        assert_eq!(value(&method, &result, "f1").unwrap().ci95, None);
        // A second trial that ranks everything rightly has no interval, so their mean has none.
        let mut perfect = method.trials[0].clone();
        perfect.predictions[0].scores =
            perfect.predictions[0].truth.iter().map(|truth| f64::from(u8::from(*truth))).collect();
        method.trials.push(perfect);
        assert_eq!(value(&method, &result, "auroc").unwrap().ci95, None);
    }
}
