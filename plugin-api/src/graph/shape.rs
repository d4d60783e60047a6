//! Shapes of values, and what each operator makes of them.

use std::fmt;

use super::{Op, Pool, ProblemKind, Window};

/// Shape of a value, for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A stack of maps, `C×H×W`.
    Map {
        /// Number of maps.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// A vector.
    Flat(usize),
}

impl Shape {
    /// Largest number of values a tensor may have, so that no count can overflow.
    pub(super) const MAX_NUMEL: usize = i32::MAX as usize;

    /// A stack of maps from channels, height and width.
    pub fn map([channels, height, width]: [usize; 3]) -> Self {
        Self::Map { channels, height, width }
    }

    /// Channels of a map, length of a vector.
    pub fn channels(self) -> usize {
        match self {
            Self::Map { channels, .. } => channels,
            Self::Flat(features) => features,
        }
    }

    /// Number of values. A valid graph keeps it below 2³¹ for every node.
    pub fn numel(self) -> usize {
        match self {
            Self::Map { channels, height, width } => channels * height * width,
            Self::Flat(features) => features,
        }
    }

    /// Sizes of the axes, outermost first.
    pub fn dims(self) -> Vec<usize> {
        match self {
            Self::Map { channels, height, width } => vec![channels, height, width],
            Self::Flat(features) => vec![features],
        }
    }

    /// Refuses shapes with so many values that counting them could overflow.
    fn limited(self) -> Result<Self, ProblemKind> {
        limited(&self.dims()).map(|()| self)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map { channels, height, width } => write!(f, "{channels}×{height}×{width}"),
            Self::Flat(features) => write!(f, "{features}"),
        }
    }
}

/// Refuses tensors of 2³¹ values or more.
pub(super) fn limited(dims: &[usize]) -> Result<(), ProblemKind> {
    let numel = dims.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    match numel {
        Some(numel) if numel <= Shape::MAX_NUMEL => Ok(()),
        _ => Err(ProblemKind::TooLarge { dims: dims.to_vec() }),
    }
}

impl Op {
    /// Returns the shape this operator answers for `inputs`, one shape per input.
    ///
    /// Sizes are rounded as ONNX and PyTorch do: down, or up where `ceil_mode` is set (and then
    /// no window starts in the padding behind the image).
    ///
    /// # Errors
    ///
    /// Fails if there are too few or too many inputs or their shapes do not fit the operator.
    pub fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ProblemKind> {
        self.check_arity(inputs.len())?;
        let first = inputs[0];
        match self {
            Self::Conv { out_channels, window, group, .. } => {
                let [channels, height, width] = self.expect_map(first)?;
                if !channels.is_multiple_of(*group) || !out_channels.is_multiple_of(*group) {
                    return Err(ProblemKind::Groups {
                        group: *group,
                        input: channels,
                        output: *out_channels,
                    });
                }
                let [kernel_height, kernel_width] = window.kernel_shape;
                limited(&[*out_channels, channels / group, kernel_height, kernel_width])?;
                let [height, width] = window.slide(first, [height, width], false)?;
                Shape::Map { channels: *out_channels, height, width }.limited()
            }
            Self::MaxPool(Pool { window, ceil_mode, .. })
            | Self::AveragePool(Pool { window, ceil_mode, .. }) => {
                let [channels, height, width] = self.expect_map(first)?;
                let [height, width] = window.slide(first, [height, width], *ceil_mode)?;
                Shape::Map { channels, height, width }.limited()
            }
            Self::GlobalAveragePool => {
                let [channels, ..] = self.expect_map(first)?;
                Ok(Shape::Map { channels, height: 1, width: 1 })
            }
            Self::Flatten => Ok(Shape::Flat(first.numel())),
            Self::Gemm { out_features, .. } => match first {
                Shape::Flat(features) => {
                    limited(&[*out_features, features]).map(|()| Shape::Flat(*out_features))
                }
                Shape::Map { .. } => Err(ProblemKind::ExpectsFlat { found: first }),
            },
            Self::Add { .. } => {
                if inputs.iter().all(|&shape| shape == first) {
                    Ok(first)
                } else {
                    Err(self.differ(inputs))
                }
            }
            Self::Mul => {
                let full = *inputs.iter().max_by_key(|shape| shape.numel()).unwrap_or(&first);
                let point = match full {
                    Shape::Map { channels, .. } => Shape::Map { channels, height: 1, width: 1 },
                    Shape::Flat(_) => full,
                };
                if inputs.iter().all(|&shape| shape == full || shape == point) {
                    Ok(full)
                } else {
                    Err(self.differ(inputs))
                }
            }
            Self::Concat => {
                let sum = inputs.iter().map(|shape| shape.channels()).sum();
                let joined = |shape: Shape| match shape {
                    Shape::Map { height, width, .. } => Shape::Map { channels: sum, height, width },
                    Shape::Flat(_) => Shape::Flat(sum),
                };
                if inputs.iter().all(|&shape| joined(shape) == joined(first)) {
                    joined(first).limited()
                } else {
                    Err(self.differ(inputs))
                }
            }
            Self::Slice { starts } => {
                let [channels, height, width] = self.expect_map(first)?;
                match (height.checked_sub(starts[0]), width.checked_sub(starts[1])) {
                    (Some(height @ 1..), Some(width @ 1..)) => Ok(Shape::Map { channels, height, width }),
                    _ => Err(ProblemKind::NothingLeft { starts: *starts, input: first }),
                }
            }
            Self::BatchNormalization { .. }
            | Self::Relu
            | Self::Sigmoid
            | Self::HardSigmoid
            | Self::HardSwish
            | Self::Swish
            | Self::Clip { .. }
            | Self::Gelu
            | Self::Tanh
            | Self::Dropout { .. }
            | Self::DropPath { .. }
            | Self::Identity => Ok(first),
        }
    }

