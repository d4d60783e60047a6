//! Depthwise convolution with fast gradients on a processor.
//!
//! oneDNN, which libtorch convolves with, has fast routines for depthwise convolutions, but its routine
//! for the gradient of the filters takes at most three columns and no dilation, and that for the gradient
//! of the images no dilation. What does not fit goes through a routine for dense groups, which computes
//! sixteen times as much. So here the gradient of the images is a convolution with turned filters, and
//! that of the filters is taken of three columns at a time, dilated ones from every second pixel. All sums
//! are those of the plain gradient in another order; the forward pass is libtorch's own. Measured in
//! docs/benchmarks.md.

use std::ffi::{CStr, c_char};

use tch::{Device, Kind, TchError, Tensor};
use torch_sys::C_tensor;

/// Room for libtorch's reasons.
const ROOM: usize = 1024;

unsafe extern "C" {
    fn nashost_depthwise(
        images: *const C_tensor,
        weight: *const C_tensor,
        dilation: i64,
        why: *mut c_char,
        room: usize,
    ) -> *mut C_tensor;
}

/// Whether [`depthwise`] can compute this convolution, with gradients that are faster than libtorch's.
pub(crate) fn is_slow(
    images: &Tensor,
    weight: &Tensor,
    strides: [i64; 2],
    pads: [i64; 2],
    dilations: [i64; 2],
    groups: i64,
) -> bool {
    // Searches convolve without gradients, many times a second.
    if !images.requires_grad() && !weight.requires_grad() {
        return false;
    }
    let (sizes, shape) = (images.size(), weight.size());
    let (&[_, channels, height, width], &[filters, 1, rows, columns]) = (&sizes[..], &shape[..]) else {
        return false;
    };
    let [dilation, _] = dilations;
    images.device() == Device::Cpu
        && images.kind() == Kind::Float
        && weight.kind() == Kind::Float
        && [channels, filters] == [groups; 2]
        && rows == columns
        && rows % 2 == 1
        && (rows > 3 || dilation > 1)
        && strides == [1, 1]
        && dilations == [dilation; 2]
        && pads == [dilation * (rows / 2); 2]
        && height % dilation == 0
        && width % dilation == 0
}

