//! What can be wrong with a cell or a network made of cells.

/// Why a cell or network cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CellError {
    /// A list of edges that makes no cell.
    #[error("`{cell}` has {edges} edges; a cell has two for each node and at least one node")]
    EdgeCount {
        /// `normal` or `reduce`.
        cell: &'static str,
        /// How many there are.
        edges: usize,
    },
    /// An edge from a node that comes later.
    #[error("`{cell}`, node {node}: its input {input} does not come before it")]
    Input {
        /// `normal` or `reduce`.
        cell: &'static str,
        /// The node; 0 and 1 are the inputs of the cell.
        node: usize,
        /// The input named.
        input: usize,
    },
    /// An output of no node.
    #[error("`{cell}_concat` must name nodes from 2 to {last}, each once and in order, and it is {concat:?}")]
    Concat {
        /// `normal` or `reduce`.
        cell: &'static str,
        /// Number of the last node.
        last: usize,
        /// The list.
        concat: Vec<usize>,
    },
    /// A text that is no genotype or cell.
    #[error("not a {what}: expected {expected} at `{found}`")]
    Text {
        /// `genotype` or `NAS-Bench-201 cell`.
        what: &'static str,
        /// What should come.
        expected: String,
        /// The beginning of what comes.
        found: String,
    },
    /// Architecture parameters of the wrong number.
    #[error("a cell has {expected} architecture parameters, found {found}")]
    AlphaCount {
        /// 14 edges of 7 operations.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// Architecture parameters that cannot be compared.
    #[error("architecture parameter of edge {edge}, operation {operation} is not a finite number")]
    AlphaNotFinite {
        /// The edge.
        edge: usize,
        /// The operation.
        operation: usize,
    },
    /// A network without channels, cells or image.
    #[error("`{0}` must be at least 1")]
    NotPositive(&'static str),
    /// A network of so many edges that its graph would fill the memory.
    #[error("{cells} cells of {edges} edges each are too many: a network has at most {most} edges")]
    TooLarge {
        /// Number of cells.
        cells: usize,
        /// Edges of the larger kind of cell.
        edges: usize,
        /// What all cells may have together.
        most: usize,
    },
    /// A reduction cell that is not there.
    #[error("`reductions` names cell {cell}, but there are {layers} cells, counted from 0")]
    Reduction {
        /// The cell named.
        cell: usize,
        /// Number of cells.
        layers: usize,
    },
    /// A probability that is none.
    #[error("`drop_path` must lie in 0…1, without 1")]
    DropPath,
    /// A weight that is none.
    #[error("`auxiliary` must be 0 or more")]
    AuxiliaryWeight,
    /// A map that the auxiliary classifier cannot pool.
    #[error(
        "the auxiliary classifier needs a map of {least}×{least} or more, and the cell two thirds of the \
         way gives {}×{}: set `auxiliary` to 0, or make the images larger", found[0], found[1]
    )]
    AuxiliaryMap {
        /// Rows and columns.
        found: [usize; 2],
        /// What they must be.
        least: usize,
    },
    /// A network whose graph is not valid.
    #[error("these settings make no network: {0}")]
    Graph(#[from] nashost_plugin_api::graph::GraphError),
}
