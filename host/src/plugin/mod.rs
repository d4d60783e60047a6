//! Plugins in this process: where they are, whether they fit, what they bring.
//!
//! A plugin is found by its manifest, which is read from the file without loading it; it is loaded
//! when one of its components is wanted, and never unloaded. Plugins are trusted code: from its
//! constructors on a plugin has the host's privileges. See [`lock`] for pinning by SHA-256.

pub mod conformance;
pub mod discover;
mod error;
mod load;
pub mod lock;
pub mod manifest;
pub mod probe;
mod registry;
pub mod scaffold;
mod services;
mod trust;

pub use discover::{Found, SearchPath, Status};
pub use registry::{Registry, UsedPlugin};
pub(crate) use services::PROGRESS;
pub use services::{cancel_state, request_cancel};
pub use trust::{Trust, Verdict};
