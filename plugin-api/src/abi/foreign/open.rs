//! The handshake with a plugin file: map it, read the boot record, check the layout.

use std::{
    mem::ManuallyDrop,
    path::{Path, PathBuf},
};

use abi_stable::library::lib_header_from_path;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::{Plugin, maps};
use crate::abi::{
    boot::{ABI_MAJOR, BOOT_SYMBOL, BootInfo, FLAG_PANIC_UNWIND, MAGIC, SDK_VERSION},
    root::PluginRootRef,
};

/// Keeps the library mapped whatever happens: unloading Rust code with thread-locals, or anything
/// linked to libtorch, is not sound.
const RTLD_NODELETE: i32 = 0x1000;

/// A plugin file that was refused.
#[derive(Debug, thiserror::Error)]
#[error("plugin {}: {kind}", path.display())]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub kind: OpenErrorKind,
}

/// Why a plugin file was refused. Each text fits on one line and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// The dynamic linker refused it.
    #[error("the dynamic linker refused it: {0}")]
    Link(String),
    /// There is no boot record.
    #[error("it has no boot record: add `nashost_plugin_api::export_plugin!` and rebuild it")]
    NoBootRecord,
    /// The boot record was found in another file.
    #[error("its boot record comes from {}: link that library statically without its own export_plugin!", .0.display())]
    ForeignBootRecord(PathBuf),
    /// The boot record is damaged or of something else.
    #[error("its boot record is not a nashost one: rebuild it with nashost-plugin-api {SDK_VERSION}")]
    Magic,
    /// Built for another ABI major.
    #[error(
        "it has ABI {found}, this host has ABI {ABI_MAJOR}: rebuild it with nashost-plugin-api {SDK_VERSION}"
    )]
    AbiMajor {
        /// The plugin's major.
        found: u32,
    },
    /// Built for another pointer width.
    #[error("it has {found}-byte pointers, this host has {}-byte ones: build it for this machine", size_of::<usize>())]
    PointerWidth {
        /// The plugin's width in bytes.
        found: u32,
    },
    /// Built with `panic = "abort"`.
    #[error("it was built with panic=abort, so one panic would end the host: build it with panic=unwind")]
    PanicAbort,
    /// Built for another libtorch.
    #[error(
        "it was built for libtorch ABI {found:#018x}, this host runs {expected:#018x}: rebuild it for this host's libtorch"
    )]
    Libtorch {
        /// The plugin's word.
        found: u64,
        /// The host's word.
        expected: u64,
    },
    /// Needs libtorch, and this host has none.
    #[error("it needs libtorch, which this host does not have")]
    NeedsLibtorch,
    /// `abi_stable`'s layout check failed.
    #[error("its root module has another layout ({} lines of detail with --verbose): rebuild it with nashost-plugin-api {SDK_VERSION}", .detail.lines().count())]
    Layout {
        /// The whole report.
        detail: String,
    },
}

/// Maps the plugin file at `path` for ever and performs the handshake.
///
/// `libtorch_abi` is `aoti_torch_abi_version()` of the libtorch in this process, or `None`.
/// Mapping a file runs its constructors: call this only for files that are trusted.
///
/// # Errors
///
/// Fails with the first thing that does not fit. The file stays mapped even then.
pub fn open(path: &Path, libtorch_abi: Option<u64>) -> Result<Plugin, OpenError> {
    open_kind(path, libtorch_abi).map_err(|kind| OpenError { path: path.to_owned(), kind })
}

fn open_kind(path: &Path, libtorch_abi: Option<u64>) -> Result<Plugin, OpenErrorKind> {
    // SAFETY: mapping runs the file's constructors, which the caller vouches for.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
    let library = ManuallyDrop::new(library.map_err(|e| OpenErrorKind::Link(e.to_string()))?);
    // SAFETY: the symbol's type is fixed for ever by its name.
    let boot = unsafe { library.get::<*const BootInfo>(BOOT_SYMBOL.as_bytes()) };
    let boot: *const BootInfo = *boot.map_err(|_| OpenErrorKind::NoBootRecord)?;
    let home = maps::file_of(boot.cast()).ok_or(OpenErrorKind::NoBootRecord)?;
    if path.canonicalize().is_ok_and(|path| path != home) {
        return Err(OpenErrorKind::ForeignBootRecord(home));
    }
    // SAFETY: a data symbol of a library that stays mapped; its first bytes up to the size of the
    // frozen record are there in every plugin.
    check_boot(unsafe { &*boot }, libtorch_abi)?;
    // Not `PluginRootRef::load_from_file`: that keeps one module per type for the whole process.
    lib_header_from_path(path)
        .and_then(|header| header.init_root_module::<PluginRootRef>())
        .map(Plugin::new)
        .map_err(|e| OpenErrorKind::Layout { detail: e.to_string() })
}

/// Judges a boot record, before anything else of its plugin is touched.
///
/// `libtorch_abi` is as in [`open`].
///
/// # Errors
///
/// Fails with the first field that does not fit.
pub fn check_boot(boot: &BootInfo, libtorch_abi: Option<u64>) -> Result<(), OpenErrorKind> {
    if boot.magic != MAGIC || boot.struct_size as usize != size_of::<BootInfo>() {
        return Err(OpenErrorKind::Magic);
    }
    if boot.abi_major != ABI_MAJOR {
        return Err(OpenErrorKind::AbiMajor { found: boot.abi_major });
    }
    if boot.pointer_width as usize != size_of::<usize>() {
        return Err(OpenErrorKind::PointerWidth { found: boot.pointer_width });
    }
    if boot.flags & FLAG_PANIC_UNWIND == 0 {
        return Err(OpenErrorKind::PanicAbort);
    }
    match (boot.libtorch_abi, libtorch_abi) {
        (0, _) => Ok(()),
        (_, None) => Err(OpenErrorKind::NeedsLibtorch),
        (found, Some(expected)) if found != expected => Err(OpenErrorKind::Libtorch { found, expected }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut BootInfo), libtorch: Option<u64>) -> String {
        let mut boot = BootInfo::new(true, 0x020b_0000_0000_0000);
        change(&mut boot);
        check_boot(&boot, libtorch).unwrap_err().to_string()
    }

    #[test]
    fn each_field_is_checked() {
        let live = Some(0x020b_0000_0000_0000);
        assert!(check_boot(&BootInfo::new(true, 0x020b_0000_0000_0000), live).is_ok());
        assert!(check_boot(&BootInfo::new(true, 0), None).is_ok());
        assert!(refusal(|b| b.magic[7] = 2, live).contains("not a nashost"));
        assert!(refusal(|b| b.struct_size += 8, live).contains("not a nashost"));
        assert!(refusal(|b| b.abi_major = 2, live).contains("has ABI 2, this host has ABI 1"));
        assert!(refusal(|b| b.pointer_width = 4, live).contains("4-byte"));
        assert!(refusal(|b| b.flags = 0, live).contains("panic=abort"));
        assert!(refusal(|b| b.libtorch_abi = 1, live).contains("0x0000000000000001"));
        assert!(refusal(|_| (), None).contains("needs libtorch"));
    }

    #[test]
    fn what_is_no_library_is_refused() {
        let error = open(Path::new("/etc/hostname"), None).err().unwrap();
        assert!(matches!(error.kind, OpenErrorKind::Link(_)), "{error}");
    }
}
