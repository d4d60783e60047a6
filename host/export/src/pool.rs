//! Pooling without `ceil_mode`.
//!
//! ONNX changed twice what `ceil_mode` means at the lower and right edge, and runtimes differ. So the
//! padding is spelt out instead: windows that reach beyond the image get as much padding there as they
//! need, and sizes are rounded down.

use nashost_plugin_api::graph::{Pool, Shape};

/// Padding of a pooling, in ONNX's order: top, left, bottom, right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Padding {
    /// Padding that is part of the window's definition, the same at both sides.
    pub(crate) declared: [usize; 4],
    /// Padding with what the last windows reach beyond it.
    pub(crate) reached: [usize; 4],
}

impl Padding {
    /// The padding of `pool` from `input` to `output`; both must be maps, as those of a valid graph are.
    pub(crate) fn of(pool: &Pool, input: Shape, output: Shape) -> Self {
        let size = |shape: Shape| match shape {
            Shape::Map { height, width, .. } => [height, width],
            Shape::Flat(_) => unreachable!("a valid graph pools maps"),
        };
        let (input, output) = (size(input), size(output));
        let window = &pool.window;
        let ends = [0, 1].map(|axis| {
            let extent = window.dilations[axis] * (window.kernel_shape[axis] - 1) + 1;
            let reach = (output[axis] - 1) * window.strides[axis] + extent;
            reach.saturating_sub(input[axis] + window.pads[axis]).max(window.pads[axis])
        });
        let [top, left] = window.pads;
        Self { declared: [top, left, top, left], reached: [top, left, ends[0], ends[1]] }
    }

    /// Whether the last windows reach beyond the declared padding.
    pub(crate) fn overhangs(&self) -> bool {
        self.declared != self.reached
    }

    /// How far they reach beyond it: padding of images that have the declared padding already.
    pub(crate) fn overhang(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|side| self.reached[side] - self.declared[side])
    }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::graph::{Op, Window};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rounding_down_with_it_gives_the_same_size(
            kernel in 1..6_usize, stride in 1..6_usize, pads in 0..3_usize, size in 1..40_usize,
            dilation in 1..3_usize, ceil_mode: bool,
        ) {
            prop_assume!(pads <= kernel / 2);
            let window =
                Window { dilations: [dilation; 2], ..Window::square(kernel, stride).pads(pads) };
            let pool = Pool { window, ceil_mode, count_include_pad: false };
            let input = Shape::map([1, size, size]);
            let Ok(output) = Op::MaxPool(pool).output_shape(&[input]) else { return Ok(()) };
            let padding = Padding::of(&pool, input, output);
            prop_assert!(ceil_mode || !padding.overhangs());
            let Shape::Map { height, .. } = output else { panic!() };
            let extent = dilation * (kernel - 1) + 1;
            let padded = size + padding.reached[0] + padding.reached[2];
            prop_assert_eq!((padded - extent) / stride + 1, height);
            // Runtimes refuse padding that a whole window fits into.
            prop_assert!(padding.reached.iter().all(|&side| side < extent || side == pads));
        }
    }
}
