//! What is to fail, where and how often.

use std::{
    ffi::CStr,
    io::Write as _,
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use libc::{PATH_MAX, c_char, c_int};

use crate::random;

/// Calls that fail, at most, before a full disk has room again.
const FULL: u64 = 24;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `write` writes half and says so.
    ShortWrite,
    /// `write` writes half, then it and all others fail for a while, as does making files.
    DiskFull,
    /// `write` fails.
    WriteError,
    /// `fsync` or `fdatasync` fails.
    SyncError,
    /// A rename fails.
    RenameError,
    /// `ftruncate` fails.
    TruncateError,
    /// The clock on the wall jumps by hours.
    Clock,
    /// The process is killed inside `write`, half of which is done, or before `fsync` or a rename.
    Kill,
}

impl Kind {
    const ALL: [(Self, &'static CStr); 8] = [
        (Self::ShortWrite, c"short-write"),
        (Self::DiskFull, c"disk-full"),
        (Self::WriteError, c"write-error"),
        (Self::SyncError, c"sync-error"),
        (Self::RenameError, c"rename-error"),
        (Self::TruncateError, c"truncate-error"),
        (Self::Clock, c"clock"),
        (Self::Kill, c"kill"),
    ];

    fn name(self) -> &'static str {
        let name = Self::ALL.iter().find(|(kind, _)| *kind == self).and_then(|(_, name)| name.to_str().ok());
        name.unwrap_or_default()
    }
}

/// What the environment asks for.
#[derive(Debug)]
pub(crate) struct Plan {
    folder: Vec<u8>,
    kinds: Vec<Kind>,
    /// Faults per million calls.
    rate: u64,
    log: Option<&'static CStr>,
    /// Calls for which the disk is still full.
    full: AtomicU64,
    /// Seconds by which the clock on the wall is wrong.
    pub(crate) clock: AtomicI64,
}

static PLAN: OnceLock<Option<Plan>> = OnceLock::new();

impl Plan {
    /// Returns the plan of this process, if it has one.
    pub(crate) fn this() -> Option<&'static Self> {
        PLAN.get_or_init(Self::read).as_ref()
    }

    /// Returns the plan if it touches the file `fd`.
    pub(crate) fn of_descriptor(fd: c_int) -> Option<&'static Self> {
        let plan = Self::this()?;
        with_path(fd, |path| plan.touches(path)).unwrap_or(false).then_some(plan)
    }

    /// Returns the plan if it touches `path`.
    pub(crate) fn of_path(path: &CStr) -> Option<&'static Self> {
        Self::this().filter(|plan| plan.touches(path))
    }

    fn read() -> Option<Self> {
        let number = |name: &CStr| variable(name)?.to_str().ok()?.parse::<u64>().ok();
        let kinds = variable(c"FAULTS_KINDS")?.to_str().ok()?;
        let known = |name: &str| Kind::ALL.into_iter().find(|(kind, _)| kind.name() == name);
        let plan = Self {
            folder: variable(c"FAULTS_IN")?.to_bytes().to_vec(),
            kinds: kinds.split(',').filter_map(|name| known(name).map(|(kind, _)| kind)).collect(),
            rate: number(c"FAULTS_RATE")?,
            log: variable(c"FAULTS_LOG"),
            full: AtomicU64::new(0),
            clock: AtomicI64::new(0),
        };
        random::seed(number(c"FAULTS_SEED").unwrap_or(0) ^ u64::from(std::process::id()) << 32);
        Some(plan)
    }

    fn touches(&self, path: &CStr) -> bool {
        path.to_bytes().starts_with(&self.folder)
    }

    /// Says whether one of `kinds` happens now, and which, and logs it.
    pub(crate) fn draw(&self, kinds: &[Kind]) -> Option<Kind> {
        let possible = || self.kinds.iter().filter(|kind| kinds.contains(kind));
        let count = possible().count() as u64;
        if count == 0 || random::next() % 1_000_000 >= self.rate {
            return None;
        }
        let kind = possible().nth((random::next() % count) as usize).copied()?;
        self.log(kind);
        Some(kind)
    }

    /// Whether the disk is full for one more call.
    pub(crate) fn is_full(&self) -> bool {
        self.full.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |calls| calls.checked_sub(1)).is_ok()
    }

    /// Fills the disk.
    pub(crate) fn fill(&self) {
        self.full.store(random::next() % FULL + 1, Ordering::Relaxed);
    }

    fn log(&self, kind: Kind) {
        let Some(log) = self.log else { return };
        let line = format!("{} {}\n", kind.name(), std::process::id());
        let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC;
        // SAFETY: path and line are valid for the calls, and the descriptor is this function's own.
        unsafe {
            let fd = libc::syscall(libc::SYS_openat, libc::AT_FDCWD, log.as_ptr(), flags, 0o600);
            libc::syscall(libc::SYS_write, fd, line.as_ptr(), line.len());
            libc::syscall(libc::SYS_close, fd);
        }
    }
}

/// Shows `look` the path of the file that `fd` has open, if it has one.
pub(crate) fn with_path<T>(fd: c_int, look: impl FnOnce(&CStr) -> T) -> Option<T> {
    let mut link = [0_u8; 32];
    // Without memory of the heap: a child between fork and exec may be here.
    write!(&mut link[..], "/proc/self/fd/{fd}\0").ok()?;
    let mut path = [0_u8; PATH_MAX as usize];
    // SAFETY: `link` ends with a zero, and the kernel writes no more than it is told of `path`.
    let length = unsafe {
        libc::readlink(link.as_ptr().cast::<c_char>(), path.as_mut_ptr().cast::<c_char>(), path.len() - 1)
    };
    let length = usize::try_from(length).ok()?;
    CStr::from_bytes_until_nul(&path[..=length]).ok().map(look)
}

/// Returns a variable of the environment as it was at the start.
fn variable(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: `name` is a string with an end.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: what `getenv` points to lives until the program changes that variable, which nobody
    // does in a program under test.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) })
}
