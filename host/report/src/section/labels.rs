//! Metrics of each label, with the number of findings they rest on.

use std::collections::BTreeSet;

use maud::html;

use super::{Section, label_names, method_key};
use crate::{
    data::ReportData,
    number,
    plot::{Axis, forest, look},
    table::{Cell, Table},
};

/// Columns, as far as the run has them.
const PREFERRED: [&str; 9] = [
    "auroc",
    "average_precision",
    "f1",
    "recall",
    "specificity",
    "precision",
    "balanced_accuracy",
    "mcc",
    "brier",
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
            @if data.methods.iter().any(|m| m.labels.iter().any(|l| l.values.contains_key("auroc"))) {
                div.figures { (figure(data)) }
            }
            (table.html())
        },
    })
}

/// AUROC of each label, methods side by side.
fn figure(data: &ReportData) -> maud::Markup {
    let mut rows = Vec::new();
    for label in label_names(data) {
        for (index, method) in data.methods.iter().enumerate() {
            let Some(result) = method.labels.iter().find(|result| result.label == label) else { continue };
            let value = result.values.get("auroc");
            let mean = value.and_then(|value| value.mean);
            let support = result.support.map(|n| format!(" (n = {n})")).unwrap_or_default();
            rows.push(forest::Row {
                name: if data.methods.len() > 1 {
                    format!("{label}{support} · {}", method.name)
                } else {
                    format!("{label}{support}")
                },
                text: mean.map_or_else(|| "undefined".to_owned(), |mean| number::fixed(mean, 3)),
                class: look(index),
                value: mean,
                interval: value
                    .and_then(|value| Some([value.mean? - value.sd?, value.mean? + value.sd?]))
                    .map(|ends| ends.map(|end| end.clamp(0.0, 1.0))),
            });
        }
    }
    forest::figure(
        "AUROC of each label",
        "Area under the ROC curve of each label on the test part; 0.5 is chance.",
        &Axis::share("AUROC"),
        Some(0.5),
        &rows,
        &html! { "1 ranks every image with the finding above every image without; 0.5, the dashed line, is chance. "
        "Bars, if there are several seeds: ± one standard deviation over the seeds. n: test images with the finding." },
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
        "Means over the seeds; ± is the standard deviation over them. – is undefined: the finding is in no or in every \
         image, or was never predicted.",
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
            let values = metrics.iter().map(|metric| Cell::value(result.values.get(*metric)));
            let start = [Cell::Text(label.to_owned()), Cell::Text(method.name.clone()), support];
            table.row(start.into_iter().chain(values));
        }
    }
    table
}
