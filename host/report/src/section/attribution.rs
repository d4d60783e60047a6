//! What single operations of a one-shot search contribute.

use maud::{Markup, html};

use super::{Section, fold};
use crate::{
    cell,
    data::{AttributedOperation, Attribution, ReportData},
    number,
    plot::{self, Axis, Plot, look},
    table::{Cell, Table},
};

/// Name of the table.
pub(super) const TABLE: &str = "attributions";
/// Half-width of a normal 95 % interval in standard errors.
const Z: f64 = 1.96;
/// Share of the distance between two steps that lies between the marks of neighbouring operations.
const DODGE: f64 = 0.07;

impl AttributedOperation {
    /// Half-width of the 95 % interval at `step`, if the standard error is known.
    pub(crate) fn half_width(&self, step: usize) -> Option<f64> {
        self.standard_errors.get(step).map(|error| Z * error)
    }

    fn interval(&self, step: usize) -> Option<[f64; 2]> {
        let (value, half) = (self.values.get(step)?, self.half_width(step)?);
        Some([value - half, value + half])
    }
}

/// The unit in which values of an attribution are shown: a power of a thousand, so that axes have few digits.
pub(crate) struct Unit {
    /// What 1 of it is.
    pub(crate) size: f64,
    /// How it is written after a name (` in 10⁻³`); empty for 1.
    pub(crate) name: &'static str,
}

impl Unit {
    /// The unit that suits the largest value at the last step.
    pub(crate) fn of(attribution: &Attribution) -> Self {
        let last = attribution.operations.iter().filter_map(|operation| operation.values.last());
        let largest = last.fold(0.0_f64, |largest, value| value.abs().max(largest));
        if largest >= 0.1 || largest == 0.0 {
            Self { size: 1.0, name: "" }
        } else if largest >= 1e-4 {
            Self { size: 1e-3, name: " in 10⁻³" }
        } else {
            Self { size: 1e-6, name: " in 10⁻⁶" }
        }
    }
}

pub(super) fn section(data: &ReportData) -> Option<Section> {
    let several = data.runs.len() > 1;
    (!data.attributions.is_empty()).then(|| Section {
        id: "attribution",
        title: "What each operation contributes",
        lead: "The Shapley value of an operation is what it adds to the score of the network, averaged over all orders \
               in which operations could be put in. Where the intervals of two operations overlap, the choice between \
               them is open."
            .to_owned(),
        body: html! {
            @for attribution in &data.attributions {
                h3 { (number::heading(&attribution.title)) @if several { " (run " (attribution.run) ")" } }
                (plot::key(operations(attribution).into_iter().enumerate().map(|(i, name)| (look(i), name))))
                div.figures {
                    @if let Some(cell) = &attribution.cell { (cell::figure(attribution, cell)) }
                    (edges(attribution))
                }
            }
            (fold("All values at the end, as a table", &table(data).markup()))
        },
    })
}

/// Names of the operations, each once, in the order in which edges bring them.
fn operations(attribution: &Attribution) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for operation in &attribution.operations {
        if !names.contains(&operation.operation.as_str()) {
            names.push(&operation.operation);
        }
    }
    names
}

/// One chart for each edge, all with the same axes.
fn edges(attribution: &Attribution) -> Markup {
    let ends = attribution.operations.iter().flat_map(|operation| {
        (0..operation.values.len())
            .flat_map(|step| operation.interval(step).unwrap_or([operation.values[step]; 2]))
    });
    let unit = Unit::of(attribution);
    let ends: Vec<f64> = ends.chain([0.0]).map(|end| end / unit.size).collect();
    html! { @for edge in attribution.operations.chunk_by(|a, b| a.edge == b.edge) {
        (history(attribution, edge, &ends, &unit))
    } }
}

