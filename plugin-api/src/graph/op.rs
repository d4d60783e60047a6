//! Operators, with ONNX names and attributes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shape;

/// A sliding window: kernel, strides, padding and dilation of a convolution or pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Height and width of the kernel.
    pub kernel_shape: [usize; 2],
    /// Vertical and horizontal step.
    #[serde(default = "ones")]
    pub strides: [usize; 2],
    /// Rows and columns of padding at each side (ONNX `pads` with begin = end).
    #[serde(default)]
    pub pads: [usize; 2],
    /// Spacing of the taps.
    #[serde(default = "ones")]
    pub dilations: [usize; 2],
}

fn ones() -> [usize; 2] {
    [1, 1]
}

impl Window {
    /// A square window with `same` padding for odd kernels.
    pub fn square(kernel: usize, stride: usize) -> Self {
        Self {
            kernel_shape: [kernel; 2],
            strides: [stride; 2],
            pads: [kernel.saturating_sub(1) / 2; 2],
            dilations: [1; 2],
        }
    }

    /// The same window with `pads` rows and columns of padding.
    #[must_use]
    pub fn pads(self, pads: usize) -> Self {
        Self { pads: [pads; 2], ..self }
    }
}

/// Attributes of a pooling layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The window.
    pub window: Window,
    /// Rounds the output size up instead of down.
    #[serde(default)]
    pub ceil_mode: bool,
    /// Counts padding in the mean (AveragePool only).
    #[serde(default)]
    pub count_include_pad: bool,
}

/// An operator with its attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Op {
    /// 2-D convolution; weight `[out_channels, in/group, kh, kw]`.
    Conv {
        /// Output channels.
        out_channels: usize,
        /// The window.
        window: Window,
        /// Channel groups.
        group: usize,
        /// Whether a bias is added.
        bias: bool,
    },
    /// Batch normalisation over N, H, W.
    BatchNormalization {
        /// Added to the variance.
        epsilon: f64,
        /// ONNX momentum: the share of the *old* running value (PyTorch's momentum is 1 − this).
        momentum: f64,
    },
    /// max(x, 0).
    Relu,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// max(0, min(1, x/6 + 1/2)).
    HardSigmoid,
    /// x · HardSigmoid(x).
    HardSwish,
    /// x · Sigmoid(x), also called SiLU.
    Swish,
    /// min(max(x, min), max); ReLU6 is 0 and 6.
    Clip {
        /// Lower bound.
        min: f64,
        /// Upper bound.
        max: f64,
    },
    /// Gaussian error linear unit, exact form.
    Gelu,
    /// Hyperbolic tangent.
    Tanh,
    /// Sum of its inputs.
    Add {
        /// The first input is the main branch and the others are skip connections, which
        /// [`Graph::without_residual_links`](super::Graph::without_residual_links) removes.
        #[serde(default)]
        residual: bool,
    },
    /// Product of its inputs; `C×1×1` broadcasts over a map (squeeze-and-excitation).
    Mul,
    /// Concatenation along channels.
    Concat,
    /// Maximum over windows; padding never wins.
    MaxPool(Pool),
    /// Mean over windows.
    AveragePool(Pool),
    /// Mean over each whole map; keeps `C×1×1`.
    GlobalAveragePool,
    /// Joins channels, height and width.
    Flatten,
    /// Fully connected layer on a flat input; weight `[out_features, in]`.
    Gemm {
        /// Outputs.
        out_features: usize,
        /// Whether a bias is added.
        bias: bool,
    },
    /// Zeroes single values while training.
    Dropout {
        /// Probability of a zero.
        ratio: f64,
    },
    /// Zeroes whole images of a branch while training (stochastic depth).
    DropPath {
        /// Probability of a zero.
        ratio: f64,
    },
    /// Drops the first rows and columns of a map.
    Slice {
        /// Rows and columns that are dropped.
        starts: [usize; 2],
    },
    /// Passes its input on.
    Identity,
}

impl Op {
    /// The operator's ONNX name (`Conv`, …).
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv { .. } => "Conv",
            Self::BatchNormalization { .. } => "BatchNormalization",
            Self::Relu => "Relu",
            Self::Sigmoid => "Sigmoid",
            Self::HardSigmoid => "HardSigmoid",
            Self::HardSwish => "HardSwish",
            Self::Swish => "Swish",
            Self::Clip { .. } => "Clip",
            Self::Gelu => "Gelu",
            Self::Tanh => "Tanh",
            Self::Add { .. } => "Add",
            Self::Mul => "Mul",
            Self::Concat => "Concat",
            Self::MaxPool(_) => "MaxPool",
            Self::AveragePool(_) => "AveragePool",
            Self::GlobalAveragePool => "GlobalAveragePool",
            Self::Flatten => "Flatten",
            Self::Gemm { .. } => "Gemm",
            Self::Dropout { .. } => "Dropout",
            Self::DropPath { .. } => "DropPath",
            Self::Slice { .. } => "Slice",
            Self::Identity => "Identity",
        }
    }

    /// Lists the tensors of a node with this operator, in PyTorch's order: `weight`, `bias`,
    /// `running_mean`, `running_var`, `num_batches_tracked`.
    ///
    /// `input` is the shape of its (only) input, which a valid graph guarantees to fit.
    pub fn parameters(&self, input: Shape) -> Vec<ParameterSpec> {
        let learnt = |suffix, shape| ParameterSpec { suffix, shape, trainable: true };
        let tracked = |suffix, shape| ParameterSpec { suffix, shape, trainable: false };
        match *self {
            Self::Conv { out_channels, window, group, bias } => {
                let [height, width] = window.kernel_shape;
                let mut list =
                    vec![learnt("weight", vec![out_channels, input.channels() / group, height, width])];
                list.extend(bias.then(|| learnt("bias", vec![out_channels])));
                list
            }
            Self::Gemm { out_features, bias } => {
                let mut list = vec![learnt("weight", vec![out_features, input.channels()])];
                list.extend(bias.then(|| learnt("bias", vec![out_features])));
                list
            }
            Self::BatchNormalization { .. } => {
                let channels = vec![input.channels()];
                vec![
                    learnt("weight", channels.clone()),
                    learnt("bias", channels.clone()),
                    tracked("running_mean", channels.clone()),
                    tracked("running_var", channels),
                    tracked("num_batches_tracked", vec![]),
                ]
            }
            _ => vec![],
        }
    }
}

/// A tensor that belongs to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSpec {
    /// `weight`, `bias`, `running_mean`, `running_var` or `num_batches_tracked`.
    pub suffix: &'static str,
    /// Its size; empty for a scalar.
    pub shape: Vec<usize>,
    /// Learnt by gradient (a parameter) or tracked (a buffer).
    pub trainable: bool,
}

impl ParameterSpec {
    /// Number of values.
    pub fn numel(&self) -> u64 {
        self.shape.iter().map(|&size| size as u64).product()
    }
}
