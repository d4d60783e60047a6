//! Blocks: the words of the language.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The class of a block. All but the first are super-blocks: `L` residual units in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Class {
    /// `ConvKXBNRELU`: one k×k convolution with BN and ReLU; the stem and the 1×1 head.
    Conv,
    /// `SuperResK1KXK1`: 1×1, k×k, 1×1.
    K1KXK1,
    /// `SuperResK1KX`: 1×1, k×k.
    K1KX,
    /// `SuperResKXKX`: k×k, k×k.
    KXKX,
    /// `SuperResK1DWK1`: 1×1, depthwise k×k, 1×1.
    K1DWK1,
    /// `SuperResK1DWSEK1`: the same with squeeze-and-excitation and SiLU.
    K1DWSEK1,
}

/// A name that is none of the classes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown block class `{name}`{}", .suggestion.map(|class| format!(", did you mean `{class}`?")).unwrap_or_default())]
pub struct UnknownClass {
    name: String,
    suggestion: Option<Class>,
}

impl Class {
    /// Every class there is.
    pub const ALL: [Self; 6] =
        [Self::Conv, Self::K1KXK1, Self::K1KX, Self::KXKX, Self::K1DWK1, Self::K1DWSEK1];

    /// The official name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conv => "ConvKXBNRELU",
            Self::K1KXK1 => "SuperResK1KXK1",
            Self::K1KX => "SuperResK1KX",
            Self::KXKX => "SuperResKXKX",
            Self::K1DWK1 => "SuperResK1DWK1",
            Self::K1DWSEK1 => "SuperResK1DWSEK1",
        }
    }

    /// Whether it is a super-block, and so has `L` and `btn`.
    pub fn is_super(self) -> bool {
        self != Self::Conv
    }

    /// Whether its k×k convolutions are depthwise.
    pub fn is_depthwise(self) -> bool {
        matches!(self, Self::K1DWK1 | Self::K1DWSEK1)
    }

    /// Convolutions of one unit, as the official code counts layers: without projection and
    /// squeeze-and-excitation.
    pub fn layers(self) -> usize {
        match self {
            Self::Conv => 1,
            Self::K1KX | Self::KXKX => 2,
            Self::K1KXK1 | Self::K1DWK1 | Self::K1DWSEK1 => 3,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(name: &str) -> Result<Self, UnknownClass> {
        Self::ALL.into_iter().find(|class| class.name() == name).ok_or_else(|| {
            let suggestion = Self::ALL
                .into_iter()
                .map(|class| (strsim::jaro_winkler(class.name(), name), class))
                .filter(|(similarity, _)| *similarity > 0.9)
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .map(|(_, class)| class);
            UnknownClass { name: name.to_owned(), suggestion }
        })
    }
}

impl TryFrom<String> for Class {
    type Error = UnknownClass;

    fn try_from(name: String) -> Result<Self, UnknownClass> {
        name.parse()
    }
}

impl From<Class> for String {
    fn from(class: Class) -> Self {
        class.name().to_owned()
    }
}

impl JsonSchema for Class {
    fn schema_name() -> Cow<'static, str> {
        "Class".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Class of a block, as in the official code.",
            "enum": Self::ALL.map(Self::name),
        })
    }
}

/// One block with its sizes, under the official keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Class of the block.
    pub class: Class,
    /// Input channels.
    #[serde(rename = "in")]
    #[schemars(range(min = 1, max = Block::MAX_WIDTH))]
    pub input: usize,
    /// Output channels.
    #[serde(rename = "out")]
    #[schemars(range(min = 1, max = Block::MAX_WIDTH))]
    pub output: usize,
    /// Stride of the first unit, 1 or 2; the others have 1.
    #[serde(rename = "s", default = "one")]
    #[schemars(range(min = 1, max = 2))]
    pub stride: usize,
    /// Side of the k×k kernels, odd.
    #[serde(rename = "k")]
    #[schemars(range(min = 1, max = Block::MAX_KERNEL))]
    pub kernel: usize,
    /// Number of units; absent for `ConvKXBNRELU`.
    #[serde(rename = "L", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = Block::MAX_UNITS))]
    pub units: Option<usize>,
    /// Width inside the units; absent for `ConvKXBNRELU`.
    #[serde(rename = "btn", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = Block::MAX_WIDTH))]
    pub bottleneck: Option<usize>,
    /// What the official code adds when it writes a super-block; it follows from `class`.
    #[serde(default, skip_serializing)]
    inner_class: Option<String>,
}

fn one() -> usize {
    1
}

