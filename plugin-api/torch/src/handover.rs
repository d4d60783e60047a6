//! The extension by which plugins and host hand tensors to each other, and prove that they can.
//!
//! Every plugin that exports itself with `torch: nashost_plugin_torch` answers to it. The unsafe
//! code here only passes through what the handshake has established; see [`handle`](crate::handle).

use nashost_plugin_api::abi::foreign::Instance;
use tch::{Cuda, Kind, Tensor};

use crate::{TensorHandle, TorchError, parse_device};

/// Id of the extension.
pub const HANDOVER_V1: &str = "nashost.tensor_handover.v1";

/// The table of the extension. ABI-FROZEN.
#[derive(Debug)]
#[repr(C)]
pub struct Handover {
    /// Number of CUDA devices that the plugin sees. Never unwinds.
    cuda_devices: extern "C" fn() -> i64,
    /// Moves a tensor into the plugin, which answers twice its values in a tensor of its own and
    /// frees what it got. Null if libtorch failed. Never unwinds.
    double: extern "C" fn(handle: TensorHandle) -> NullableHandle,
}

/// A handle, or nothing.
#[derive(Debug)]
#[repr(C)]
struct NullableHandle {
    some: u8,
    handle: std::mem::MaybeUninit<TensorHandle>,
}

/// This library's own table.
pub static HANDOVER: Handover = Handover { cuda_devices, double };

extern "C" fn cuda_devices() -> i64 {
    std::panic::catch_unwind(Cuda::device_count).unwrap_or(-1)
}

extern "C" fn double(handle: TensorHandle) -> NullableHandle {
    let doubled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        handle.into_tensor().f_mul_scalar(2.0).ok().map(TensorHandle::from)
    }));
    match doubled {
        Ok(Some(handle)) => NullableHandle { some: 1, handle: std::mem::MaybeUninit::new(handle) },
        _ => NullableHandle { some: 0, handle: std::mem::MaybeUninit::uninit() },
    }
}

/// The hand-over table of a plugin, seen from the host.
#[derive(Debug, Clone, Copy)]
pub struct ForeignHandover(&'static Handover);

impl ForeignHandover {
    /// Returns the table of the plugin that `instance` belongs to; `None` if it uses no tensors.
    pub fn of(instance: &Instance) -> Option<Self> {
        // SAFETY: the id fixes the type of the table, and plugins are never unloaded.
        unsafe { instance.query(HANDOVER_V1).cast::<Handover>().as_ref() }.map(Self)
    }

    /// Returns how many CUDA devices the plugin sees.
    pub fn cuda_devices(self) -> i64 {
        (self.0.cuda_devices)()
    }

    /// Sends a tensor through the plugin, which frees it and answers twice its values in a tensor
    /// of its own. `None` if libtorch failed there.
    pub fn double(self, tensor: Tensor) -> Option<Tensor> {
        let answer = (self.0.double)(TensorHandle::from(tensor));
        // SAFETY: the plugin sets `some` exactly when it wrote the handle.
        (answer.some == 1).then(|| unsafe { answer.handle.assume_init() }.into_tensor())
    }
}

/// Sends a tensor of `device` through all `plugins` in turn and checks what comes back.
///
/// # Errors
///
/// Fails if the device is unknown, or a plugin cannot take the tensor or answers other values.
pub fn check_handover(device: &str, plugins: &[ForeignHandover]) -> Result<(), TorchError> {
    let device = parse_device(device)?;
    let start = Tensor::f_arange(1024, (Kind::Float, device)).map_err(TorchError::Torch)?;
    let mut tensor = start.copy();
    for plugin in plugins {
        tensor = plugin.double(tensor).ok_or(TorchError::Handover)?;
    }
    let expected = start * 2_f64.powi(plugins.len() as i32);
    if tensor.equal(&expected) { Ok(()) } else { Err(TorchError::Handover) }
}
