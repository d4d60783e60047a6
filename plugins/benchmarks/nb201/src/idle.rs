//! Operations that do nothing.

use nashost_cells::{CellStructure, Nb201Op};

/// Nodes of a cell.
const NODES: usize = 4;
/// Input and output node of each edge, in the order of a cell.
const EDGES: [(usize, usize); 6] = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)];

/// Returns the cell with `none` in place of every operation that lies on no path from its input to
/// its output: the network that computes the same. (A convolution of nothing is the bias of its batch
/// normalisation, which is left out of account.)
///
/// Of the 15,625 cells, 9,445 are their own; Kadlecová et al. call those valid.
pub fn essential(cell: CellStructure) -> CellStructure {
    let passes = |edge: usize| cell.0[edge] != Nb201Op::None;
    let mut fed = [true, false, false, false];
    let mut read = [false, false, false, true];
    for node in 1..NODES {
        fed[node] = (0..EDGES.len()).any(|edge| EDGES[edge].1 == node && passes(edge) && fed[EDGES[edge].0]);
    }
    for node in (0..NODES - 1).rev() {
        read[node] =
            (0..EDGES.len()).any(|edge| EDGES[edge].0 == node && passes(edge) && read[EDGES[edge].1]);
    }
    CellStructure(std::array::from_fn(|edge| {
        let (from, to) = EDGES[edge];
        if fed[from] && read[to] { cell.0[edge] } else { Nb201Op::None }
    }))
}

/// Returns the number of operations other than `none` that lie on no path from a cell's input to its
/// output.
pub fn idle(cell: CellStructure) -> usize {
    cell.0.iter().zip(essential(cell).0).filter(|(before, after)| **before != *after).count()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// All 15,625 cells.
    fn cells() -> impl Iterator<Item = CellStructure> {
        let digit = |code: usize, edge: u32| Nb201Op::ALL[code / 5_usize.pow(edge) % 5];
        (0..15_625).map(move |code| CellStructure(std::array::from_fn(|edge| digit(code, edge as u32))))
    }

    #[test]
    fn as_many_cells_are_valid_as_published() {
        let valid: HashSet<CellStructure> = cells().filter(|&cell| idle(cell) == 0).collect();
        assert_eq!(valid.len(), 9445);
        for cell in cells() {
            assert!(valid.contains(&essential(cell)), "{cell}");
            assert_eq!(idle(cell) == 0, essential(cell) == cell, "{cell}");
        }
    }

    #[test]
    fn what_lies_on_no_path_is_idle() {
        let parse = |text: &str| text.parse::<CellStructure>().unwrap();
        // The example of the authors: node 2 is fed by nothing, so the last convolution has no input.
        let starved =
            parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|skip_connect~1|nor_conv_3x3~2|");
        assert_eq!(idle(starved), 1);
        assert_eq!(
            essential(starved),
            parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|skip_connect~1|none~2|")
        );
        // Nothing reads node 1; with it goes what feeds it.
        let unread = parse("|avg_pool_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|nor_conv_3x3~2|");
        assert_eq!(idle(unread), 1);
        // Node 3 gets nothing at all.
        let cut = parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|none~1|none~2|");
        assert_eq!((idle(cut), essential(cut)), (3, CellStructure([Nb201Op::None; 6])));
    }
}
