//! From the architecture parameters of a supernet to a genotype.

use crate::{CellError, Edge, Genotype, SEARCHED};

/// Edges of a searched cell: each of its four nodes reads every earlier one.
pub const EDGES: usize = 14;
/// Nodes of a searched cell.
pub const NODES: usize = 4;
/// Edges that a node keeps.
const KEPT: usize = 2;

/// Architecture parameters of one cell, row by edge: first those that lead to node 2 from nodes 0 and
/// 1, then those that lead to node 3 from nodes 0, 1 and 2, and so on.
pub type Alphas = [[f64; SEARCHED.len()]; EDGES];

/// Reads the parameters of a cell from a row-major list.
///
/// # Errors
///
/// Fails if there are not 98 numbers, or one is not finite.
pub fn alphas(values: &[f64]) -> Result<Alphas, CellError> {
    let expected = EDGES * SEARCHED.len();
    if values.len() != expected {
        return Err(CellError::AlphaCount { expected, found: values.len() });
    }
    let mut alphas = [[0.0; SEARCHED.len()]; EDGES];
    for (i, &value) in values.iter().enumerate() {
        let (edge, operation) = (i / SEARCHED.len(), i % SEARCHED.len());
        if !value.is_finite() {
            return Err(CellError::AlphaNotFinite { edge, operation });
        }
        alphas[edge][operation] = value;
    }
    Ok(alphas)
}

/// Derives the genotype of a supernet from the parameters of its normal and reduction cells.
///
/// The strength of an edge is the largest of its softmax weights. Each node keeps its two strongest
/// edges, the stronger first, and each edge its strongest operation; between equals the earlier node
/// and the earlier operation win.
///
/// # Errors
///
/// Fails if a parameter is not finite.
pub fn genotype(normal: &Alphas, reduce: &Alphas) -> Result<Genotype, CellError> {
    Ok(Genotype::searched(cell(normal)?, cell(reduce)?))
}

fn cell(alphas: &Alphas) -> Result<Vec<Edge>, CellError> {
    let mut edges = Vec::with_capacity(NODES * KEPT);
    let mut first = 0;
    for node in 0..NODES {
        let inputs = node + 2;
        let mut strongest = Vec::with_capacity(inputs);
        for input in 0..inputs {
            let edge = first + input;
            if let Some(operation) = alphas[edge].iter().position(|alpha| !alpha.is_finite()) {
                return Err(CellError::AlphaNotFinite { edge, operation });
            }
            let (operation, weight) = strongest_weight(&alphas[edge]);
            strongest.push((weight, SEARCHED[operation], input));
        }
        // A stable sort: equals stay in the order of their inputs.
        strongest.sort_by(|a, b| b.0.total_cmp(&a.0));
        edges.extend(strongest.into_iter().take(KEPT).map(|(_, operation, input)| (operation, input)));
        first += inputs;
    }
    Ok(edges)
}

/// Returns the operation with the largest softmax weight, and that weight in the precision of the
/// published codes, which decides ties.
fn strongest_weight(alphas: &[f64; SEARCHED.len()]) -> (usize, f32) {
    let largest = alphas.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights = alphas.map(|alpha| (alpha - largest).exp());
    let sum: f64 = weights.iter().sum();
    let weights = weights.map(|weight| (weight / sum) as f32);
    let mut best = 0;
    for (operation, weight) in weights.iter().enumerate() {
        if *weight > weights[best] {
            best = operation;
        }
    }
    (best, weights[best])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Operation;

    #[test]
    fn equals_go_to_the_earlier_node_and_operation() {
        let genotype = genotype(&[[0.0; 7]; EDGES], &[[-3.5; 7]; EDGES]).unwrap();
        for edges in [&genotype.normal, &genotype.reduce] {
            assert!(edges.iter().all(|edge| edge.0 == Operation::AvgPool3x3));
            assert!(edges.chunks(2).all(|pair| (pair[0].1, pair[1].1) == (0, 1)));
        }
    }

    #[test]
    fn strength_is_a_softmax_weight_and_not_a_parameter() {
        let mut normal = [[0.0; 7]; EDGES];
        // Edge 2 (node 3 from node 0) has the largest parameter, but its rivals are as large.
        normal[2] = [9.0; 7];
        normal[3][6] = 1.0;
        normal[4][4] = 2.0;
        let genotype = genotype(&normal, &[[0.0; 7]; EDGES]).unwrap();
        assert_eq!(genotype.normal[2..4], [(Operation::SepConv5x5, 2), (Operation::DilConv5x5, 1)]);
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let mut values = vec![0.0; 98];
        assert!(alphas(&values).is_ok());
        assert_eq!(alphas(&values[1..]), Err(CellError::AlphaCount { expected: 98, found: 97 }));
        values[15] = f64::NAN;
        assert_eq!(alphas(&values), Err(CellError::AlphaNotFinite { edge: 2, operation: 1 }));
        let mut table = [[0.0; 7]; EDGES];
        table[13][6] = f64::INFINITY;
        let error = genotype(&[[0.0; 7]; EDGES], &table).unwrap_err();
        assert_eq!(error, CellError::AlphaNotFinite { edge: 13, operation: 6 });
    }
}
