//! What training errors look like to users.

use crate::error::{Error, Exit, Result};

/// Code of errors that say that the memory of a device, a GPU's or the computer's, is full.
pub const OUT_OF_MEMORY: &str = "E0509";

/// Whether an error's text, causes included, says that the memory of a device is full.
pub fn is_out_of_memory(text: &str) -> bool {
    // In the order of: CUDA's allocator and CUDA itself; the type that the allocator throws; cuBLAS,
    // cuDNN and their kin; the allocator of the CPU on Linux and its wording elsewhere; C++.
    [
        "out of memory",
        "OutOfMemoryError",
        "STATUS_ALLOC_FAILED",
        "DefaultCPUAllocator: can't allocate memory",
        "DefaultCPUAllocator: not enough memory",
        "std::bad_alloc",
    ]
    .iter()
    .any(|words| text.contains(words))
}

/// Turns errors of libtorch into [`Error`]s.
pub(super) trait OrFail<T> {
    /// Says what was being done when it went wrong.
    ///
    /// # Errors
    ///
    /// Passes on the error: E0509 if the device's memory was full, else E0506.
    fn or_fail(self, doing: &str) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for std::result::Result<T, E> {
    fn or_fail(self, doing: &str) -> Result<T> {
        self.map_err(|error| {
            // libtorch appends a C++ backtrace after the first line.
            let text = format!("{:#}", error.into());
            let first = text.lines().next().unwrap_or_default();
            if is_out_of_memory(&text) {
                let message = format!("{doing}: the device's memory is full: {first}");
                return Error::new(Exit::Environment, OUT_OF_MEMORY, message).help(
                    "raise `train.micro_batches`, which divides the memory of a step, or use a smaller \
                     `train.batch` or `train.resolution`, or `train.precision = \"bf16\"`",
                );
            }
            Error::new(Exit::No, "E0506", format!("{doing}: {first}"))
                .help("please report this: a validated graph should not fail in libtorch")
        })
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn a_full_memory_is_told_from_other_failures() {
        // More than any address space: libtorch's own words.
        let error = Tensor::f_zeros([1 << 50], (Kind::Float, Device::Cpu)).or_fail("training").unwrap_err();
        assert_eq!((error.code, error.exit), (OUT_OF_MEMORY, Exit::Environment), "{}", error.message);
        assert!(error.message.starts_with("training: the device's memory is full"), "{}", error.message);
        let cuda = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB";
        assert!(is_out_of_memory(cuda));
        let one = || Tensor::ones([2], (Kind::Float, Device::Cpu));
        let error = one().f_matmul(&Tensor::ones([3], (Kind::Float, Device::Cpu))).or_fail("x").unwrap_err();
        assert_eq!((error.code, error.exit), ("E0506", Exit::No));
    }
}
