//! Layer 2, host to plugin: the services a host offers. ABI-APPENDABLE: new fields go to the tail,
//! and readers check `struct_size` before they touch them.

use std::{ffi::c_void, mem::offset_of};

use abi_stable::StableAbi;

/// A borrowed UTF-8 string, valid for the duration of one call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    ptr: *const u8,
    len: usize,
}

impl Str {
    fn new(text: &str) -> Self {
        Self { ptr: text.as_ptr(), len: text.len() }
    }

    /// # Safety
    ///
    /// The call that received `self` must not have returned yet.
    unsafe fn get<'a>(self) -> &'a str {
        // SAFETY: guaranteed by the caller; `new` only accepts valid UTF-8.
        unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(self.ptr, self.len)) }
    }
}

/// One log event on the wire. ABI-FROZEN.
#[repr(C)]
pub struct RawLogRecord {
    level: u8,
    line: u32,
    target: Str,
    span_path: Str,
    message: Str,
    fields: Str,
}

/// One log event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// 1 = error … 5 = trace.
    pub level: u8,
    /// Source line, or 0.
    pub line: u32,
    /// `target` of the event.
    pub target: &'a str,
    /// The plugin's open spans, `outer:inner`.
    pub span_path: &'a str,
    /// The message.
    pub message: &'a str,
    /// The other fields, as a JSON object.
    pub fields: &'a str,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum CancelState {
    /// Go on.
    Go = 0,
    /// Finish the current step, start nothing.
    FinishTrial = 1,
    /// Stop at the next opportunity, in the middle of a call, too.
    StopNow = 2,
}

/// What a host does for its plugins. Every function may be called from any thread and must
/// neither block nor panic.
pub trait HostServices: Send + Sync + 'static {
    /// Takes a log record.
    fn log(&self, record: &LogRecord<'_>);
    /// Returns the most verbose level that is wanted, 0 = none … 5 = trace.
    fn log_max_level(&self) -> u8;
    /// Says whether to go on.
    fn cancel_state(&self) -> CancelState;
    /// Takes progress; `total` is 0 if unknown.
    fn progress(&self, step: u64, total: u64);
    /// Takes a named number.
    fn metric(&self, name: &str, step: u64, value: f64);
}

/// The services on the wire. ABI-APPENDABLE.
#[repr(C)]
struct HostApi {
    /// Size of this struct as the *host* saw it.
    struct_size: u32,
    ctx: *const c_void,
    log: extern "C" fn(ctx: *const c_void, record: *const RawLogRecord),
    log_max_level: extern "C" fn(ctx: *const c_void) -> u8,
    cancel_state: extern "C" fn(ctx: *const c_void) -> u8,
    progress: extern "C" fn(ctx: *const c_void, step: u64, total: u64),
    metric: extern "C" fn(ctx: *const c_void, name: Str, step: u64, value: f64),
    // Fields below were added after release 1 and may be missing in older hosts.
    /// Release 1.1 (tests only): answers its own size, so that skew can be proved.
    #[cfg(nashost_next_abi)]
    generation: extern "C" fn(ctx: *const c_void) -> u32,
}

/// Bytes of the first released table. Never grows within an ABI major.
const MIN_SIZE: u32 =
    (offset_of!(HostApi, metric) + size_of::<extern "C" fn(*const c_void, Str, u64, f64)>()) as u32;

const _: () = assert!(MIN_SIZE == 56, "the released host table has changed");

/// An opaque pointer to the host's table.
///
/// Opaque on purpose: `abi_stable` walks every type reachable from the root module, and a tail
/// field there would make a newer host refuse every older plugin.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy)]
pub struct HostPtr(*const c_void);

type Services = Box<dyn HostServices>;

/// # Safety
///
/// `ctx` must be the context of a table made by [`HostPtr::leak`] in this library.
unsafe fn services<'a>(ctx: *const c_void) -> &'a dyn HostServices {
    // SAFETY: guaranteed by the caller; the box is leaked.
    unsafe { &**ctx.cast::<Services>() }
}

extern "C" fn log(ctx: *const c_void, record: *const RawLogRecord) {
    // SAFETY: the plugin passes the host's own context and a record that is valid for this call.
    let (host, record) = unsafe { (services(ctx), &*record) };
    // SAFETY: as above.
    let text = |s: Str| unsafe { s.get() };
    host.log(&LogRecord {
        level: record.level,
        line: record.line,
        target: text(record.target),
        span_path: text(record.span_path),
        message: text(record.message),
        fields: text(record.fields),
    });
}

