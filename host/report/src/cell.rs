//! A derived cell as a drawing: values run down on the left, operations lead from them to nodes.

use maud::{Markup, html};

use crate::{
    data::{AttributedOperation, Attribution, Cell, CellEdge},
    number,
    plot::{WIDTH, short},
    section::Unit,
};

/// Distance between the lines that values run down on.
const LANE: f64 = 13.0;
const FIRST_LANE: f64 = 12.0;
const ROW: f64 = 25.0;
/// Air below a node, in which its value goes to its line.
const GAP: f64 = 17.0;
const OPERATIONS_END: f64 = 312.0;
const NODES: f64 = 326.0;

/// What is drawn of a cell.
struct Drawing<'a> {
    cell: &'a Cell,
    /// Names of all values, in the order of their lines.
    values: Vec<&'a str>,
    /// Top of the rows of each node.
    tops: Vec<f64>,
    /// Middle of the last row, where values leave the cell.
    out: f64,
}

impl<'a> Drawing<'a> {
    fn new(cell: &'a Cell) -> Self {
        let values = cell.inputs.iter().chain(cell.nodes.iter().map(|node| &node.name));
        let mut y = 8.0 + ROW * cell.inputs.len() as f64;
        let mut tops = Vec::new();
        for node in &cell.nodes {
            tops.push(y);
            y += ROW * node.edges.len().max(1) as f64 + GAP;
        }
        Self { cell, values: values.map(String::as_str).collect(), tops, out: y + 10.0 }
    }

    fn lane(index: usize) -> f64 {
        FIRST_LANE + LANE * index as f64
    }

    fn operations(&self) -> f64 {
        Self::lane(self.values.len()) + 4.0
    }

    /// Line of the value `name`; nothing for a value that the cell does not have.
    fn of(&self, name: &str) -> Option<f64> {
        self.values.iter().position(|value| *value == name).map(Self::lane)
    }

    /// Where the value at `index` comes to its line.
    fn begins(&self, index: usize) -> f64 {
        match index.checked_sub(self.cell.inputs.len()) {
            None => 8.0 + ROW * index as f64 + 10.0,
            Some(node) => self.bottom(node) + 8.0,
        }
    }

    fn bottom(&self, node: usize) -> f64 {
        self.tops[node] + ROW * self.cell.nodes[node].edges.len().max(1) as f64 - 5.0
    }

    /// Where the value `name` is read last.
    fn ends(&self, name: &str) -> Option<f64> {
        let rows = self.cell.nodes.iter().zip(&self.tops).flat_map(|(node, top)| {
            node.edges.iter().enumerate().map(move |(row, edge)| (edge.from.as_str(), middle(*top, row)))
        });
        let outputs = self.cell.outputs.iter().map(|output| (output.as_str(), self.out));
        rows.chain(outputs).filter(|(read, _)| *read == name).map(|(_, y)| y).reduce(f64::max)
    }
}

fn middle(top: f64, row: usize) -> f64 {
    top + ROW * row as f64 + 10.0
}

