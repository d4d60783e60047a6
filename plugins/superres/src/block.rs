//! Super-blocks: the words of the language.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The class of a super-block: one of the official code's 22 names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `SuperConvK{k}BNRELU`: plain convolutions, each with BN and ReLU.
    Conv {
        /// Side of the kernel: 1, 3, 5 or 7.
        kernel: u32,
    },
    /// `SuperResK{k}K{k}`: ResNet's basic unit, k×k and k×k.
    Basic {
        /// Side of the kernels: 3, 5 or 7.
        kernel: u32,
    },
    /// `SuperResK1K{k}K1`: ResNet's bottleneck unit, 1×1, k×k, 1×1; two units per layer.
    Bottleneck {
        /// Side of the middle kernel: 3, 5 or 7.
        kernel: u32,
    },
    /// `SuperResIDWE{e}K{k}`: 1×1 expansion, k×k depthwise, 1×1 reduction; two units per layer.
    InvertedDepthwise {
        /// Depthwise width over the unit's output width: 1, 2, 4 or 6.
        expansion: u32,
        /// Side of the depthwise kernel: 3, 5 or 7.
        kernel: u32,
    },
}

/// A name that is none of the super-blocks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown super-block `{name}`{}", suggest(.suggestion.as_deref()))]
pub struct UnknownKind {
    name: String,
    suggestion: Option<String>,
}

fn suggest(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

impl Kind {
    /// Every super-block with its name in the official code.
    const NAMES: [(Self, &'static str); 22] = [
        (Self::Conv { kernel: 1 }, "SuperConvK1BNRELU"),
        (Self::Conv { kernel: 3 }, "SuperConvK3BNRELU"),
        (Self::Conv { kernel: 5 }, "SuperConvK5BNRELU"),
        (Self::Conv { kernel: 7 }, "SuperConvK7BNRELU"),
        (Self::Basic { kernel: 3 }, "SuperResK3K3"),
        (Self::Basic { kernel: 5 }, "SuperResK5K5"),
        (Self::Basic { kernel: 7 }, "SuperResK7K7"),
        (Self::Bottleneck { kernel: 3 }, "SuperResK1K3K1"),
        (Self::Bottleneck { kernel: 5 }, "SuperResK1K5K1"),
        (Self::Bottleneck { kernel: 7 }, "SuperResK1K7K1"),
        (Self::InvertedDepthwise { expansion: 1, kernel: 3 }, "SuperResIDWE1K3"),
        (Self::InvertedDepthwise { expansion: 2, kernel: 3 }, "SuperResIDWE2K3"),
        (Self::InvertedDepthwise { expansion: 4, kernel: 3 }, "SuperResIDWE4K3"),
        (Self::InvertedDepthwise { expansion: 6, kernel: 3 }, "SuperResIDWE6K3"),
        (Self::InvertedDepthwise { expansion: 1, kernel: 5 }, "SuperResIDWE1K5"),
        (Self::InvertedDepthwise { expansion: 2, kernel: 5 }, "SuperResIDWE2K5"),
        (Self::InvertedDepthwise { expansion: 4, kernel: 5 }, "SuperResIDWE4K5"),
        (Self::InvertedDepthwise { expansion: 6, kernel: 5 }, "SuperResIDWE6K5"),
        (Self::InvertedDepthwise { expansion: 1, kernel: 7 }, "SuperResIDWE1K7"),
        (Self::InvertedDepthwise { expansion: 2, kernel: 7 }, "SuperResIDWE2K7"),
        (Self::InvertedDepthwise { expansion: 4, kernel: 7 }, "SuperResIDWE4K7"),
        (Self::InvertedDepthwise { expansion: 6, kernel: 7 }, "SuperResIDWE6K7"),
    ];

    /// Every super-block there is.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::NAMES.into_iter().map(|(kind, _)| kind)
    }

    /// Finds the super-block of this name.
    fn find(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    /// Whether the block has residual units, and so a bottleneck width.
    pub fn is_residual(self) -> bool {
        !matches!(self, Self::Conv { .. })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conv { kernel } => write!(f, "SuperConvK{kernel}BNRELU"),
            Self::Basic { kernel } => write!(f, "SuperResK{kernel}K{kernel}"),
            Self::Bottleneck { kernel } => write!(f, "SuperResK1K{kernel}K1"),
            Self::InvertedDepthwise { expansion, kernel } => {
                write!(f, "SuperResIDWE{expansion}K{kernel}")
            }
        }
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::find(name).ok_or_else(|| {
            let suggestion = Self::NAMES
                .iter()
                .map(|(_, known)| (strsim::jaro_winkler(known, name), *known))
                .filter(|(similarity, _)| *similarity > 0.9)
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .map(|(_, known)| known.to_owned());
            UnknownKind { name: name.to_owned(), suggestion }
        })
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl de::Visitor<'_> for Name {
            type Value = Kind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a super-block")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Kind, E> {
                name.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl JsonSchema for Kind {
    fn schema_name() -> Cow<'static, str> {
        "Kind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = Self::NAMES.map(|(_, name)| name);
        json_schema!({
            "type": "string",
            "description": "Name of a super-block, as in the official code.",
            "enum": names,
        })
    }
}

/// One super-block with its sizes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Class of the block.
    #[serde(rename = "block")]
    pub kind: Kind,
    /// Input channels. The first block's value is replaced by the channels of the images.
    #[serde(rename = "in")]
    #[schemars(range(min = 1, max = Block::MAX_WIDTH))]
    pub input: usize,
    /// Output channels.
    #[serde(rename = "out")]
    #[schemars(range(min = 1, max = Block::MAX_WIDTH))]
    pub output: usize,
    /// Step of the first layer; the others have 1.
    #[schemars(range(min = 1, max = Block::MAX_STRIDE))]
    pub stride: usize,
    /// Width inside the residual units; absent for `SuperConv…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = Block::MAX_WIDTH))]
    pub bottleneck: Option<usize>,
    /// Number of layers ("sub-layers" in the official code).
    #[schemars(range(min = 1, max = Block::MAX_LAYERS))]
    pub layers: usize,
}

/// A number that a super-block cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Outside the limits.
    #[error("{kind}: `{field}` is {value}, must be 1 to {max}")]
    Range {
        /// Class of the block.
        kind: Kind,
        /// Name of the number.
        field: &'static str,
        /// What was given.
        value: usize,
        /// Largest allowed value.
        max: usize,
    },
    /// A residual block without `bottleneck`.
    #[error("{0}: `bottleneck` is missing")]
    MissingBottleneck(Kind),
    /// A plain block with `bottleneck`.
    #[error("{0}: has no `bottleneck`")]
    UnexpectedBottleneck(Kind),
}

