//! Structures: chains of blocks.

use std::iter;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::block::{Block, BlockError};

/// A network without its classifier: blocks from the image to the last feature map.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Structure {
    /// The blocks, in order.
    #[schemars(length(min = 1))]
    pub blocks: Vec<Block>,
}

/// A structure that makes no network.
#[derive(Debug, thiserror::Error)]
pub enum StructureError {
    /// Not of the form of a structure.
    #[error("not a list of TinyNAS blocks: {0}")]
    Form(#[from] serde_json::Error),
    /// No block at all.
    #[error("a structure needs at least one block")]
    Empty,
    /// Blocks with impossible values, with their positions from 0.
    #[error("{}", join(.0))]
    Blocks(Vec<(usize, BlockError)>),
    /// So many units that the graph would fill the memory.
    #[error("{0} units are too many: a structure has at most {most}", most = Structure::MAX_UNITS)]
    TooDeep(usize),
    /// Neighbours that disagree on the number of channels.
    #[error("{}", mismatch(.0))]
    Channels(Vec<Mismatch>),
}

/// Two neighbouring blocks of different widths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Position of the second block, from 0.
    pub block: usize,
    /// Output channels of the block before it.
    pub before: usize,
    /// Its input channels.
    pub input: usize,
}

fn join(errors: &[(usize, BlockError)]) -> String {
    let lines: Vec<String> = errors.iter().map(|(block, error)| format!("block {block}: {error}")).collect();
    lines.join("; ")
}

fn mismatch(errors: &[Mismatch]) -> String {
    let line = |Mismatch { block, before, input }: &Mismatch| {
        format!("block {block} takes {input} channels, but the block before it gives {before}")
    };
    errors.iter().map(line).collect::<Vec<_>>().join("; ")
}

impl Structure {
    /// Largest number of units of all blocks together; published networks have fewer than 100.
    pub const MAX_UNITS: usize = 1 << 12;

    /// Checks every block, and that each takes what the block before it gives.
    ///
    /// # Errors
    ///
    /// Fails with everything that is wrong with the blocks, or else with every pair of neighbours
    /// that disagrees.
    pub fn check(&self) -> Result<(), StructureError> {
        if self.blocks.is_empty() {
            return Err(StructureError::Empty);
        }
        let errors: Vec<_> = self
            .blocks
            .iter()
            .enumerate()
            .filter_map(|(index, block)| Some((index, block.check().err()?)))
            .flat_map(|(index, errors)| errors.into_iter().map(move |error| (index, error)))
            .collect();
        if !errors.is_empty() {
            return Err(StructureError::Blocks(errors));
        }
        let units = self.blocks.iter().map(Block::depth).sum();
        if units > Self::MAX_UNITS {
            return Err(StructureError::TooDeep(units));
        }
        let errors: Vec<Mismatch> = iter::zip(&self.blocks, self.blocks.iter().skip(1))
            .enumerate()
            .filter(|(_, (before, block))| before.output != block.input)
            .map(|(index, (before, block))| Mismatch {
                block: index + 1,
                before: before.output,
                input: block.input,
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(StructureError::Channels(errors)) }
    }

    /// Sets the input channels of every block but the first to what the block before it gives.
    pub fn thread(&mut self) {
        let mut channels = self.blocks.first().map_or(0, |block| block.input);
        for block in &mut self.blocks {
            block.input = channels;
            channels = block.output;
        }
    }

    /// Number of units of each super-block, in order.
    pub fn depths(&self) -> impl Iterator<Item = usize> + Clone {
        self.blocks.iter().filter_map(|block| block.units)
    }

    /// Writes the structure as a spec.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("blocks are plain numbers and names")
    }
}

impl TryFrom<&Value> for Structure {
    type Error = StructureError;

    fn try_from(value: &Value) -> Result<Self, StructureError> {
        let mut structure = Self::deserialize(value)?;
        structure.check()?;
        structure.blocks.iter_mut().for_each(Block::normalize);
        Ok(structure)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_is_the_official_list() {
        let spec = json!([
            {"class": "ConvKXBNRELU", "in": 3, "out": 32, "s": 2, "k": 3},
            {"class": "SuperResK1KXK1", "in": 32, "out": 96, "s": 2, "k": 5, "L": 2, "btn": 40},
        ]);
        let structure = Structure::try_from(&spec).unwrap();
        assert_eq!(structure.to_value(), spec);
        assert_eq!(structure.depths().collect::<Vec<_>>(), [2]);
        let mut official = spec;
        official[1]["inner_class"] = json!("ResK1KXK1");
        assert_eq!(Structure::try_from(&official).unwrap(), structure);
    }

    #[test]
    fn wrong_specs_are_refused_with_the_place() {
        let error = |spec| Structure::try_from(&spec).unwrap_err().to_string();
        assert_eq!(error(json!([])), "a structure needs at least one block");
        assert_eq!(
            error(json!([
                {"class": "ConvKXBNRELU", "in": 3, "out": 8, "s": 0, "k": 3},
                {"class": "SuperResK1KXK1", "in": 8, "out": 8, "k": 3, "L": 1},
            ])),
            "block 0: ConvKXBNRELU: `s` is 0, must be 1 to 2; block 1: SuperResK1KXK1: `btn` is missing"
        );
        assert_eq!(
            error(json!([
                {"class": "ConvKXBNRELU", "in": 3, "out": 8, "k": 3},
                {"class": "ConvKXBNRELU", "in": 16, "out": 8, "k": 3},
            ])),
            "block 1 takes 16 channels, but the block before it gives 8"
        );
        let deep = json!({"class": "SuperResKXKX", "in": 8, "out": 8, "k": 3, "L": 256, "btn": 8});
        assert_eq!(error(json!(vec![deep; 17])), "4352 units are too many: a structure has at most 4096");
        let quantized = json!([{"class": "ConvKXBNRELU", "in": 3, "out": 8, "k": 3, "nbitsA": 4}]);
        assert!(error(quantized).contains("unknown field `nbitsA`"));
    }
}
