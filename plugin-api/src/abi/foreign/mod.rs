//! The host's side of the boundary: opens plugin files and drives their components safely.
//!
//! [`open`] performs the handshake and returns a [`Plugin`]; [`Plugin::create`] makes an
//! [`Instance`]; the typed wrappers ([`ForeignStrategy`], …) turn its tables into methods.

mod components;
mod error;
mod instance;
pub mod maps;
mod open;
mod search_context;

pub use components::{
    ForeignArchitecture, ForeignArchitectureMetric, ForeignDataset, ForeignPredictionMetric, ForeignStrategy,
};
pub use error::{CallError, CallErrorKind};
pub use instance::{Instance, Plugin, decode};
pub use open::{OpenError, OpenErrorKind, check_boot, open};
