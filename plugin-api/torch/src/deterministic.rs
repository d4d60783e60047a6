//! The same bits from the same inputs, on a GPU too.
//!
//! The switches are those of libtorch's global context, of which a process has one, whatever
//! plugins it loads.

// SAFETY: `deterministic.cpp` defines both functions with these types. They set and read flags of
// libtorch's global context, take no pointers and do not throw.
unsafe extern "C" {
    safe fn nashost_set_deterministic(on: bool);
    safe fn nashost_is_deterministic() -> bool;
}

/// The environment variable, and its value, without which cuBLAS may answer other bits: libtorch
/// refuses to multiply matrices on a GPU while [`set_deterministic`] is on and this is not set. It
/// must be set before the process first uses the GPU, best when the process is started.
pub const CUBLAS_WORKSPACE: (&str, &str) = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8");

/// Makes libtorch choose algorithms that answer the same bits each time, and fail where it has
/// none; or lets it choose the fastest again.
///
/// It holds for the whole process. cuDNN and oneDNN are bound likewise, and cuDNN no longer tries
/// which of its algorithms is fastest.
pub fn set_deterministic(on: bool) {
    nashost_set_deterministic(on);
}

/// Whether [`set_deterministic`] is on in all its parts.
pub fn is_deterministic() -> bool {
    nashost_is_deterministic()
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    /// libtorch's `put_` without accumulation has no deterministic algorithm on any device: with an
    /// index twice, the last writer wins.
    fn put() -> tch::Result<Tensor> {
        let mut values = Tensor::zeros([4], (Kind::Float, Device::Cpu));
        values.f_put_(&Tensor::from_slice(&[1_i64, 2]), &Tensor::from_slice(&[5_f32, 6.0]), false)
    }

    #[test]
    fn what_cannot_be_deterministic_fails_while_it_is_on() {
        assert!(!is_deterministic());
        assert!(put().is_ok());
        set_deterministic(true);
        let (on, refused) = (is_deterministic(), put());
        set_deterministic(false);
        assert!(on);
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("does not have a deterministic implementation"), "{error}");
        assert!(!is_deterministic());
        assert!(put().is_ok());
    }
}