extern "C" fn log_max_level(ctx: *const c_void) -> u8 {
    // SAFETY: the plugin passes the host's own context.
    unsafe { services(ctx) }.log_max_level()
}

extern "C" fn cancel_state(ctx: *const c_void) -> u8 {
    // SAFETY: the plugin passes the host's own context.
    unsafe { services(ctx) }.cancel_state() as u8
}

extern "C" fn progress(ctx: *const c_void, step: u64, total: u64) {
    // SAFETY: the plugin passes the host's own context.
    unsafe { services(ctx) }.progress(step, total);
}

extern "C" fn metric(ctx: *const c_void, name: Str, step: u64, value: f64) {
    // SAFETY: the plugin passes the host's own context and a name that is valid for this call.
    let (host, name) = unsafe { (services(ctx), name.get()) };
    host.metric(name, step, value);
}

#[cfg(nashost_next_abi)]
extern "C" fn generation(_: *const c_void) -> u32 {
    2
}

impl HostPtr {
    /// Leaks a table for `host`: plugins may call it as long as the process lives.
    pub fn leak(host: impl HostServices) -> Self {
        let services: Services = Box::new(host);
        let ctx: *const Services = Box::leak(Box::new(services));
        let api = HostApi {
            struct_size: size_of::<HostApi>() as u32,
            ctx: ctx.cast(),
            log,
            log_max_level,
            cancel_state,
            progress,
            metric,
            #[cfg(nashost_next_abi)]
            generation,
        };
        Self(std::ptr::from_ref(Box::leak(Box::new(api))).cast())
    }

    /// Wraps the pointer for use in a plugin; `None` if the host's table is shorter than the
    /// first release's.
    ///
    /// # Safety
    ///
    /// `self` must have come from [`HostPtr::leak`] in this or another library.
    pub(crate) unsafe fn get(self) -> Option<HostRef> {
        let host = HostRef(self.0.cast());
        (host.struct_size() >= MIN_SIZE).then_some(host)
    }
}

/// A plugin's view of the host.
///
/// Never turned into `&HostApi`: an older host's table is shorter than this crate's struct, and a
/// reference to bytes that are not there is undefined behaviour. Fields are read one by one.
#[derive(Clone, Copy)]
pub struct HostRef(*const HostApi);

// SAFETY: the table is immutable and leaked, and its functions may be called from any thread.
unsafe impl Send for HostRef {}
// SAFETY: as above.
unsafe impl Sync for HostRef {}

macro_rules! read {
    ($host:expr, $field:ident) => {
        // SAFETY: the field lies within the first release's bytes, which `HostPtr::get` checked,
        // or behind an explicit check of `struct_size`.
        unsafe { (&raw const (*$host.0).$field).read() }
    };
}

impl HostRef {
    fn struct_size(self) -> u32 {
        read!(self, struct_size)
    }

    /// Sends a log record.
    pub fn log(self, record: &LogRecord<'_>) {
        let raw = RawLogRecord {
            level: record.level,
            line: record.line,
            target: Str::new(record.target),
            span_path: Str::new(record.span_path),
            message: Str::new(record.message),
            fields: Str::new(record.fields),
        };
        (read!(self, log))(read!(self, ctx), &raw);
    }

    /// Returns the most verbose level that the host wants.
    pub fn log_max_level(self) -> u8 {
        (read!(self, log_max_level))(read!(self, ctx))
    }

    /// Says whether to go on.
    pub fn cancel_state(self) -> CancelState {
        match (read!(self, cancel_state))(read!(self, ctx)) {
            0 => CancelState::Go,
            1 => CancelState::FinishTrial,
            _ => CancelState::StopNow,
        }
    }

    /// Reports progress; `total` is 0 if unknown.
    pub fn progress(self, step: u64, total: u64) {
        (read!(self, progress))(read!(self, ctx), step, total);
    }

    /// Reports a named number.
    pub fn metric(self, name: &str, step: u64, value: f64) {
        (read!(self, metric))(read!(self, ctx), Str::new(name), step, value);
    }

    /// Returns the host's generation, or `None` from a host that is too old to say.
    #[cfg(nashost_next_abi)]
    pub fn generation(self) -> Option<u32> {
        let end = offset_of!(HostApi, generation) + size_of::<extern "C" fn(*const c_void) -> u32>();
        (self.struct_size() as usize >= end).then(|| (read!(self, generation))(read!(self, ctx)))
    }
}
