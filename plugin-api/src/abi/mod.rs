//! The binary boundary between host and plugins: the only ABI code of the project.
//!
//! | layer | module | checked by | may grow? |
//! |---|---|---|---|
//! | file | [`manifest`](crate::manifest) | the host, without loading | JSON: new keys |
//! | 0 | [`boot`] | the host, field by field, before any plugin function runs | never |
//! | 1 | [`root`] | `abi_stable`'s layout check | never within an ABI major |
//! | 2 | [`host`], [`ext`] | `struct_size`, and the extension id | tail fields, new ids |
//!
//! Text, configurations, specs, graphs and results cross as JSON; pixels and scores as typed
//! buffers; tensors as handles (`nashost-plugin-torch`). Rust trait objects, closures, `String`,
//! `Vec` and `tracing` types never cross: each library has its own copy of the standard library.
//!
//! Plugin authors use [`register!`](crate::register) and [`export_plugin!`](crate::export_plugin)
//! and nothing else of this module. Hosts use [`foreign`].

pub mod boot;
pub mod error;
mod export;
pub mod ext;
pub mod foreign;
mod guard;
pub mod host;
mod log_bridge;
pub mod root;
mod tables;

/// What the macros expand to; not for direct use.
#[doc(hidden)]
pub mod private {
    pub use abi_stable;
    pub use inventory;

    pub use super::{
        export::{ComponentExtension, Extension, Registration, components, concat, create, init, total_len},
        tables::{call_strategy, from_json, to_ffi, to_json},
    };
}
