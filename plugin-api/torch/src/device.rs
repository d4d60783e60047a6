//! Devices and memory layout.

use tch::{Cuda, Device, Tensor};

use crate::TorchError;

/// Returns the device named `cpu`, `cuda` (the first GPU) or `cuda:N`.
///
/// On a machine with GPUs, `libtorch_cuda` must be mapped before the first call; the host sees
/// to that.
///
/// # Errors
///
/// Fails if the name means nothing or libtorch sees no such GPU.
pub fn parse_device(name: &str) -> Result<Device, TorchError> {
    let index = match name.split_once(':') {
        None if name == "cpu" => return Ok(Device::Cpu),
        None if name == "cuda" => Some(0),
        Some(("cuda", index)) => index.parse::<u16>().ok(),
        _ => None,
    };
    let index = index.ok_or_else(|| TorchError::UnknownDevice(name.to_owned()))?;
    let found = Cuda::device_count();
    if i64::from(index) < found {
        Ok(Device::Cuda(usize::from(index)))
    } else {
        Err(TorchError::NoSuchGpu { name: name.to_owned(), found })
    }
}

/// Returns the same values with the strides of NHWC, the layout in which convolutions are
/// fastest. Tensors that are not 4-D, or laid out so already, are returned as they are.
pub fn channels_last(tensor: &Tensor) -> Tensor {
    // tch has no memory format argument; strides say the same.
    match tensor.dim() {
        4 => tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
        _ => tensor.shallow_clone(),
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    #[test]
    fn layout_changes_strides_and_not_values() {
        let tensor = Tensor::arange(2 * 3 * 4 * 5, (Kind::Float, Device::Cpu)).view([2, 3, 4, 5]);
        let laid = channels_last(&tensor);
        assert_eq!(laid.stride(), [60, 1, 15, 3]);
        assert_eq!(laid, tensor);
        assert_eq!(channels_last(&laid).data_ptr(), laid.data_ptr());
    }

    #[test]
    fn device_names() {
        assert_eq!(parse_device("cpu").unwrap(), Device::Cpu);
        for wrong in ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "CUDA"] {
            assert!(matches!(parse_device(wrong), Err(TorchError::UnknownDevice(name)) if name == wrong));
        }
        let error = parse_device("cuda:4000").unwrap_err();
        assert!(matches!(error, TorchError::NoSuchGpu { .. }), "{error}");
    }
}
