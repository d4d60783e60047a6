//! Layer 1: the root module. ABI-FROZEN within an ABI major, checked by `abi_stable`.
//!
//! Everything reachable from these signatures is frozen too, because the layout check walks it.

use std::ffi::c_void;

use abi_stable::{
    StableAbi,
    library::RootModule,
    package_version_strings,
    sabi_types::VersionStrings,
    std_types::{RResult, RStr, RString},
};

use super::{error::FfiError, host::HostPtr};

/// A live component, owned by its plugin and handed out as an opaque pointer.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct RawInstance {
    /// The plugin's object.
    pub this: *mut c_void,
    /// Destroys `this`; called once; never panics.
    pub drop_fn: unsafe extern "C" fn(this: *mut c_void),
    /// Returns the table of an extension, or null.
    pub query: unsafe extern "C" fn(this: *mut c_void, id: RStr<'_>) -> *const c_void,
}

/// The root module.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRootRef, prefix_fields = PluginRootPrefix)))]
#[sabi(missing_field(panic))]
pub struct PluginRoot {
    /// [host thread] Called once, before anything else.
    pub init: extern "C" fn(host: HostPtr) -> RResult<(), FfiError>,
    /// [host thread] Lists the components: JSON, `Vec<ComponentInfo>`.
    pub components: extern "C" fn() -> RResult<RString, FfiError>,
    /// [any thread] Creates a component from its id and configuration (JSON).
    #[sabi(last_prefix_field)]
    pub create: extern "C" fn(id: RStr<'_>, config: RStr<'_>) -> RResult<RawInstance, FfiError>,
}

impl RootModule for PluginRootRef {
    abi_stable::declare_root_module_statics! {PluginRootRef}
    const BASE_NAME: &'static str = "nashost_plugin";
    const NAME: &'static str = "nashost_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