/// What a block cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A number outside its limits.
    #[error("{class}: `{field}` is {value}, must be 1 to {max}")]
    Range {
        /// Class of the block.
        class: Class,
        /// Official key of the number.
        field: &'static str,
        /// What was given.
        value: usize,
        /// Largest allowed value.
        max: usize,
    },
    /// A kernel with an even side has no middle.
    #[error("{0}: `k` is {1}, must be odd")]
    EvenKernel(Class, usize),
    /// A super-block without `L` or `btn`.
    #[error("{0}: `{1}` is missing")]
    Missing(Class, &'static str),
    /// A convolution with `L` or `btn`.
    #[error("{0}: has no `{1}`")]
    Unexpected(Class, &'static str),
    /// An `inner_class` that contradicts `class`.
    #[error("{0}: `inner_class` is `{1}`, must be `{expected}` or absent", expected = .0.name().trim_start_matches("Super"))]
    InnerClass(Class, String),
}

impl Block {
    /// Largest number of channels; far above every published network, and small enough that
    /// counters stay exact in double precision.
    pub const MAX_WIDTH: usize = 1 << 14;
    /// Largest side of a kernel.
    pub const MAX_KERNEL: usize = 31;
    /// Largest number of units of one super-block.
    pub const MAX_UNITS: usize = 256;

    /// Makes a convolution.
    pub fn conv(input: usize, output: usize, stride: usize, kernel: usize) -> Self {
        let (units, bottleneck, inner_class) = (None, None, None);
        Self { class: Class::Conv, input, output, stride, kernel, units, bottleneck, inner_class }
    }

    /// Makes a super-block of `units` units of width `bottleneck`.
    pub fn residual(
        class: Class,
        [input, bottleneck, output]: [usize; 3],
        stride: usize,
        kernel: usize,
        units: usize,
    ) -> Self {
        let (units, bottleneck) = (Some(units), Some(bottleneck));
        Self { class, input, output, stride, kernel, units, bottleneck, inner_class: None }
    }

    /// Number of units: 1 for a convolution.
    pub fn depth(&self) -> usize {
        self.units.unwrap_or(1)
    }

    /// Width inside the units: the output's for a convolution.
    pub fn width(&self) -> usize {
        self.bottleneck.unwrap_or(self.output)
    }

    /// Convolutions on the main path.
    pub fn layers(&self) -> usize {
        self.class.layers() * self.depth()
    }

    /// Drops the redundant key of the official files, so that equal blocks are equal.
    pub(crate) fn normalize(&mut self) {
        self.inner_class = None;
    }

    /// Checks every number.
    ///
    /// # Errors
    ///
    /// Fails with everything that is wrong.
    pub fn check(&self) -> Result<(), Vec<BlockError>> {
        let class = self.class;
        let mut errors = Vec::new();
        let mut range = |field, value, max| {
            if !(1..=max).contains(&value) {
                errors.push(BlockError::Range { class, field, value, max });
            }
        };
        range("in", self.input, Self::MAX_WIDTH);
        range("out", self.output, Self::MAX_WIDTH);
        range("s", self.stride, 2);
        range("k", self.kernel, Self::MAX_KERNEL);
        if class.is_super() {
            range("L", self.units.unwrap_or(1), Self::MAX_UNITS);
            range("btn", self.bottleneck.unwrap_or(1), Self::MAX_WIDTH);
        }
        if self.kernel.is_multiple_of(2) {
            errors.push(BlockError::EvenKernel(class, self.kernel));
        }
        for (field, given) in [("L", self.units.is_some()), ("btn", self.bottleneck.is_some())] {
            match (class.is_super(), given) {
                (true, false) => errors.push(BlockError::Missing(class, field)),
                (false, true) => errors.push(BlockError::Unexpected(class, field)),
                _ => {}
            }
        }
        if let Some(inner) = &self.inner_class
            && class.name().strip_prefix("Super") != Some(inner)
        {
            errors.push(BlockError::InnerClass(class, inner.clone()));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_reads_back_and_a_misspelt_one_gets_a_suggestion() {
        for class in Class::ALL {
            assert_eq!(class.name().parse(), Ok(class));
        }
        let error = "SuperResK1KxK1".parse::<Class>().unwrap_err();
        assert_eq!(error.to_string(), "unknown block class `SuperResK1KxK1`, did you mean `SuperResK1KXK1`?");
        let error = "Attention".parse::<Class>().unwrap_err();
        assert_eq!(error.to_string(), "unknown block class `Attention`");
    }

    #[test]
    fn check_lists_everything_that_is_wrong() {
        let block = Block {
            units: None,
            inner_class: Some("ResKXKX".into()),
            ..Block::residual(Class::K1KXK1, [0, 8, 8], 3, 4, 1)
        };
        let errors: Vec<String> = block.check().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "SuperResK1KXK1: `in` is 0, must be 1 to 16384",
                "SuperResK1KXK1: `s` is 3, must be 1 to 2",
                "SuperResK1KXK1: `k` is 4, must be odd",
                "SuperResK1KXK1: `L` is missing",
                "SuperResK1KXK1: `inner_class` is `ResKXKX`, must be `ResK1KXK1` or absent",
            ]
        );
        let block = Block { bottleneck: Some(8), ..Block::conv(3, 8, 1, 3) };
        assert_eq!(block.check().unwrap_err()[0].to_string(), "ConvKXBNRELU: has no `btn`");
    }
}
