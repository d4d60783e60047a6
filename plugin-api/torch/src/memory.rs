//! The C allocator.

use std::ffi::c_int;

const M_TRIM_THRESHOLD: c_int = -1;
const M_MMAP_THRESHOLD: c_int = -3;

unsafe extern "C" {
    fn mallopt(parameter: c_int, value: c_int) -> c_int;
    fn malloc_trim(keep: usize) -> c_int;
}

/// Tells glibc to keep freed memory for the next tensor instead of handing it back to the kernel,
/// and returns whether it agreed.
///
/// A network allocates and frees the same few sizes over and over. Handed back and forth, every
/// page is cleared by the kernel and faulted in again, which cost a quarter of the CPU time of a
/// small ResNet's forward pass on the main thread. The host calls this once at start; the process then
/// stays near its peak size.
pub fn keep_freed_memory() -> bool {
    // glibc accepts at most 32 MiB; larger tensors still come from the kernel.
    let settings = [(M_MMAP_THRESHOLD, 32 << 20), (M_TRIM_THRESHOLD, c_int::MAX)];
    // SAFETY: `mallopt` takes two numbers and locks what it changes.
    settings.into_iter().all(|(parameter, value)| unsafe { mallopt(parameter, value) } == 1)
}

/// Hands whole freed pages back to the kernel, those of all threads.
///
/// A search meets other sizes with every structure, so what [`keep_freed_memory`] keeps grows for
/// thousands of structures before it is used again. Called every few seconds, this costs some
/// milliseconds and a search stays near what it uses: a third less after 6,000 structures.
pub fn release_freed_memory() {
    // SAFETY: `malloc_trim` takes a number, locks each arena while it works on it, and leaves what is
    // in use alone.
    unsafe { malloc_trim(0) };
}
