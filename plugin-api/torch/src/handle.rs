//! Tensors that change hands between plugins, and the thread's grad mode.
//!
//! The unsafe code here rests on the handshake: the host loads no plugin that
//! was built for another libtorch, and maps one libtorch into the process, so that an
//! `at::Tensor*` means the same to all.

use std::{
    ffi::c_void,
    marker::PhantomData,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use tch::Tensor;
use torch_sys::C_tensor;

/// What can be done with a [`TensorHandle`] without knowing libtorch.
///
/// APPENDABLE: newer versions may add functions at the end; `struct_size` says which are there.
#[derive(Debug)]
#[repr(C)]
pub struct TensorVt {
    /// Size of the table in the plugin that made the handle.
    pub struct_size: usize,
    /// Frees the tensor. Never unwinds.
    pub drop: unsafe extern "C" fn(raw: *mut c_void),
    /// Returns another handle to the same memory, or null if libtorch failed. Never unwinds.
    pub shallow_clone: unsafe extern "C" fn(raw: *mut c_void) -> *mut c_void,
}

/// An owned tensor on its way from one plugin to another. ABI-FROZEN.
///
/// Whoever holds it owns it and frees it through its table. One thread at a time may use a
/// handle. Tensors handed over are detached unless the receiver asks for the graph.
#[derive(Debug)]
#[repr(C)]
pub struct TensorHandle {
    raw: *mut c_void,
    vt: *const TensorVt,
}

/// A borrowed tensor on its way from one plugin to another. ABI-FROZEN.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct TensorRef<'a> {
    raw: *mut c_void,
    vt: *const TensorVt,
    owner: PhantomData<&'a TensorHandle>,
}

static VT: TensorVt =
    TensorVt { struct_size: size_of::<TensorVt>(), drop: drop_tensor, shallow_clone: clone_tensor };

// SAFETY: the handle owns its tensor as `tch::Tensor` does, which is `Send`; the table is a static
// of the plugin that made it, and plugins are never unloaded.
unsafe impl Send for TensorHandle {}

impl From<Tensor> for TensorHandle {
    fn from(tensor: Tensor) -> Self {
        let mut tensor = ManuallyDrop::new(tensor);
        Self { raw: tensor.as_mut_ptr().cast(), vt: &raw const VT }
    }
}

impl TensorHandle {
    /// Returns the tensor.
    pub fn into_tensor(self) -> Tensor {
        let handle = ManuallyDrop::new(self);
        // SAFETY: `raw` is an owned `at::Tensor*` of the one libtorch (module docs); forgetting the
        // handle hands that ownership to the `Tensor`.
        unsafe { Tensor::from_ptr(handle.raw.cast::<C_tensor>()) }
    }

    /// Lends the tensor.
    pub fn borrow(&self) -> TensorRef<'_> {
        TensorRef { raw: self.raw, vt: self.vt, owner: PhantomData }
    }
}

impl Drop for TensorHandle {
    fn drop(&mut self) {
        // SAFETY: `vt` points to a static of a plugin that is never unloaded, `drop` is among its
        // first functions, and `raw` is owned and not used again.
        unsafe { ((*self.vt).drop)(self.raw) }
    }
}

impl TensorRef<'_> {
    /// Returns a tensor that shares memory with the lent one and may outlive it; `None` if
    /// libtorch failed.
    pub fn to_tensor(self) -> Option<Tensor> {
        // SAFETY: `vt` points to a static of a plugin that is never unloaded, and the owner, which
        // `'_` keeps alive, holds `raw`.
        let raw = unsafe { ((*self.vt).shallow_clone)(self.raw) };
        // SAFETY: `shallow_clone` returns null or an owned `at::Tensor*` of the one libtorch.
        (!raw.is_null()).then(|| unsafe { Tensor::from_ptr(raw.cast::<C_tensor>()) })
    }
}

unsafe extern "C" fn drop_tensor(raw: *mut c_void) {
    // SAFETY: the caller hands over the ownership of an `at::Tensor*` that `From<Tensor>` made.
    let tensor = unsafe { Tensor::from_ptr(raw.cast::<C_tensor>()) };
    // tch panics if libtorch throws, and a panic must not cross `extern "C"`. Then the tensor
    // leaks, which is all that is left to do.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(tensor)));
}

unsafe extern "C" fn clone_tensor(raw: *mut c_void) -> *mut c_void {
    // SAFETY: the caller lends an `at::Tensor*` that `From<Tensor>` made; `clone_from_ptr` leaves
    // it alone.
    let clone = AssertUnwindSafe(|| unsafe { Tensor::clone_from_ptr(raw.cast::<C_tensor>()) });
    match catch_unwind(clone) {
        Ok(tensor) => ManuallyDrop::new(tensor).as_mut_ptr().cast(),
        Err(_) => ptr::null_mut(),
    }
}

/// Restores the thread's grad mode when dropped, also while unwinding.
///
/// The host holds one around every call into a plugin, so that no plugin can leave gradients
/// switched off.
#[derive(Debug)]
#[must_use = "the mode is restored when the guard is dropped"]
pub struct GradGuard {
    enabled: bool,
    /// Grad mode belongs to the thread, so the guard must stay on it.
    thread: PhantomData<*const ()>,
}

impl GradGuard {
    /// Remembers the thread's grad mode.
    pub fn save() -> Self {
        let enabled = swap_grad_mode(true);
        swap_grad_mode(enabled);
        Self { enabled, thread: PhantomData }
    }
}

impl Drop for GradGuard {
    fn drop(&mut self) {
        swap_grad_mode(self.enabled);
    }
}

/// Sets the thread's grad mode and returns what it was.
fn swap_grad_mode(enabled: bool) -> bool {
    // SAFETY: the function takes and returns a flag, and touches a thread-local of libtorch only.
    unsafe { torch_sys::at_grad_set_enabled(i32::from(enabled)) != 0 }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    fn grad_enabled() -> bool {
        let weight = Tensor::ones([1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        (weight * 2.0).requires_grad()
    }

    #[test]
    fn a_handle_carries_its_tensor() {
        let tensor = Tensor::from_slice(&[1_i64, 2, 3]);
        let address = tensor.data_ptr();
        let handle = TensorHandle::from(tensor);
        let lent = handle.borrow().to_tensor().unwrap();
        let back = std::thread::spawn(move || handle.into_tensor()).join().unwrap();
        assert_eq!(back.data_ptr(), address);
        drop(back);
        // The clone keeps the memory.
        assert_eq!(Vec::<i64>::try_from(lent).unwrap(), [1, 2, 3]);
    }

    /// Every tensor leaked would add its 16 MiB to the process.
    #[test]
    fn dropped_handles_free_their_tensors() {
        let resident_mib = || {
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
            pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() / 256
        };
        let before = resident_mib();
        for _ in 0..32 {
            let handle = TensorHandle::from(Tensor::ones([4 << 20], (Kind::Float, Device::Cpu)));
            let lent = handle.borrow().to_tensor();
            drop((handle, lent));
        }
        assert!(resident_mib() < before + 256);
    }

    #[test]
    fn grad_mode_is_restored_after_a_panic() {
        assert!(grad_enabled());
        let result = catch_unwind(|| {
            let _guard = GradGuard::save();
            swap_grad_mode(false);
            assert!(!grad_enabled());
            panic!("as a plugin might");
        });
        assert!(result.is_err());
        assert!(grad_enabled());
        let _off = tch::no_grad_guard();
        drop(GradGuard::save());
        assert!(!grad_enabled());
    }
}