    pub(super) fn check_arity(&self, found: usize) -> Result<(), ProblemKind> {
        let (fits, expected) = match self {
            Self::Add { .. } | Self::Mul => (found >= 2, "at least 2 inputs"),
            Self::Concat => (found >= 1, "at least 1 input"),
            _ => (found == 1, "1 input"),
        };
        if fits { Ok(()) } else { Err(ProblemKind::Arity { expected, found }) }
    }

    fn expect_map(&self, shape: Shape) -> Result<[usize; 3], ProblemKind> {
        match shape {
            Shape::Map { channels, height, width } => Ok([channels, height, width]),
            Shape::Flat(_) => Err(ProblemKind::ExpectsMap { found: shape }),
        }
    }

    fn differ(&self, shapes: &[Shape]) -> ProblemKind {
        ProblemKind::ShapesDiffer { shapes: shapes.to_vec() }
    }
}

impl Window {
    /// Returns the number of rows and columns of windows over an image of `size`.
    fn slide(&self, input: Shape, size: [usize; 2], ceil_mode: bool) -> Result<[usize; 2], ProblemKind> {
        let mut output = [0; 2];
        for axis in 0..2 {
            let padded = size[axis] + 2 * self.pads[axis];
            let extent = self.dilations[axis] * (self.kernel_shape[axis] - 1) + 1;
            let Some(slack) = padded.checked_sub(extent) else {
                return Err(ProblemKind::KernelTooLarge {
                    extent: [0, 1].map(|axis| self.dilations[axis] * (self.kernel_shape[axis] - 1) + 1),
                    pads: self.pads,
                    input,
                });
            };
            let stride = self.strides[axis];
            output[axis] = slack / stride + 1;
            if ceil_mode && !slack.is_multiple_of(stride) {
                // A window must start inside the image or the padding before it (PyTorch's rule,
                // ONNX's since opset 19).
                let next_start = output[axis] * stride;
                output[axis] += usize::from(next_start < size[axis] + self.pads[axis]);
            }
        }
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(kernel: usize, stride: usize, pads: usize, ceil_mode: bool, size: usize) -> usize {
        let window = Window::square(kernel, stride).pads(pads);
        let op = Op::MaxPool(Pool { window, ceil_mode, count_include_pad: false });
        match op.output_shape(&[Shape::map([1, size, size])]) {
            Ok(Shape::Map { height, .. }) => height,
            other => panic!("{other:?}"),
        }
    }

    /// Sizes answered by torch 2.11's `max_pool2d`.
    #[test]
    fn rounding_is_that_of_pytorch() {
        assert_eq!(pool(3, 2, 1, false, 112), 56);
        assert_eq!(pool(3, 2, 0, false, 112), 55);
        assert_eq!(pool(3, 2, 0, true, 112), 56);
        assert_eq!(pool(2, 2, 0, false, 7), 3);
        assert_eq!(pool(2, 2, 0, true, 7), 4);
        // The fourth window would start in the padding: dropped.
        assert_eq!(pool(2, 3, 1, true, 7), 3);
        assert_eq!(pool(2, 2, 1, true, 5), 3);
    }

    #[test]
    fn dilation_stretches_the_kernel() {
        let window = Window { dilations: [2, 2], ..Window::square(3, 1).pads(0) };
        let conv = Op::Conv { out_channels: 4, window, group: 1, bias: false };
        assert_eq!(conv.output_shape(&[Shape::map([1, 9, 5])]), Ok(Shape::map([4, 5, 1])));
        assert!(matches!(
            conv.output_shape(&[Shape::map([1, 9, 4])]),
            Err(ProblemKind::KernelTooLarge { extent: [5, 5], .. })
        ));
    }

    #[test]
    fn slices_leave_at_least_one_row_and_column() {
        let map = Shape::map([3, 4, 2]);
        let slice = |starts| Op::Slice { starts }.output_shape(&[map]);
        assert_eq!(slice([1, 0]), Ok(Shape::map([3, 3, 2])));
        assert_eq!(slice([3, 1]), Ok(Shape::map([3, 1, 1])));
        for starts in [[4, 0], [0, 2], [9, 9]] {
            assert_eq!(slice(starts), Err(ProblemKind::NothingLeft { starts, input: map }));
        }
        assert!(Op::Slice { starts: [1, 1] }.output_shape(&[Shape::Flat(8)]).is_err());
    }

    #[test]
    fn products_broadcast_over_the_map_in_either_order() {
        let (map, point) = (Shape::map([8, 4, 4]), Shape::map([8, 1, 1]));
        assert_eq!(Op::Mul.output_shape(&[map, point]), Ok(map));
        assert_eq!(Op::Mul.output_shape(&[point, map]), Ok(map));
        assert!(Op::Mul.output_shape(&[map, Shape::map([1, 4, 4])]).is_err());
        assert!(Op::Mul.output_shape(&[map, Shape::Flat(8)]).is_err());
    }
}
