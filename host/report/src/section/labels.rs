//! Metrics of each label, with the number of findings they rest on.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{Section, label_names, method_key};
use crate::{
    data::ReportData,
    number,
    plot::{Axis, forest, look},
    table::{Cell, Table},
};

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

/// A metric of each label, methods side by side.
fn figure(data: &ReportData, metric: &str, chance: Option<f64>, meaning: &str) -> Markup {
    let mut rows = Vec::new();
    for label in label_names(data) {
        for (index, method) in data.methods.iter().enumerate() {
            let Some(result) = method.labels.iter().find(|result| result.label == label) else { continue };
            let value = result.values.get(metric);
            let mean = value.and_then(|value| value.mean);
            let support = result.support.map(|n| format!(" (n = {n})")).unwrap_or_default();
            let method = if data.methods.len() > 1 { format!(" · {}", method.name) } else { String::new() };
            rows.push(forest::Row {
                name: format!("{label}{support}{method}"),
                text: mean.map_or_else(|| "undefined".to_owned(), |mean| number::fixed(mean, 3)),
                class: look(index),
                value: mean,
                interval: None,
                seeds: value.map(|value| value.per_seed.clone()).unwrap_or_default(),
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
        &html! { (meaning) " Dot: mean over seeds; ticks: single seeds. n: test images with the finding." },
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