/// The operations of an edge over time.
fn history(
    attribution: &Attribution,
    edge: &[AttributedOperation],
    ends: &[f64],
    Unit { size, name }: &Unit,
) -> Markup {
    let steps = &attribution.steps;
    let apart = steps.windows(2).map(|pair| pair[1] - pair[0]).reduce(f64::min).unwrap_or(1.0) * DODGE;
    let unit = if attribution.unit.is_empty() { "step of the search" } else { &attribution.unit };
    let sides = [-0.5, 0.5].map(|side| side * apart * edge.len() as f64);
    let (first, last) = (steps.first().unwrap_or(&0.0), steps.last().unwrap_or(&0.0));
    let mut plot = Plot::new(
        edge[0].edge.as_str(),
        "Shapley value of each operation on this edge over the search, with 95 % intervals.",
        Axis::whole(unit, first + sides[0], last + sides[1]),
        Axis::around(format!("Shapley value{name}"), ends.iter().copied()),
    )
    .height(220.0);
    plot.reference((first + sides[0], 0.0), (last + sides[1], 0.0), "no contribution");
    let names = operations(attribution);
    for (index, operation) in edge.iter().enumerate() {
        let place = names.iter().position(|name| *name == operation.operation).unwrap_or(index);
        let shift = apart * (index as f64 - (edge.len() - 1) as f64 / 2.0);
        let line: Vec<(f64, f64)> =
            steps.iter().map(|step| step + shift).zip(operation.values.iter().map(|v| v / size)).collect();
        plot.line(&look(place), &line, &operation.operation);
        for (step, (x, y)) in line.iter().enumerate() {
            let interval = operation.interval(step).map(|ends| ends.map(|end| end / size));
            plot.error_bar(&look(place), *x, *y, interval, &operation.operation);
        }
    }
    let chosen: Vec<&str> = edge
        .iter()
        .filter(|operation| operation.chosen)
        .map(|operation| operation.operation.as_str())
        .collect();
    plot.figure(&html! {
        @if chosen.is_empty() { "The edge is not part of the derived network." }
        @else { "In the derived network: " b { (chosen.join(", ")) } "." }
    })
}

pub(super) fn table(data: &ReportData) -> Table {
    let mut table = Table::new(
        TABLE,
        "Shapley values at the end of the search",
        "The standard error tells how well a value is known from the coalitions that were drawn. It does not tell how \
         much another training of the supernet would differ.",
    )
    .text_column("Run")
    .text_column("Part")
    .text_column("Edge")
    .text_column("Operation")
    .column("Shapley value")
    .column("Standard error")
    .text_column("Derived");
    for attribution in &data.attributions {
        for operation in &attribution.operations {
            table.row([
                Cell::Text(attribution.run.clone()),
                Cell::Text(attribution.title.clone()),
                Cell::Text(operation.edge.clone()),
                Cell::Text(operation.operation.clone()),
                Cell::number(operation.values.last().copied(), 5),
                Cell::number(operation.standard_errors.last().copied(), 5),
                Cell::Text(if operation.chosen { "yes" } else { "no" }.to_owned()),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn each_edge_has_a_chart_and_each_operation_a_row() {
        let data = testing::report();
        let body = section(&data).unwrap().body.into_string();
        assert_eq!(body.matches("<figure>").count(), 1 + 2, "the cell and two edges");
        assert!(body.contains("In the derived network: <b>sep_conv_3x3</b>"), "{body}");
        assert_eq!(table(&data).rows.len(), data.attributions[0].operations.len());
    }

    #[test]
    fn small_values_are_shown_in_thousandths() {
        let of = |value: f64| {
            let operation =
                AttributedOperation { values: vec![9.0, value], ..AttributedOperation::default() };
            Unit::of(&Attribution { operations: vec![operation], ..Attribution::default() })
        };
        assert_eq!([of(0.2).size, of(-0.02).size, of(3e-5).size, of(0.0).size], [1.0, 1e-3, 1e-6, 1.0]);
        assert_eq!(of(0.02).name, " in 10⁻³");
    }

    #[test]
    fn a_value_without_standard_error_has_no_interval() {
        let operation = AttributedOperation { values: vec![1.0], ..AttributedOperation::default() };
        assert_eq!(operation.interval(0), None);
        assert_eq!(
            AttributedOperation { standard_errors: vec![0.5], ..operation }.interval(0),
            Some([1.0 - 0.98, 1.98])
        );
    }
}
