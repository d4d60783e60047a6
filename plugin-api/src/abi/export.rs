//! What a plugin exports: its registrations, manifest, boot record and root module.

use std::ffi::c_void;

use abi_stable::std_types::{RResult, RStr, RString};

use super::{
    error::{FfiError, code},
    ext, guard,
    host::HostPtr,
    log_bridge,
    root::RawInstance,
    tables,
};
use crate::{
    architecture::Architecture,
    component::{Component, ComponentInfo, Kind},
    dataset::Dataset,
    metric::{ArchitectureMetric, PredictionMetric},
    sdk,
    strategy::Strategy,
};

/// A component that [`register!`](crate::register) submitted.
pub struct Registration {
    id: &'static str,
    description: &'static str,
    kind: Kind,
    extension: &'static str,
    schema: fn() -> serde_json::Value,
    create: fn(&str) -> Result<RawInstance, FfiError>,
}

inventory::collect!(Registration);

/// A table that every component of a plugin answers to, whatever its kind.
pub struct Extension {
    pub(super) id: &'static str,
    pub(super) table: *const c_void,
}

// SAFETY: the table is a static of C functions.
unsafe impl Sync for Extension {}

inventory::collect!(Extension);

impl Extension {
    /// Offers `table` under `id`.
    pub const fn new<T: Sync>(id: &'static str, table: &'static T) -> Self {
        Self { id, table: std::ptr::from_ref(table).cast() }
    }
}

/// A table that one component of a plugin answers to, beside that of its kind.
pub struct ComponentExtension {
    pub(super) component: &'static str,
    pub(super) id: &'static str,
    pub(super) table: *const c_void,
}

// SAFETY: the table is a static of C functions.
unsafe impl Sync for ComponentExtension {}

inventory::collect!(ComponentExtension);

impl ComponentExtension {
    /// Offers `table` under `id` for the component `T`, whose instances the table's functions take.
    pub const fn new<T: Component, V: Sync>(id: &'static str, table: &'static V) -> Self {
        Self { component: T::ID, id, table: std::ptr::from_ref(table).cast() }
    }

    /// Returns the extensions of a component.
    pub(super) fn of(component: &str) -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>.into_iter().filter(move |extension| extension.component == component)
    }
}

fn schema<T: Component>() -> serde_json::Value {
    schemars::schema_for!(T::Config).to_value()
}

fn build<T: Component>(config: &str) -> Result<T, FfiError> {
    let config = serde_json::from_str(config)
        .map_err(|e| FfiError::new(code::INVALID_CONFIG, format!("configuration of `{}`: {e}", T::ID)))?;
    T::create(config).map_err(|e| FfiError::from_error(code::INVALID_CONFIG, &*e))
}

macro_rules! constructor {
    ($name:ident, $bound:path, $kind:expr, $extension:expr) => {
        #[doc = concat!("Registers a component of kind `", stringify!($name), "`.")]
        pub const fn $name<T: $bound>() -> Self {
            Self {
                id: T::ID,
                description: T::DESCRIPTION,
                kind: $kind,
                extension: $extension,
                schema: schema::<T>,
                create: |config| build::<T>(config).map(tables::$name),
            }
        }
    };
}

impl Registration {
    constructor!(strategy, Strategy, Kind::Strategy, ext::STRATEGY_V1);
    constructor!(architecture, Architecture, Kind::Architecture, ext::ARCHITECTURE_V1);
    constructor!(dataset, Dataset, Kind::Dataset, ext::DATASET_V1);
    constructor!(prediction_metric, PredictionMetric, Kind::PredictionMetric, ext::PREDICTION_METRIC_V1);
    constructor!(
        architecture_metric,
        ArchitectureMetric,
        Kind::ArchitectureMetric,
        ext::ARCHITECTURE_METRIC_V1
    );

    /// Creates the component.
    pub(super) fn create(&self, config: &str) -> Result<RawInstance, FfiError> {
        guard::call(|| (self.create)(config)).into_result()
    }

    fn info(&self) -> ComponentInfo {
        ComponentInfo {
            id: self.id.to_owned(),
            kind: self.kind,
            description: self.description.to_owned(),
            extensions: std::iter::once(self.extension)
                .chain(ComponentExtension::of(self.id).map(|extension| extension.id))
                .map(str::to_owned)
                .collect(),
            config_schema: (self.schema)(),
        }
    }
}

/// `PluginRoot::init` of every plugin. Harmless when called again.
pub extern "C" fn init(host: HostPtr) -> RResult<(), FfiError> {
    guard::call(|| {
        // SAFETY: the host made this pointer with `HostPtr::leak`.
        let host = unsafe { host.get() }
            .ok_or_else(|| FfiError::new(code::MALFORMED, "the host's table is too short"))?;
        if sdk::set_host(host) {
            log_bridge::install(host);
        }
        Ok(())
    })
}

/// `PluginRoot::components` of every plugin.
pub extern "C" fn components() -> RResult<RString, FfiError> {
    guard::call(|| {
        let mut all: Vec<_> = inventory::iter::<Registration>.into_iter().map(Registration::info).collect();
        all.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        let text = serde_json::to_string(&all).map_err(|e| FfiError::from_error(code::OTHER, &e))?;
        Ok(text.into())
    })
}