impl Block {
    /// Largest number of channels; far above every published network, and small enough that no
    /// counter can overflow.
    pub const MAX_WIDTH: usize = 1 << 16;
    /// Largest stride.
    pub const MAX_STRIDE: usize = 64;
    /// Largest number of layers of one block.
    pub const MAX_LAYERS: usize = 256;

    /// Checks every number.
    ///
    /// # Errors
    ///
    /// Fails with everything that is wrong.
    pub fn check(&self) -> Result<(), Vec<BlockError>> {
        let kind = self.kind;
        let mut errors = Vec::new();
        let mut range = |field, value, max| {
            if !(1..=max).contains(&value) {
                errors.push(BlockError::Range { kind, field, value, max });
            }
        };
        range("in", self.input, Self::MAX_WIDTH);
        range("out", self.output, Self::MAX_WIDTH);
        range("stride", self.stride, Self::MAX_STRIDE);
        range("layers", self.layers, Self::MAX_LAYERS);
        if let (true, Some(width)) = (kind.is_residual(), self.bottleneck) {
            range("bottleneck", width, Self::MAX_WIDTH);
        }
        match (kind.is_residual(), self.bottleneck) {
            (true, None) => errors.push(BlockError::MissingBottleneck(kind)),
            (false, Some(_)) => errors.push(BlockError::UnexpectedBottleneck(kind)),
            _ => {}
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

impl fmt::Display for Block {
    /// Writes the block in PlainNet form, without a label.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({},{},{},", self.kind, self.input, self.output, self.stride)?;
        if let Some(width) = self.bottleneck {
            write!(f, "{width},")?;
        }
        write!(f, "{})", self.layers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_22_kinds_and_each_name_reads_back() {
        let kinds: Vec<Kind> = Kind::all().collect();
        assert_eq!(kinds.len(), 22);
        for kind in kinds {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
    }

    #[test]
    fn a_misspelt_name_gets_a_suggestion() {
        let error = "SuperResK1K4K1".parse::<Kind>().unwrap_err();
        assert!(
            error.to_string().starts_with("unknown super-block `SuperResK1K4K1`, did you mean `SuperResK1K")
        );
        let error = "Attention".parse::<Kind>().unwrap_err();
        assert_eq!(error.to_string(), "unknown super-block `Attention`");
    }

    #[test]
    fn check_lists_everything_that_is_wrong() {
        let block = Block {
            kind: Kind::Basic { kernel: 3 },
            input: 0,
            output: Block::MAX_WIDTH + 1,
            stride: 1,
            bottleneck: None,
            layers: 1,
        };
        let errors: Vec<String> = block.check().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "SuperResK3K3: `in` is 0, must be 1 to 65536",
                "SuperResK3K3: `out` is 65537, must be 1 to 65536",
                "SuperResK3K3: `bottleneck` is missing",
            ]
        );
    }
}
