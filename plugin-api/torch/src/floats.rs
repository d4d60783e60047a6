//! A tensor's values as a slice.

use tch::{Device, Kind, Tensor};

/// Returns the values of a contiguous fp32 tensor on the CPU, in memory order.
///
/// Nobody else may use the memory meanwhile, as for libtorch's own operations in place.
///
/// # Panics
///
/// Panics if the tensor is of another kind, on another device, or not contiguous.
pub(crate) fn floats_mut(tensor: &mut Tensor) -> &mut [f32] {
    assert_eq!((tensor.kind(), tensor.device()), (Kind::Float, Device::Cpu), "an fp32 tensor on the CPU");
    assert!(tensor.is_contiguous(), "a contiguous tensor");
    let len = tensor.numel();
    if len == 0 {
        return &mut [];
    }
    // SAFETY: a contiguous fp32 tensor has `len` aligned values from `data_ptr` on, which live as
    // long as `tensor`. Libtorch's memory may be uninitialised but is readable; every pattern of
    // bits is an f32.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), len) }
}
