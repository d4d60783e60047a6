//! What the report of a run shows of a search: values over time, the derived cells, the work.

use nashost_cells::{CellType, Edge, Genotype, SEARCHED};
use nashost_shapley_supernet::{
    SearchResult,
    space::{CellType as Kind, NODES, Player},
};
use serde_json::{Value, json};

/// Inputs of a cell: the outputs of the two cells before it.
const INPUTS: [&str; 2] = ["cell k−2", "cell k−1"];

/// Name of a value in a cell: an input, or a node.
fn value(index: usize) -> String {
    INPUTS.get(index).map_or_else(|| index.to_string(), |input| input.replace("cell ", ""))
}

/// Name of the edge from value `from` to node `to`.
fn edge(from: usize, to: usize) -> String {
    format!("{} → {to}", value(from))
}

/// Names of the edges of a supernet's cell in their order: node after node, and within a node by what
/// they read.
fn edges() -> impl Iterator<Item = (usize, usize)> {
    (INPUTS.len()..INPUTS.len() + NODES).flat_map(|to| (0..to).map(move |from| (from, to)))
}

/// The report's part of the details of a search; its form is that of `docs/plugin-author.md`.
pub(super) fn report(found: &SearchResult, genotype: &Genotype) -> Value {
    let cells = [(Kind::Normal, CellType::Normal), (Kind::Reduce, CellType::Reduce)];
    json!({
        "attributions": cells.map(|(kind, cell)| attribution(found, genotype, kind, cell)),
        "counts": [
            {"name": "images to train weights, forward and backward", "count": found.cost.training},
            {"name": "images to value operations, forward", "count": found.cost.forward},
            {"name": "images to value operations, backward", "count": found.cost.backward},
        ],
    })
}

fn attribution(found: &SearchResult, genotype: &Genotype, kind: Kind, cell: CellType) -> Value {
    let derived = genotype.edges(cell);
    let node = |index: usize| index / 2 + INPUTS.len();
    let operations = edges().enumerate().flat_map(|(place, (from, to))| {
        SEARCHED.iter().enumerate().map(move |(op, operation)| {
            let player = Player { cell: kind, edge: place, op }.index();
            let over_time = |table: fn(&nashost_shapley_supernet::Values) -> &Vec<f64>| -> Vec<f64> {
                found.history.iter().map(|record| table(&record.values)[player]).collect()
            };
            let is = |(index, edge): (usize, &Edge)| (node(index), *edge) == (to, (*operation, from));
            json!({
                "edge": edge(from, to),
                "operation": operation.name(),
                "values": over_time(|values| &values.mean),
                "standard_errors": over_time(|values| &values.error),
                "chosen": derived.iter().enumerate().any(is),
            })
        })
    });
    let nodes = derived.chunks(2).enumerate().map(|(place, edges)| {
        let to = place + INPUTS.len();
        let edges = edges.iter().map(|(operation, from)| {
            let name = INPUTS.get(*from).map_or_else(|| from.to_string(), |input| (*input).to_owned());
            json!({"from": name, "operation": operation.name(), "edge": edge(*from, to)})
        });
        json!({"name": to.to_string(), "edges": edges.collect::<Vec<_>>()})
    });
    json!({
        "title": match cell { CellType::Normal => "normal cell", CellType::Reduce => "reduction cell" },
        "unit": "epoch",
        "steps": found.history.iter().map(|record| record.epoch + 1).collect::<Vec<_>>(),
        "operations": operations.collect::<Vec<_>>(),
        "cell": {
            "inputs": INPUTS,
            "nodes": nodes.collect::<Vec<_>>(),
            "outputs": genotype.concat(cell).iter().map(usize::to_string).collect::<Vec<_>>(),
        },
    })
}
