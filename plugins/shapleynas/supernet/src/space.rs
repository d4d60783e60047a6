//! The search space: operations, edges and players, in the order of the official code.

use serde::{Deserialize, Serialize};

/// The operations of an edge; their place is their index. DARTS' `none` is not among them.
pub const OPS: [&str; OP_COUNT] = [
    "avg_pool_3x3",
    "max_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
];

/// Operations of an edge.
pub const OP_COUNT: usize = 7;
/// Intermediate nodes of a cell. Node `i` has an edge from each of the cell's two inputs and from
/// every earlier node.
pub const NODES: usize = 4;
/// Edges of a cell, node after node, and within a node by the state they come from.
pub const EDGES: usize = 14;
/// Players: an operation of an edge of a cell type, in all cells of that type at once.
pub const PLAYERS: usize = 2 * EDGES * OP_COUNT;

/// One number for each operation of each edge of a cell type.
pub type Table = [[f64; OP_COUNT]; EDGES];

/// The tables of the normal and of the reduction cells.
pub type Tables = [Table; 2];

/// The two kinds of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellType {
    /// Keeps size and channels.
    Normal,
    /// Halves the size and doubles the channels.
    Reduce,
}

impl CellType {
    /// Both, in the order of [`Tables`].
    pub const ALL: [Self; 2] = [Self::Normal, Self::Reduce];

    /// Returns the place in [`Tables`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// A player of the game.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Player {
    /// Which cells it is in.
    pub cell: CellType,
    /// The edge, below [`EDGES`].
    pub edge: usize,
    /// The operation, below [`OP_COUNT`].
    pub op: usize,
}

impl Player {
    /// Returns the place among [`PLAYERS`]: by cell type, edge, operation.
    pub fn index(self) -> usize {
        (self.cell.index() * EDGES + self.edge) * OP_COUNT + self.op
    }

    /// Returns the player at `index`.
    ///
    /// # Panics
    ///
    /// Panics unless `index` is below [`PLAYERS`].
    pub fn at(index: usize) -> Self {
        assert!(index < PLAYERS, "player {index} of {PLAYERS}");
        let cell = CellType::ALL[index / (EDGES * OP_COUNT)];
        Self { cell, edge: index / OP_COUNT % EDGES, op: index % OP_COUNT }
    }
}

/// Returns the edges into node `node` (0 to 3), by the state that they come from.
pub fn edges_into(node: usize) -> std::ops::Range<usize> {
    let first = node * (node + 3) / 2;
    first..first + node + 2
}

/// Returns the edge from state `state` (0 and 1 are the cell's inputs) into node `node`, if there
/// is one.
pub fn edge(state: usize, node: usize) -> Option<usize> {
    (state < node + 2).then(|| edges_into(node).start + state)
}

/// Returns values in the order of players as tables.
///
/// # Panics
///
/// Panics unless there are [`PLAYERS`] values.
pub fn tables(values: &[f64]) -> Tables {
    assert_eq!(values.len(), PLAYERS);
    let mut tables = [[[0.0; OP_COUNT]; EDGES]; 2];
    for (index, &value) in values.iter().enumerate() {
        let Player { cell, edge, op } = Player::at(index);
        tables[cell.index()][edge][op] = value;
    }
    tables
}

/// Returns the softmax of every edge.
pub fn softmax(alphas: &Tables) -> Tables {
    alphas.map(|table| {
        table.map(|edge| {
            let largest = edge.into_iter().fold(f64::NEG_INFINITY, f64::max);
            let exp = edge.map(|alpha| (alpha - largest).exp());
            let sum: f64 = exp.iter().sum();
            exp.map(|value| value / sum)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn players_are_ordered_by_cell_edge_and_operation() {
        for index in 0..PLAYERS {
            assert_eq!(Player::at(index).index(), index);
        }
        assert_eq!(Player::at(100), Player { cell: CellType::Reduce, edge: 0, op: 2 });
    }

    #[test]
    fn edges_are_ordered_by_node() {
        assert_eq!([0, 1, 2, 3].map(edges_into), [0..2, 2..5, 5..9, 9..14]);
        assert_eq!((edge(1, 0), edge(2, 0), edge(4, 3)), (Some(1), None, Some(13)));
    }

    #[test]
    fn softmax_sums_to_one_and_does_not_overflow() {
        let mut alphas = [[[0.0; OP_COUNT]; EDGES]; 2];
        alphas[1][3] = [1000.0, 999.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let softmax = softmax(&alphas);
        assert!((softmax[0][0][4] - 1.0 / 7.0).abs() < 1e-12);
        assert!((softmax[1][3][0] - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-12);
    }
}
