//! A structure: the choices made in every block.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::program::MAX_BLOCKS;

/// The choice made in one block.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Output width.
    pub width: u32,
    /// Bottleneck width; 0 for a plain convolution.
    pub neck: u32,
    /// Side of the kernel.
    pub kernel: u32,
    /// Number of units.
    pub depth: u32,
}

/// A structure, block by block. It is small and copied freely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<Choice>", into = "Vec<Choice>")]
pub struct Design {
    len: usize,
    choices: [Choice; MAX_BLOCKS],
}

impl Design {
    /// Returns the choices, stem first.
    pub fn choices(&self) -> &[Choice] {
        &self.choices[..self.len]
    }

    /// Returns the choices for change.
    pub fn choices_mut(&mut self) -> &mut [Choice] {
        &mut self.choices[..self.len]
    }
}

impl FromIterator<Choice> for Design {
    /// Gathers up to [`MAX_BLOCKS`] choices; [`crate::chain::Chain::evaluate`] refuses a structure of
    /// the wrong length.
    fn from_iter<I: IntoIterator<Item = Choice>>(choices: I) -> Self {
        let mut design = Self { len: 0, choices: [Choice::default(); MAX_BLOCKS] };
        for choice in choices.into_iter().take(MAX_BLOCKS) {
            design.choices[design.len] = choice;
            design.len += 1;
        }
        design
    }
}

impl From<Vec<Choice>> for Design {
    fn from(choices: Vec<Choice>) -> Self {
        choices.into_iter().collect()
    }
}

impl From<Design> for Vec<Choice> {
    fn from(design: Design) -> Self {
        design.choices().to_vec()
    }
}
