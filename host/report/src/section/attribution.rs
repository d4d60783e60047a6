//! What single operations of a one-shot search contribute.

use maud::{Markup, html};

use super::Section;
use crate::{
    data::{AttributedOperation, Attribution, ReportData},
    number,
    plot::{self, Axis, LOOKS, Plot, forest, look},
};

/// Half-width of a normal 95 % interval in standard errors.
const Z: f64 = 1.96;

pub(super) fn section(data: &ReportData) -> Option<Section> {
    (!data.attributions.is_empty()).then(|| Section {
        id: "attribution",
        title: "What each operation contributes",
        lead: "The Shapley value of an operation is what it adds to the score of the network, averaged over all orders \
               in which operations could be put in. Where the intervals of two operations overlap, the choice between \
               them is open."
            .to_owned(),
        body: html! { @for attribution in &data.attributions {
            h3 { (attribution.title) }
            div.figures { (last(attribution)) (history(attribution)) }
        } },
    })
}

fn interval(operation: &AttributedOperation, step: usize) -> Option<[f64; 2]> {
    let (value, error) = (operation.values.get(step)?, operation.standard_errors.get(step)?);
    Some([value - Z * error, value + Z * error])
}

/// The values at the last step, edge by edge, each edge's best first.
fn last(attribution: &Attribution) -> Markup {
    let mut edges: Vec<&str> = Vec::new();
    for operation in &attribution.operations {
        if !edges.contains(&operation.edge.as_str()) {
            edges.push(&operation.edge);
        }
    }
    let mut rows = Vec::new();
    for edge in edges {
        let mut here: Vec<&AttributedOperation> =
            attribution.operations.iter().filter(|op| op.edge == edge).collect();
        here.sort_by(|a, b| b.values.last().unwrap_or(&0.0).total_cmp(a.values.last().unwrap_or(&0.0)));
        rows.extend(here.into_iter().map(|operation| {
            let value = operation.values.last().copied();
            forest::Row {
                name: format!("{edge} · {}{}", operation.operation, if operation.chosen { " ✓" } else { "" }),
                text: value.map_or_else(|| "–".to_owned(), |value| number::fixed(value, 4)),
                class: if operation.chosen { "s1" } else { "base" }.to_owned(),
                value,
                interval: interval(operation, operation.values.len().saturating_sub(1)),
                seeds: Vec::new(),
            }
        }));
    }
    let ends = rows.iter().flat_map(|row| row.interval.into_iter().flatten().chain(row.value)).chain([0.0]);
    forest::figure(
        "At the end of the search",
        "Shapley value of each operation on each edge with its 95 % interval.",
        &Axis::around("Shapley value", ends.collect::<Vec<_>>()),
        Some(0.0),
        &rows,
        &html! { "Coloured and ✓: part of the network that was derived. Bars: 95 % intervals." },
    )
}

/// The operations with the largest values over time.
fn history(attribution: &Attribution) -> Markup {
    let mut largest: Vec<&AttributedOperation> = attribution.operations.iter().collect();
    let size = |operation: &AttributedOperation| operation.values.last().map_or(0.0, |value| value.abs());
    largest.sort_by(|a, b| size(b).total_cmp(&size(a)));
    largest.truncate(LOOKS);
    let ends = largest.iter().flat_map(|operation| {
        (0..operation.values.len())
            .flat_map(|step| interval(operation, step).unwrap_or([operation.values[step]; 2]))
    });
    let steps = attribution.steps.iter().copied();
    let mut plot = Plot::new(
        "Over the search",
        "Shapley values of the largest operations by step, with 95 % intervals.",
        Axis::around("step of the search", steps),
        Axis::around("Shapley value", ends.collect::<Vec<_>>()),
    );
    let mut names = Vec::new();
    for (index, operation) in largest.iter().enumerate() {
        let name = format!("{} · {}", operation.edge, operation.operation);
        let line: Vec<_> = attribution.steps.iter().copied().zip(operation.values.iter().copied()).collect();
        plot.line(&look(index), &line, &name);
        for (step, (x, y)) in line.iter().enumerate() {
            plot.error_bar(&look(index), *x, *y, interval(operation, step), &name);
        }
        names.push((look(index), name));
    }
    plot.figure(&plot::key(names.iter().map(|(class, name)| (class.clone(), name.as_str()))))
}
