//! Two-dimensional convolution, around a fault of libtorch.

use tch::{Device, TchError, Tensor};

use crate::depthwise::{depthwise, is_slow};

/// Channels that oneDNN computes together with AVX-512.
const BLOCK: i64 = 16;

/// Convolves images (batch × channels × rows × columns) with `weight`, as `torch.nn.functional.conv2d`.
///
/// The gradient of a 1×1 convolution with a stride and few input channels, in channels-last order, writes
/// beside its memory in libtorch 2.11.0 on CPUs with AVX-512 (oneDNN's
/// `jit_avx512_common_1x1_convolution_bwd_weights`, seen with 8 channels; Python's torch crashes alike). Such
/// a convolution reads every second pixel and nothing between, so here the pixels are taken first and then
/// convolved with stride 1: the same sums by a routine that works.
///
/// Gradients of depthwise convolutions with wide or dilated filters are computed in another way than
/// libtorch's, several times as fast on a CPU.
///
/// # Errors
///
/// Fails if libtorch refuses the sizes.
pub fn conv2d(
    images: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    strides: [i64; 2],
    pads: [i64; 2],
    dilations: [i64; 2],
    groups: i64,
) -> Result<Tensor, TchError> {
    let size = weight.size();
    let is_point = size[2..] == [1, 1] && pads == [0, 0] && groups == 1;
    let is_faulty = is_point && strides != [1, 1] && size[1] % BLOCK != 0 && images.device() == Device::Cpu;
    if is_faulty && (images.requires_grad() || weight.requires_grad()) {
        let rows = images.f_slice(2, None, None, strides[0])?;
        let taken = rows.f_slice(3, None, None, strides[1])?;
        return taken.f_conv2d(weight, bias, [1, 1], pads, dilations, groups);
    }
    if bias.is_none() && is_slow(images, weight, strides, pads, dilations, groups) {
        return depthwise(images, weight, dilations[0]);
    }
    images.f_conv2d(weight, bias, strides, pads, dilations, groups)
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;
    use crate::device::channels_last;

    /// Crashes, or fails with a damaged heap, without the detour where the CPU has AVX-512.
    #[test]
    fn strided_points_have_the_gradients_of_the_plain_order() {
        tch::manual_seed(1);
        for (channels, outputs, side) in [(8, 8, 48), (8, 24, 24), (8, 16, 48), (12, 8, 47), (24, 8, 12)] {
            let options = (Kind::Float, Device::Cpu);
            let images = Tensor::randn([4, channels, side, side], options);
            let weight = Tensor::randn([outputs, channels, 1, 1], options);
            // Double precision has no such routine.
            let gradients = |kind: Kind, last: bool| {
                let order = |tensor: &Tensor| {
                    let tensor = tensor.to_kind(kind);
                    let tensor = if last { channels_last(&tensor) } else { tensor };
                    tensor.detach().set_requires_grad(true)
                };
                let (images, weight) = (order(&images), order(&weight));
                let output = match last {
                    true => conv2d(&images, &weight, None, [2, 2], [0, 0], [1, 1], 1).unwrap(),
                    false => images.conv2d(&weight, None::<Tensor>, [2, 2], [0, 0], [1, 1], 1),
                };
                (&output * &output).sum(kind).backward();
                [output, images.grad(), weight.grad()].map(|tensor| tensor.detach().to_kind(Kind::Double))
            };
            let (ours, exact) = (gradients(Kind::Float, true), gradients(Kind::Double, false));
            for (ours, exact) in ours.iter().zip(&exact) {
                assert_eq!(ours.size(), exact.size());
                let worst = (ours - exact).abs().max().double_value(&[]);
                let scale = exact.abs().max().double_value(&[]);
                // 24 bits, over sums of 24 × 576 products at most.
                assert!(worst <= 1e-5 * scale, "{channels} {outputs} {side}: {worst} of {scale}");
            }
        }
    }
}