/// Draws the cell that `attribution` led to, with the last value of each operation.
pub(crate) fn figure(attribution: &Attribution, cell: &Cell) -> Markup {
    let drawing = Drawing::new(cell);
    let height = drawing.out + 18.0;
    let (begin, unit) = (drawing.operations(), Unit::of(attribution));
    html! {
        figure {
            h4 { "Derived: " (attribution.title) }
            svg role="img" aria-label=(format!("Structure of the derived {}", attribution.title))
                viewBox=(format!("0 0 {WIDTH} {}", short(height))) {
                desc { "Lines on the left carry values down; each node adds up the operations that lead to it." }
                @for (index, value) in drawing.values.iter().enumerate() {
                    @if let Some(end) = drawing.ends(value) {
                        path.flow d={ "M" (short(Drawing::lane(index))) " " (short(drawing.begins(index))) "V" (short(end)) } {}
                    }
                }
                @for (index, input) in cell.inputs.iter().enumerate() {
                    @let y = drawing.begins(index);
                    circle.dot.s0 cx=(short(Drawing::lane(index))) cy=(short(y)) r="3.5" {}
                    text.strong x=(short(Drawing::lane(index) + 9.0)) y=(short(y + 4.0)) { (input) }
                }
                @for (index, (node, top)) in cell.nodes.iter().zip(&drawing.tops).enumerate() {
                    @for (row, edge) in node.edges.iter().enumerate() {
                        (operation(&drawing, attribution, edge, middle(*top, row), &unit))
                    }
                    @let (bottom, lane) = (drawing.bottom(index), Drawing::lane(cell.inputs.len() + index));
                    rect.box x=(short(NODES)) y=(short(*top)) width=(short(WIDTH - NODES - 4.0)) height=(short(bottom - top)) rx="5" {}
                    text.strong x=(short((NODES + WIDTH - 4.0) / 2.0)) y=(short((top + bottom) / 2.0 + 4.0)) text-anchor="middle" { (node.name) }
                    @if drawing.ends(&node.name).is_some() {
                        path.flow d={ "M" (short((NODES + WIDTH - 4.0) / 2.0)) " " (short(bottom)) "v8H" (short(lane)) } {}
                    }
                }
                @let first = cell.outputs.iter().filter_map(|output| drawing.of(output)).reduce(f64::min);
                @if let Some(first) = first {
                    path.flow d={ "M" (short(first)) " " (short(drawing.out)) "H" (short(begin)) } {}
                    @for lane in cell.outputs.iter().filter_map(|output| drawing.of(output)) {
                        circle.dot.s0 cx=(short(lane)) cy=(short(drawing.out)) r="3" {}
                    }
                    text.strong x=(short(begin + 6.0)) y=(short(drawing.out + 4.0)) { "joined: what leaves the cell" }
                }
            }
            figcaption {
                "A dot: the operation reads the value of this line. A node adds up its operations. Beside each operation "
                "its Shapley value" (unit.name) " at the end ± 1.96 standard errors."
            }
        }
    }
}

fn operation(
    drawing: &Drawing<'_>,
    attribution: &Attribution,
    edge: &CellEdge,
    y: f64,
    unit: &Unit,
) -> Markup {
    let begin = drawing.operations();
    let known = attribution
        .operations
        .iter()
        .find(|known| known.edge == edge.edge && known.operation == edge.operation);
    html! {
        @if let Some(lane) = drawing.of(&edge.from) {
            path.flow d={ "M" (short(lane)) " " (short(y)) "H" (short(begin)) } {}
            circle.dot.s0 cx=(short(lane)) cy=(short(y)) r="3" {}
        }
        path.flow d={ "M" (short(OPERATIONS_END)) " " (short(y)) "H" (short(NODES)) } {}
        g {
            title { (edge.edge) ": " (edge.operation) }
            rect.box x=(short(begin)) y=(short(y - 10.0)) width=(short(OPERATIONS_END - begin)) height="20" rx="4" {}
            text.label x=(short(begin + 6.0)) y=(short(y + 4.0)) { (edge.operation) }
            text x=(short(OPERATIONS_END - 6.0)) y=(short(y + 4.0)) text-anchor="end" { (known.map(|known| last(known, unit)).unwrap_or_default()) }
        }
    }
}

/// The last value, with its interval's half-width: `0.012 ± 0.001`.
fn last(operation: &AttributedOperation, unit: &Unit) -> String {
    let Some(value) = operation.values.last() else { return String::new() };
    let step = operation.values.len() - 1;
    match operation.half_width(step) {
        Some(half) => {
            format!("{} ± {}", number::fixed(*value / unit.size, 3), number::fixed(half / unit.size, 3))
        }
        None => number::fixed(*value / unit.size, 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn every_operation_leads_from_a_value_to_its_node() {
        let attribution = &testing::report().attributions[0];
        let cell = attribution.cell.as_ref().unwrap();
        let svg = figure(attribution, cell).into_string();
        // A dot for each input, each operation and each output.
        assert_eq!(svg.matches("<circle").count(), 2 + 2 + 1, "{svg}");
        assert!(svg.contains("0.200 ± 0.039"), "{svg}");
        assert!(svg.contains("skip_connect"));
    }

    #[test]
    fn a_value_that_nothing_reads_has_no_line() {
        let cell = Cell { inputs: vec!["a".to_owned(), "b".to_owned()], ..Cell::default() };
        let svg = figure(&Attribution::default(), &cell).into_string();
        assert!(!svg.contains("class=\"flow\""), "{svg}");
    }
}
