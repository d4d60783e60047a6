//! Layer 0: the boot record, a plain C static that the host reads before it calls anything.

/// First bytes of every boot record. It tells a plugin from another library; it is no protection.
pub const MAGIC: [u8; 8] = *b"NASHOST\x01";

/// The ABI major of this crate. Host and plugin must agree exactly.
pub const ABI_MAJOR: u32 = 1;

/// [`ABI_MAJOR`] as text, for the manifest.
pub const ABI_MAJOR_TEXT: &str = "1";

/// Version of this crate.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Name of the boot record's symbol.
pub const BOOT_SYMBOL: &str = "NASHOST_BOOT_V1";

/// The plugin was built with `panic = "unwind"`, so its guards can catch panics.
pub const FLAG_PANIC_UNWIND: u32 = 1 << 0;

/// A borrowed UTF-8 string with static storage. ABI-FROZEN.
#[repr(C)]
#[derive(Debug)]
pub struct StaticStr {
    ptr: *const u8,
    len: usize,
}

impl StaticStr {
    /// Wraps a static string.
    pub const fn new(text: &'static str) -> Self {
        Self { ptr: text.as_ptr(), len: text.len() }
    }

    /// Reads the string back.
    ///
    /// # Safety
    ///
    /// `self` must have come from [`StaticStr::new`] in a library that stays mapped.
    pub unsafe fn get(&self) -> &'static str {
        // SAFETY: guaranteed by the caller; `new` only accepts valid UTF-8.
        unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(self.ptr, self.len)) }
    }
}

/// What a plugin says of itself. ABI-FROZEN: not one byte of it ever changes.
#[repr(C)]
#[derive(Debug)]
pub struct BootInfo {
    /// Must equal [`MAGIC`].
    pub magic: [u8; 8],
    /// Size of this struct as the plugin saw it.
    pub struct_size: u32,
    /// Must equal the host's [`ABI_MAJOR`].
    pub abi_major: u32,
    /// `FLAG_*` bits.
    pub flags: u32,
    /// Bytes of a pointer.
    pub pointer_width: u32,
    /// `aoti_torch_abi_version()` of the libtorch that the plugin was built for; 0 without one.
    pub libtorch_abi: u64,
    /// Version of `nashost-plugin-api`.
    pub sdk_version: StaticStr,
}

// SAFETY: the pointer leads to an immutable static.
unsafe impl Sync for BootInfo {}

impl BootInfo {
    /// The record of the plugin being compiled.
    pub const fn new(panic_unwind: bool, libtorch_abi: u64) -> Self {
        Self {
            magic: MAGIC,
            struct_size: size_of::<Self>() as u32,
            abi_major: ABI_MAJOR,
            flags: if panic_unwind { FLAG_PANIC_UNWIND } else { 0 },
            pointer_width: size_of::<usize>() as u32,
            libtorch_abi,
            sdk_version: StaticStr::new(SDK_VERSION),
        }
    }
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<BootInfo>() == 48 && align_of::<BootInfo>() == 8);
    assert!(std::mem::offset_of!(BootInfo, struct_size) == 8);
    assert!(std::mem::offset_of!(BootInfo, abi_major) == 12);
    assert!(std::mem::offset_of!(BootInfo, flags) == 16);
    assert!(std::mem::offset_of!(BootInfo, pointer_width) == 20);
    assert!(std::mem::offset_of!(BootInfo, libtorch_abi) == 24);
    assert!(std::mem::offset_of!(BootInfo, sdk_version) == 32);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_text_is_the_major() {
        assert_eq!(ABI_MAJOR_TEXT, ABI_MAJOR.to_string());
    }
}