/// Convolves each channel of `images` (batch × channels × rows × columns) with its own filter of `weight`
/// (channels × 1 × side × side, an odd side), with stride 1 and the padding that keeps the size.
///
/// # Errors
///
/// Fails if libtorch refuses, or has no memory.
pub(crate) fn depthwise(images: &Tensor, weight: &Tensor, dilation: i64) -> Result<Tensor, TchError> {
    let mut why: [c_char; ROOM] = [0; ROOM];
    // SAFETY: Both pointers are to tensors that are borrowed during the call, of the libtorch that the C++
    // part is compiled for; `why` has the room that is stated, and what is written there ends with a zero.
    let made =
        unsafe { nashost_depthwise(images.as_ptr(), weight.as_ptr(), dilation, why.as_mut_ptr(), why.len()) };
    if made.is_null() {
        // SAFETY: It was written by `snprintf`, which ends it with a zero within the room.
        let text = unsafe { CStr::from_ptr(why.as_ptr()) };
        return Err(TchError::Torch(text.to_string_lossy().into_owned()));
    }
    // SAFETY: A new tensor, allocated as torch-sys allocates its own, that nothing else owns.
    Ok(unsafe { Tensor::from_ptr(made) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conv2d, device::channels_last};

    /// Output and gradients of `images` and `weight` under a fixed weighting of the output.
    fn gradients(images: &Tensor, weight: &Tensor, dilation: i64, ours: bool) -> [Tensor; 3] {
        let [images, weight] = [images, weight].map(|tensor| tensor.detach().set_requires_grad(true));
        let pads = [dilation * (weight.size()[2] / 2); 2];
        let groups = weight.size()[0];
        let output = if ours {
            assert!(is_slow(&images, &weight, [1, 1], pads, [dilation; 2], groups));
            conv2d(&images, &weight, None, [1, 1], pads, [dilation; 2], groups).unwrap()
        } else {
            images.conv2d(&weight, None::<Tensor>, [1, 1], pads, [dilation; 2], groups)
        };
        let count = output.numel() as i64;
        let weighting = (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 0.37).sin();
        (&output * weighting.to_kind(output.kind()).view_as(&output)).sum(output.kind()).backward();
        [output.detach(), images.grad(), weight.grad()]
    }

    #[test]
    fn gradients_are_those_of_the_plain_convolution_in_double_precision() {
        tch::manual_seed(3);
        for (channels, [height, width], side, dilation) in [
            (16, [32, 32], 5, 1),
            (16, [32, 32], 3, 2),
            (16, [32, 32], 5, 2),
            (3, [7, 9], 5, 1),
            (5, [6, 10], 3, 2),
            (12, [9, 6], 7, 3),
            (24, [2, 2], 5, 2),
            (8, [1, 1], 7, 1),
        ] {
            let images = Tensor::randn([2, channels, height, width], (Kind::Float, Device::Cpu));
            let weight = Tensor::randn([channels, 1, side, side], (Kind::Float, Device::Cpu));
            let double = |tensor: &Tensor| tensor.to_kind(Kind::Double);
            let exact = gradients(&double(&images), &double(&weight), dilation, false);
            for images in [images.shallow_clone(), channels_last(&images)] {
                let plain = gradients(&images, &weight, dilation, false);
                let ours = gradients(&images, &weight, dilation, true);
                assert_eq!(ours[0], plain[0], "the forward pass is libtorch's");
                for (ours, exact) in ours.iter().zip(&exact) {
                    assert_eq!(ours.size(), exact.size());
                    let worst = (double(ours) - exact).abs().max().double_value(&[]);
                    // 24 bits, over sums of 2 × 32 × 32 products at most.
                    let most = 1e-5 * exact.abs().max().double_value(&[]).max(1e-3);
                    assert!(worst <= most, "{channels} {height} {side} {dilation}: {worst}");
                }
            }
        }
    }

    #[test]
    fn only_what_is_asked_for_is_computed_and_second_gradients_are_there() {
        let images = Tensor::randn([1, 4, 8, 8], (Kind::Double, Device::Cpu)).to_kind(Kind::Float);
        let weight = Tensor::randn([4, 1, 5, 5], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let output = conv2d(&images, &weight, None, [1, 1], [2, 2], [1, 1], 4).unwrap();
        output.sum(Kind::Float).backward();
        assert!(weight.grad().defined() && !images.grad().defined());
        let output = conv2d(&images, &weight, None, [1, 1], [2, 2], [1, 1], 4).unwrap();
        let first = Tensor::run_backward(&[(&output * &output).sum(Kind::Float)], &[&weight], true, true);
        let second = Tensor::run_backward(&[first[0].sum(Kind::Float)], &[&weight], false, false);
        assert!(second[0].abs().max().double_value(&[]) > 0.0);
    }

    #[test]
    fn what_libtorch_does_well_is_left_to_it() {
        let tensor = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let images = tensor(&[1, 4, 8, 8]);
        let slow = |side, stride, pad, dilation, groups| {
            is_slow(
                &images,
                &tensor(&[4, 4 / groups, side, side]),
                [stride; 2],
                [pad; 2],
                [dilation; 2],
                groups,
            )
        };
        assert!(slow(5, 1, 2, 1, 4) && slow(3, 1, 2, 2, 4));
        assert!(!slow(3, 1, 1, 1, 4), "three columns");
        assert!(!slow(5, 2, 2, 1, 4), "a stride");
        assert!(!slow(5, 1, 1, 1, 4), "another size");
        assert!(!slow(3, 1, 3, 3, 4), "sides that are no multiples of the dilation");
        assert!(!slow(5, 1, 2, 1, 2), "groups of channels");
        let fixed = Tensor::zeros([4, 1, 5, 5], (Kind::Float, Device::Cpu));
        assert!(!is_slow(&images.detach(), &fixed, [1, 1], [2, 2], [1, 1], 4), "no gradients");
    }
}
