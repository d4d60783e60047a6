//! Faults of a file system, for a program that is started with this library in `LD_PRELOAD`.
//!
//! The library takes the place of the functions of libc through which Rust's standard library writes
//! files. Calls that touch the folder `FAULTS_IN` fail now and then, the way disks do; all others go to
//! the kernel unchanged. Variables of the environment say how:
//!
//! - `FAULTS_IN`: the folder, as the kernel names it (no symbolic links).
//! - `FAULTS_KINDS`: what may happen, names of [`Kind`] with commas between.
//! - `FAULTS_RATE`: how often, in faults per million calls.
//! - `FAULTS_SEED`: a number. A process draws from it and from its own number, so that a process that
//!   is started again does not stumble at the same place for ever.
//! - `FAULTS_LOG`: a file, outside the folder, that gets a line for each fault: its kind and the
//!   process.
//!
//! Two things cannot be reached this way. `rustix`, and `tempfile` through it, calls the kernel
//! without libc: the rename of a finished temporary file is made to fail for real, by removing that
//! file when it is synced. And what is written through a mapping is no call at all; the host maps
//! nothing that it writes.

mod plan;
mod random;

use std::{ffi::CStr, sync::atomic::Ordering};

use libc::{c_char, c_int, c_long, c_void, clockid_t, mode_t, off_t, size_t, ssize_t, timespec};

use crate::plan::{Kind, Plan};

/// Most hours that the clock is moved from the truth.
const HOURS: i64 = 6;

/// Takes the place of libc's `write`.
///
/// # Safety
///
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, count: size_t) -> ssize_t {
    // SAFETY: the caller's promise about the buffer is passed on, for no more bytes than it named.
    let write = |count: size_t| unsafe { libc::syscall(libc::SYS_write, fd, bytes, count) as ssize_t };
    let Some(plan) = Plan::of_descriptor(fd) else { return write(count) };
    if plan.is_full() {
        return fail(libc::ENOSPC);
    }
    match plan.draw(&[Kind::ShortWrite, Kind::DiskFull, Kind::WriteError, Kind::Kill]) {
        Some(Kind::ShortWrite) => write(count.div_ceil(2)),
        Some(Kind::DiskFull) => {
            // A disk fills up in the middle of a write, and stays full for a while.
            plan.fill();
            if count > 1 { write(count / 2) } else { fail(libc::ENOSPC) }
        }
        Some(Kind::WriteError) => fail(libc::EIO),
        Some(Kind::Kill) => {
            write(count / 2);
            die()
        }
        _ => write(count),
    }
}

/// Takes the place of libc's `fsync`.
#[unsafe(no_mangle)]
pub extern "C" fn fsync(fd: c_int) -> c_int {
    sync(libc::SYS_fsync, fd)
}

/// Takes the place of libc's `fdatasync`.
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync(libc::SYS_fdatasync, fd)
}

fn sync(number: c_long, fd: c_int) -> c_int {
    // SAFETY: the call touches no memory of this process.
    let sync = || unsafe { libc::syscall(number, fd) as c_int };
    let Some(plan) = Plan::of_descriptor(fd) else { return sync() };
    match plan.draw(&[Kind::SyncError, Kind::RenameError, Kind::Kill]) {
        Some(Kind::SyncError) => fail(libc::EIO) as c_int,
        Some(Kind::RenameError) => {
            plan::with_path(fd, |path| {
                if path.to_bytes().ends_with(b".tmp") {
                    // SAFETY: `path` is a string with an end.
                    unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0) };
                }
            });
            sync()
        }
        Some(Kind::Kill) => die(),
        _ => sync(),
    }
}

/// Takes the place of libc's `ftruncate64`.
#[unsafe(no_mangle)]
pub extern "C" fn ftruncate64(fd: c_int, length: off_t) -> c_int {
    if Plan::of_descriptor(fd).is_some_and(|plan| plan.draw(&[Kind::TruncateError]).is_some()) {
        return fail(libc::EIO) as c_int;
    }
    // SAFETY: the call touches no memory of this process.
    unsafe { libc::syscall(libc::SYS_ftruncate, fd, length) as c_int }
}

/// Takes the place of libc's `rename`.
///
/// # Safety
///
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller gives strings with an end.
    let plan = Plan::of_path(unsafe { CStr::from_ptr(to) });
    match plan.and_then(|plan| plan.draw(&[Kind::RenameError, Kind::Kill])) {
        Some(Kind::Kill) => die(),
        Some(_) => fail(libc::EIO) as c_int,
        // SAFETY: as above.
        None => unsafe {
            libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) as c_int
        },
    }
}

/// Takes the place of libc's `open64`, whose third argument is there only if `flags` ask for it.
///
/// # Safety
///
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    let makes = flags & libc::O_CREAT != 0;
    // SAFETY: the caller gives a string with an end.
    let plan = Plan::of_path(unsafe { CStr::from_ptr(path) });
    // A full disk opens what it has.
    // SAFETY: as above.
    let is_new = || unsafe { libc::syscall(libc::SYS_faccessat, libc::AT_FDCWD, path, libc::F_OK) != 0 };
    let plan = plan.filter(|_| makes && is_new());
    let full = plan.is_some_and(|plan| {
        plan.is_full() || plan.draw(&[Kind::DiskFull]).inspect(|_| plan.fill()).is_some()
    });
    if full {
        return fail(libc::ENOSPC) as c_int;
    }
    // Without these flags there is no third argument, and the register holds anything.
    let mode = if makes || flags & libc::O_TMPFILE == libc::O_TMPFILE { mode } else { 0 };
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, mode) as c_int }
}

/// Takes the place of libc's `clock_gettime`: the clock on the wall jumps, the monotonic one does not.
///
/// # Safety
///
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    // SAFETY: the caller's promise about `time` is passed on.
    let status = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int };
    if clock == libc::CLOCK_REALTIME
        && status == 0
        && let Some(plan) = Plan::this()
    {
        if plan.draw(&[Kind::Clock]).is_some() {
            let hours = (random::next() % (2 * HOURS as u64 + 1)) as i64 - HOURS;
            plan.clock.store(hours * 3600, Ordering::Relaxed);
        }
        // SAFETY: the kernel has just written there.
        unsafe { (*time).tv_sec += plan.clock.load(Ordering::Relaxed) };
    }
    status
}

/// Reports a failure the way libc does.
fn fail(number: c_int) -> ssize_t {
    // SAFETY: the address of this thread's own number is always valid.
    unsafe { *libc::__errno_location() = number };
    -1
}

/// Ends the process as `kill -9` does.
fn die() -> ! {
    // SAFETY: the call touches no memory of this process, and there is none to touch after it.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    loop {
        std::hint::spin_loop();
    }
}
