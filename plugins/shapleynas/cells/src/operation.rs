//! The operations of a DARTS cell.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An operation on an edge of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Operation {
    /// Mean over 3×3; padding does not count.
    #[serde(rename = "avg_pool_3x3")]
    AvgPool3x3,
    /// Maximum over 3×3.
    #[serde(rename = "max_pool_3x3")]
    MaxPool3x3,
    /// Identity, or a factorised reduction where the edge halves the map.
    #[serde(rename = "skip_connect")]
    SkipConnect,
    /// Separable convolution, twice.
    #[serde(rename = "sep_conv_3x3")]
    SepConv3x3,
    /// Separable convolution, twice.
    #[serde(rename = "sep_conv_5x5")]
    SepConv5x5,
    /// Separable convolution with dilation 2.
    #[serde(rename = "dil_conv_3x3")]
    DilConv3x3,
    /// Separable convolution with dilation 2.
    #[serde(rename = "dil_conv_5x5")]
    DilConv5x5,
    /// Separable convolution, twice; in NASNet and AmoebaNet, not searched.
    #[serde(rename = "sep_conv_7x7")]
    SepConv7x7,
    /// A 1×7 and a 7×1 convolution; in AmoebaNet, not searched.
    #[serde(rename = "conv_7x1_1x7")]
    Conv7x1_1x7,
}

/// The operations that Shapley-NAS searches, in the order of its architecture parameters.
pub const SEARCHED: [Operation; 7] = [
    Operation::AvgPool3x3,
    Operation::MaxPool3x3,
    Operation::SkipConnect,
    Operation::SepConv3x3,
    Operation::SepConv5x5,
    Operation::DilConv3x3,
    Operation::DilConv5x5,
];

impl Operation {
    /// Every operation, the searched ones first.
    pub const ALL: [Self; 9] = [
        Self::AvgPool3x3,
        Self::MaxPool3x3,
        Self::SkipConnect,
        Self::SepConv3x3,
        Self::SepConv5x5,
        Self::DilConv3x3,
        Self::DilConv5x5,
        Self::SepConv7x7,
        Self::Conv7x1_1x7,
    ];

    /// Returns the name in the published codes.
    pub fn name(self) -> &'static str {
        match self {
            Self::AvgPool3x3 => "avg_pool_3x3",
            Self::MaxPool3x3 => "max_pool_3x3",
            Self::SkipConnect => "skip_connect",
            Self::SepConv3x3 => "sep_conv_3x3",
            Self::SepConv5x5 => "sep_conv_5x5",
            Self::DilConv3x3 => "dil_conv_3x3",
            Self::DilConv5x5 => "dil_conv_5x5",
            Self::SepConv7x7 => "sep_conv_7x7",
            Self::Conv7x1_1x7 => "conv_7x1_1x7",
        }
    }

    /// Returns the operation of a published name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json() {
        for operation in Operation::ALL {
            assert_eq!(serde_json::to_value(operation).unwrap(), operation.name());
            assert_eq!(Operation::from_name(operation.name()), Some(operation));
        }
        assert_eq!(Operation::from_name("none"), None);
        assert_eq!(SEARCHED, Operation::ALL[..7]);
    }
}