/// `PluginRoot::create` of every plugin.
pub extern "C" fn create(id: RStr<'_>, config: RStr<'_>) -> RResult<RawInstance, FfiError> {
    guard::call(|| {
        let registration = inventory::iter::<Registration>.into_iter().find(|r| r.id == id.as_str());
        let registration = registration.ok_or_else(|| {
            FfiError::new(code::UNKNOWN_COMPONENT, format!("this plugin has no component `{id}`"))
        })?;
        (registration.create)(config.as_str())
    })
}

/// Length of the joined `parts`.
pub const fn total_len(parts: &[&str]) -> usize {
    let (mut total, mut i) = (0, 0);
    while i < parts.len() {
        total += parts[i].len();
        i += 1;
    }
    total
}

/// Joins `parts`; `N` is [`total_len`].
pub const fn concat<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut out = [0; N];
    let (mut at, mut i) = (0, 0);
    while i < parts.len() {
        let bytes = parts[i].as_bytes();
        let mut j = 0;
        while j < bytes.len() {
            out[at] = bytes[j];
            at += 1;
            j += 1;
        }
        i += 1;
    }
    out
}

/// Registers a component of this plugin.
///
/// `register!(KIND: TYPE)`, where `KIND` is `strategy`, `architecture`, `dataset`,
/// `prediction_metric` or `architecture_metric`, and `TYPE` implements that trait.
#[macro_export]
macro_rules! register {
    ($kind:ident: $component:ty) => {
        $crate::abi::private::inventory::submit! {
            $crate::abi::private::Registration::$kind::<$component>()
        }
    };
}

/// Makes the crate a plugin: exports manifest, boot record and root module. Once per crate.
///
/// `export_plugin!(manifest: include_str!("../manifest.json"))`, and for plugins that use tensors
/// `export_plugin!(manifest: …, torch: nashost_plugin_torch)`.
#[macro_export]
macro_rules! export_plugin {
    (manifest: $manifest:expr $(,)?) => {
        $crate::export_plugin!(@export $manifest, 0, "null");
    };
    (manifest: $manifest:expr, torch: $torch:ident $(,)?) => {
        $crate::export_plugin!(@export $manifest, ::$torch::LIBTORCH_ABI, ::$torch::LIBTORCH_JSON);
        $crate::abi::private::inventory::submit! {
            $crate::abi::private::Extension::new(::$torch::HANDOVER_V1, &::$torch::HANDOVER)
        }
    };
    (@export $manifest:expr, $libtorch:expr, $libtorch_text:expr) => {
        #[allow(unsafe_code, reason = "exported symbols are how a plugin is found")]
        const _: () = {
            const PARTS: &[&str] = &[
                "{\"schema\":1,\"abi_major\":",
                $crate::abi::boot::ABI_MAJOR_TEXT,
                ",\"sdk\":\"",
                $crate::abi::boot::SDK_VERSION,
                "\",\"version\":\"",
                env!("CARGO_PKG_VERSION"),
                "\",\"arch\":\"",
                ::std::env::consts::ARCH,
                "\",\"os\":\"",
                ::std::env::consts::OS,
                "\",\"libtorch\":",
                $libtorch_text,
                ",\"plugin\":",
                $manifest,
                "}",
            ];
            const LENGTH: usize = $crate::abi::private::total_len(PARTS);

            // Read by the host from the file, without loading it.
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".nashost")]
            #[used]
            pub static NASHOST_MANIFEST_V1: [u8; LENGTH] = $crate::abi::private::concat(PARTS);

            #[unsafe(no_mangle)]
            pub static NASHOST_BOOT_V1: $crate::abi::boot::BootInfo =
                $crate::abi::boot::BootInfo::new(cfg!(panic = "unwind"), $libtorch);

            fn root() -> $crate::abi::root::PluginRootRef {
                use $crate::abi::private::abi_stable::prefix_type::PrefixTypeTrait as _;
                $crate::abi::root::PluginRoot {
                    init: $crate::abi::private::init,
                    components: $crate::abi::private::components,
                    create: $crate::abi::private::create,
                }
                .leak_into_prefix()
            }

            extern "C" fn erased_root() -> $crate::abi::private::abi_stable::library::RootModuleResult {
                $crate::abi::private::abi_stable::library::__call_root_module_loader(root)
            }

            // What `abi_stable::export_root_module` exports, without asking authors to depend on
            // `abi_stable` themselves. The name is fixed by `abi_stable` 0.11.
            #[unsafe(no_mangle)]
            pub static _1as_0lib_1header_0root_bmodule_bloader:
                $crate::abi::private::abi_stable::library::LibHeader =
                // SAFETY: `erased_root` is the loader of exactly this root module type.
                unsafe {
                    $crate::abi::private::abi_stable::library::LibHeader::from_constructor::<
                        $crate::abi::root::PluginRootRef,
                    >(erased_root, $crate::abi::private::abi_stable::library::CheckTypeLayout::Yes)
                };
        };
    };
}
