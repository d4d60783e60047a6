//! Whether methods differ, and by how much.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::Section;
use crate::{
    data::{Comparison, ReportData},
    number,
    plot::{Axis, forest},
    table::{Cell, Table},
};

/// Below this adjusted p-value, a difference is called significant.
const LEVEL: f64 = 0.05;

pub(super) fn section(data: &ReportData) -> Option<Section> {
    if data.methods.len() < 2 && data.comparisons.is_empty() {
        return None;
    }
    let body = if data.comparisons.is_empty() {
        html! { p.warning { "No test was computed for this report. Intervals that overlap do not show that two methods "
        "are equal, and intervals that do not overlap do not replace a test: the methods saw the same images." } }
    } else {
        html! {
            @for sentence in data.comparisons.iter().map(sentence) { p.verdict { (sentence) } }
            div.figures { @for metric in metrics(data) { (effects(data, metric)) } }
            @for metric in metrics(data) { (matrix(data, metric).markup()) }
            (list(data).markup())
        }
    };
    Some(Section {
        id: "comparison",
        title: "Method against method",
        lead: "An adjusted p below 0.05 says that a difference this large is unlikely to be chance, all comparisons \
               considered. No small p does not mean that methods are equal: look at the interval of the difference."
            .to_owned(),
        body,
    })
}

pub(super) fn tables(data: &ReportData) -> Vec<Table> {
    if data.comparisons.is_empty() {
        return Vec::new();
    }
    let mut tables: Vec<Table> = metrics(data).into_iter().map(|metric| matrix(data, metric)).collect();
    tables.push(list(data));
    tables
}

fn metrics(data: &ReportData) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let names = data.comparisons.iter().map(|comparison| comparison.metric.as_str());
    names.filter(|name| seen.insert(*name)).collect()
}

/// The p-value that counts.
fn p(comparison: &Comparison) -> Option<f64> {
    comparison.p_adjusted.or(comparison.p)
}

fn sentence(comparison: &Comparison) -> String {
    let Comparison { a, b, metric, difference, .. } = comparison;
    let by = difference.map(|d| format!(" by {}", number::fixed(d.abs(), 3))).unwrap_or_default();
    let side = if difference.is_some_and(|d| d < 0.0) { "below" } else { "above" };
    let metric = number::metric(metric);
    let note = comparison.note.as_deref();
    // Such as that the ranks, from which p comes, favour the other side.
    let limits = note.map(|note| format!("; {note}")).unwrap_or_default();
    match p(comparison) {
        Some(p) if p < LEVEL => format!("{metric}: {a} is {side} {b}{by} (p {}){limits}.", equals(p)),
        Some(p) => format!("{metric}: {a} and {b} cannot be told apart (p {}){limits}.", equals(p)),
        None => {
            let why = note.unwrap_or("no test was computed");
            format!("{metric}: nothing can be said of {a} and {b}: {why}.")
        }
    }
}

fn equals(p: f64) -> String {
    let text = number::p_value(p);
    if text.starts_with('<') { text } else { format!("= {text}") }
}

fn effects(data: &ReportData, metric: &str) -> Markup {
    let rows: Vec<forest::Row> = data
        .comparisons
        .iter()
        .filter(|comparison| comparison.metric == metric)
        .map(|comparison| forest::Row {
            name: format!("{} − {}", comparison.a, comparison.b),
            text: p(comparison).map_or_else(|| "no p".to_owned(), |p| format!("p {}", equals(p))),
            class: if p(comparison).is_some_and(|p| p < LEVEL) { "s1" } else { "base" }.to_owned(),
            value: comparison.difference,
            interval: comparison.ci95,
            seeds: Vec::new(),
        })
        .collect();
    let ends = rows.iter().flat_map(|row| row.interval.into_iter().flatten().chain(row.value));
    let widest = ends.map(f64::abs).fold(0.01, f64::max) * 1.05;
    let title = format!("Difference in {}", number::metric(metric));
    forest::figure(
        &title,
        "Difference between two methods with its 95 % interval; 0 is no difference.",
        &Axis::linear(title.as_str(), -widest, widest),
        Some(0.0),
        &rows,
        &html! { "Right of the dashed line, the first method has more. A bar across the line: the sign of the difference \
        is not known. Coloured: adjusted p below 0.05." },
    )
}

/// Adjusted p-values, every method against every other.
fn matrix(data: &ReportData, metric: &str) -> Table {
    let pairs: Vec<&Comparison> = data.comparisons.iter().filter(|c| c.metric == metric).collect();
    let mut names: Vec<&str> = Vec::new();
    for name in pairs.iter().flat_map(|pair| [pair.a.as_str(), pair.b.as_str()]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut table = Table::new(
        "p-matrix",
        format!("p-values of {}", number::metric(metric)),
        "Adjusted where that was asked for. * below 0.05.",
    )
    .text_column("");
    for name in &names {
        table = table.column(*name);
    }
    for row in &names {
        let cell = |column: &&str| {
            let of = |pair: &&&Comparison| {
                (&*pair.a, &*pair.b) == (*row, *column) || (&*pair.b, &*pair.a) == (*row, *column)
            };
            match pairs.iter().find(of).and_then(|pair| p(pair)) {
                Some(p) => Cell::Text(format!("{}{}", number::p_value(p), if p < LEVEL { " *" } else { "" })),
                None => Cell::Undefined(String::new()),
            }
        };
        table.row(std::iter::once(Cell::Text((*row).to_owned())).chain(names.iter().map(cell)));
    }
    table
}

fn list(data: &ReportData) -> Table {
    let mut table = Table::new("comparisons", "All comparisons", "")
        .text_column("First")
        .text_column("Second")
        .text_column("Metric")
        .column("Difference")
        .column("p")
        .column("Adjusted p")
        .text_column("Test");
    let noted = data.comparisons.iter().any(|comparison| comparison.note.is_some());
    if noted {
        table = table.text_column("Note");
    }
    for c in &data.comparisons {
        let difference = crate::data::Value { mean: c.difference, ci95: c.ci95, ..Default::default() };
        let p = |p: Option<f64>| Cell::number(p, 4);
        let cells = [
            Cell::Text(c.a.clone()),
            Cell::Text(c.b.clone()),
            Cell::Text(number::metric(&c.metric)),
            Cell::value(Some(&difference)),
            p(c.p),
            p(c.p_adjusted),
            Cell::Text(c.test.clone()),
        ];
        let note = noted.then(|| Cell::Text(c.note.clone().unwrap_or_default()));
        table.row(cells.into_iter().chain(note));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_no_more_than_the_test() {
        let pair = |difference, p, p_adjusted| Comparison {
            a: "a".to_owned(),
            b: "b".to_owned(),
            metric: "macro_f1".to_owned(),
            difference,
            p,
            p_adjusted,
            ..Comparison::default()
        };
        assert_eq!(
            sentence(&pair(Some(-0.1), Some(0.0001), None)),
            "macro F1: a is below b by 0.100 (p < 0.001)."
        );
        assert_eq!(
            sentence(&pair(Some(0.1), Some(0.02), Some(0.12))),
            "macro F1: a and b cannot be told apart (p = 0.120).",
            "the adjusted value counts"
        );
        let note = Some("the ranks favour b and the means a".to_owned());
        assert_eq!(
            sentence(&Comparison { note, ..pair(Some(0.1), Some(0.01), None) }),
            "macro F1: a is above b by 0.100 (p = 0.010); the ranks favour b and the means a."
        );
        assert!(sentence(&pair(None, None, None)).contains("nothing can be said"));
    }
}
