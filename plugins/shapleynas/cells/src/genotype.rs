//! What the cells of a DARTS network are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CellError, Operation};

/// An edge of a cell: an operation and the node it reads. Nodes 0 and 1 are the inputs of the cell,
/// the outputs of the two cells before it.
pub type Edge = (Operation, usize);

/// The two kinds of cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CellType {
    /// Keeps the size of the map.
    Normal,
    /// Halves it.
    Reduce,
}

impl CellType {
    /// Both, in the order of the published codes.
    pub const ALL: [Self; 2] = [Self::Normal, Self::Reduce];

    /// Returns the name in the published codes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Reduce => "reduce",
        }
    }
}

/// The two cells of a network, as the published codes write them: edges `2i` and `2i + 1` lead to
/// node `i + 2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Genotype {
    /// Edges of the normal cell.
    pub normal: Vec<Edge>,
    /// Nodes whose values, joined, are the normal cell's output.
    #[serde(default = "four_nodes")]
    pub normal_concat: Vec<usize>,
    /// Edges of the reduction cell.
    pub reduce: Vec<Edge>,
    /// Nodes whose values, joined, are the reduction cell's output.
    #[serde(default = "four_nodes")]
    pub reduce_concat: Vec<usize>,
}

/// The nodes of a searched cell.
pub(crate) fn four_nodes() -> Vec<usize> {
    vec![2, 3, 4, 5]
}

impl Genotype {
    /// The genotype of two searched cells: four nodes each, all of which are outputs.
    pub fn searched(normal: Vec<Edge>, reduce: Vec<Edge>) -> Self {
        Self { normal, normal_concat: four_nodes(), reduce, reduce_concat: four_nodes() }
    }

    /// Returns the edges of a cell.
    pub fn edges(&self, cell: CellType) -> &[Edge] {
        match cell {
            CellType::Normal => &self.normal,
            CellType::Reduce => &self.reduce,
        }
    }

    pub(crate) fn edges_mut(&mut self, cell: CellType) -> &mut [Edge] {
        match cell {
            CellType::Normal => &mut self.normal,
            CellType::Reduce => &mut self.reduce,
        }
    }

    /// Returns the nodes whose values are the output of a cell.
    pub fn concat(&self, cell: CellType) -> &[usize] {
        match cell {
            CellType::Normal => &self.normal_concat,
            CellType::Reduce => &self.reduce_concat,
        }
    }

    /// Checks that both cells can be built.
    ///
    /// # Errors
    ///
    /// Fails if edges are missing or read what comes later, or an output is no node.
    pub fn check(&self) -> Result<(), CellError> {
        for kind in CellType::ALL {
            let (edges, concat, cell) = (self.edges(kind), self.concat(kind), kind.name());
            if edges.is_empty() || edges.len() % 2 == 1 {
                return Err(CellError::EdgeCount { cell, edges: edges.len() });
            }
            for (edge, &(_, input)) in edges.iter().enumerate() {
                let node = edge / 2 + 2;
                if input >= node {
                    return Err(CellError::Input { cell, node, input });
                }
            }
            let last = edges.len() / 2 + 1;
            let ordered = concat.windows(2).all(|pair| pair[0] < pair[1]);
            let nodes = concat.iter().all(|node| (2..=last).contains(node));
            if concat.is_empty() || !ordered || !nodes {
                return Err(CellError::Concat { cell, last, concat: concat.to_vec() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::preset;

    #[test]
    fn json_is_that_of_the_published_lists() {
        let genotype = preset::find("shapley-nas-cifar10").unwrap();
        let json = serde_json::to_value(&genotype).unwrap();
        assert_eq!(json["normal"][5], json!(["skip_connect", 3]));
        assert_eq!(json["reduce_concat"], json!([2, 3, 4, 5]));
        assert_eq!(serde_json::from_value::<Genotype>(json.clone()).unwrap(), genotype);
        let mut short = json.clone();
        short.as_object_mut().unwrap().remove("normal_concat");
        assert_eq!(serde_json::from_value::<Genotype>(short).unwrap(), genotype);
        let mut unknown = json;
        unknown["normal"][0][0] = "sep_conv_9x9".into();
        assert!(serde_json::from_value::<Genotype>(unknown).is_err());
    }

    #[test]
    fn what_makes_no_cell_is_refused() {
        let good = preset::find("darts-v2").unwrap();
        good.check().unwrap();
        let changed = |change: fn(&mut Genotype)| {
            let mut genotype = good.clone();
            change(&mut genotype);
            genotype.check().unwrap_err().to_string()
        };
        assert!(changed(|g| g.normal.truncate(7)).contains("7 edges"));
        assert!(changed(|g| g.reduce.clear()).contains("`reduce` has 0"));
        assert!(changed(|g| g.reduce[2].1 = 3).contains("node 3: its input 3"));
        for concat in [vec![], vec![1, 2], vec![3, 2], vec![2, 2], vec![6]] {
            let mut genotype = good.clone();
            genotype.normal_concat = concat;
            let error = genotype.check().unwrap_err();
            assert!(matches!(error, CellError::Concat { last: 5, .. }), "{error}");
        }
    }
}
