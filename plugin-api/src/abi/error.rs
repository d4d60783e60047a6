//! The one error type that crosses the boundary.

use abi_stable::{
    StableAbi,
    std_types::{RString, RVec},
};

/// Stable error codes: a `u32` on the wire, so that unknown codes stay readable.
pub mod code {
    /// The configuration was rejected.
    pub const INVALID_CONFIG: u32 = 1;
    /// The call was cancelled by the host.
    pub const CANCELLED: u32 = 2;
    /// The plugin panicked; the instance is poisoned.
    pub const PANICKED: u32 = 3;
    /// The instance was poisoned by an earlier panic.
    pub const POISONED: u32 = 4;
    /// No such component.
    pub const UNKNOWN_COMPONENT: u32 = 5;
    /// An argument was not what the contract says.
    pub const MALFORMED: u32 = 6;
    /// Anything else.
    pub const OTHER: u32 = 1000;
}

/// An error on its way from plugin to host. ABI-FROZEN.
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct FfiError {
    /// One of [`code`].
    pub code: u32,
    /// Lowercase fragment, fit for "failed to ask: {message}".
    pub message: RString,
    /// The `source()` chain, outermost first.
    pub chain: RVec<RString>,
    /// Empty, or one JSON object: the one way in which this type may grow.
    pub detail_json: RString,
}

impl FfiError {
    /// Builds an error without a source chain.
    pub fn new(code: u32, message: impl Into<RString>) -> Self {
        Self { code, message: message.into(), chain: RVec::new(), detail_json: RString::new() }
    }

    /// Flattens a `std::error::Error` and its sources.
    pub fn from_error(code: u32, error: &(dyn std::error::Error + 'static)) -> Self {
        let chain = std::iter::successors(error.source(), |e| e.source())
            .map(|cause| RString::from(cause.to_string()))
            .collect();
        Self { code, message: error.to_string().into(), chain, detail_json: RString::new() }
    }
}
