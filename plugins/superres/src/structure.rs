//! Structures: chains of super-blocks.

use std::{fmt, iter};

use nashost_plugin_api::architecture::Spec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::block::{Block, BlockError};

/// A residual block with at least this many layers is split when a mutation is printed.
const SPLIT_AT: usize = 6;

/// A network without its classifier: super-blocks from the image to the last feature map.
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
    /// Not of the form of a spec.
    #[error("not a list of super-blocks: {0}")]
    Form(#[from] serde_json::Error),
    /// No block at all.
    #[error("a structure needs at least one block")]
    Empty,
    /// Blocks with impossible numbers.
    #[error("{}", join(.0))]
    Blocks(Vec<(usize, BlockError)>),
    /// So many layers that the graph would fill the memory.
    #[error("{0} layers are too many: a structure has at most {most}", most = Structure::MAX_LAYERS)]
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
    let lines: Vec<String> = errors
        .iter()
        .map(|Mismatch { block, before, input }| {
            format!("block {block} takes {input} channels, but the block before it gives {before}")
        })
        .collect();
    lines.join("; ")
}

impl Structure {
    /// Largest number of layers of all blocks together; published networks have fewer than 100.
    pub const MAX_LAYERS: usize = 1 << 12;

    /// Checks the numbers of every block, but not whether neighbours fit: mutation repairs that,
    /// and one published initial structure relies on it.
    ///
    /// # Errors
    ///
    /// Fails with everything that is wrong.
    pub fn check_blocks(&self) -> Result<(), StructureError> {
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
        match self.blocks.iter().map(|block| block.layers).sum() {
            layers if layers > Self::MAX_LAYERS => Err(StructureError::TooDeep(layers)),
            _ => Ok(()),
        }
    }

    /// Checks that each block takes what the block before it gives.
    ///
    /// # Errors
    ///
    /// Fails with every pair that disagrees.
    pub fn check_channels(&self) -> Result<(), StructureError> {
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

    /// Splits residual blocks of six layers or more into one of three layers and the rest, once
    /// each: the rest may still be long.
    #[must_use]
    pub fn split(self) -> Self {
        let blocks = self.blocks.into_iter().flat_map(|block| {
            let long = block.kind.is_residual() && block.layers >= SPLIT_AT;
            let rest = long.then(|| Block {
                input: block.output,
                stride: 1,
                layers: block.layers - SPLIT_AT / 2,
                ..block.clone()
            });
            let first = Block { layers: if long { SPLIT_AT / 2 } else { block.layers }, ..block };
            iter::once(first).chain(rest)
        });
        Self { blocks: blocks.collect() }
    }

    /// Reads the JSON text of a spec.
    ///
    /// # Errors
    ///
    /// As [`Structure::try_from`].
    pub fn from_json(text: &str) -> Result<Self, StructureError> {
        let structure: Self = serde_json::from_str(text)?;
        structure.check_blocks()?;
        Ok(structure)
    }

    /// Writes the structure as the JSON text of a spec.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("blocks are plain numbers and names")
    }

    /// Writes the structure as a spec.
    pub fn to_spec(&self) -> Spec {
        serde_json::to_value(self).expect("blocks are plain numbers and names")
    }
}

impl TryFrom<&Spec> for Structure {
    type Error = StructureError;

    fn try_from(spec: &Spec) -> Result<Self, StructureError> {
        let structure = Self::deserialize(spec)?;
        structure.check_blocks()?;
        Ok(structure)
    }
}

impl fmt::Display for Structure {
    /// Writes the structure in PlainNet form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.blocks.iter().try_for_each(|block| block.fmt(f))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plainnet::parse;

    #[test]
    fn a_spec_is_a_readable_list() {
        let structure = parse("SuperConvK3BNRELU(3,8,1,1)SuperResK1K5K1(8,16,2,8,2)").unwrap();
        let spec = json!([
            {"block": "SuperConvK3BNRELU", "in": 3, "out": 8, "stride": 1, "layers": 1},
            {"block": "SuperResK1K5K1", "in": 8, "out": 16, "stride": 2, "bottleneck": 8, "layers": 2},
        ]);
        assert_eq!(structure.to_spec(), spec);
        assert_eq!(Structure::try_from(&spec).unwrap(), structure);
        assert_eq!(structure.to_json(), spec.to_string());
        assert_eq!(Structure::from_json(&spec.to_string()).unwrap(), structure);
    }

    #[test]
    fn wrong_specs_are_refused_with_the_place() {
        let error = |spec| Structure::try_from(&spec).unwrap_err().to_string();
        assert_eq!(error(json!([])), "a structure needs at least one block");
        let spec = json!([
            {"block": "SuperConvK3BNRELU", "in": 3, "out": 8, "stride": 0, "layers": 1},
            {"block": "SuperResK3K3", "in": 8, "out": 8, "stride": 1, "layers": 1},
        ]);
        assert_eq!(
            error(spec),
            "block 0: SuperConvK3BNRELU: `stride` is 0, must be 1 to 64; \
             block 1: SuperResK3K3: `bottleneck` is missing"
        );
        let spec = json!([{"block": "SuperResK3K5", "in": 3, "out": 8, "stride": 1, "layers": 1}]);
        assert!(error(spec).contains("unknown super-block `SuperResK3K5`, did you mean `SuperRes"));
    }

    /// A text of 64 KiB could otherwise ask for a graph of millions of nodes.
    #[test]
    fn structures_are_not_deeper_than_memory_allows() {
        let of = |blocks: usize| {
            let block = r#"{"block":"SuperResK1K3K1","in":8,"out":8,"stride":1,"bottleneck":8,"layers":256}"#;
            Structure::from_json(&format!("[{}]", vec![block; blocks].join(",")))
        };
        assert!(of(16).is_ok());
        assert_eq!(of(17).unwrap_err().to_string(), "4352 layers are too many: a structure has at most 4096");
    }

    #[test]
    fn split_cuts_long_residual_blocks_once() {
        let text = "SuperConvK3BNRELU(3,8,1,7)SuperResK3K3(8,16,2,8,5)SuperResK1K3K1(16,24,2,8,9)";
        let once = parse(text).unwrap().split();
        assert_eq!(
            once.to_string(),
            "SuperConvK3BNRELU(3,8,1,7)SuperResK3K3(8,16,2,8,5)\
             SuperResK1K3K1(16,24,2,8,3)SuperResK1K3K1(24,24,1,8,6)"
        );
        assert!(
            once.split().to_string().ends_with(
                "SuperResK1K3K1(16,24,2,8,3)SuperResK1K3K1(24,24,1,8,3)SuperResK1K3K1(24,24,1,8,3)"
            )
        );
    }

    #[test]
    fn threading_repairs_what_check_channels_refuses() {
        let text = "SuperConvK3BNRELU(3,32,2,1)SuperResK3K3(32,64,2,32,1)SuperConvK1BNRELU(256,512,1,1)";
        let mut structure = parse(text).unwrap();
        assert_eq!(
            structure.check_channels().unwrap_err().to_string(),
            "block 2 takes 256 channels, but the block before it gives 64"
        );
        structure.thread();
        assert!(structure.check_channels().is_ok());
        assert!(structure.to_string().ends_with("SuperConvK1BNRELU(64,512,1,1)"));
    }
}
