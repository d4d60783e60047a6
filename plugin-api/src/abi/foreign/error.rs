//! Errors of calls into a plugin.

use super::super::error::{FfiError, code};

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallErrorKind {
    /// The configuration was rejected.
    InvalidConfig,
    /// The plugin stopped because the host wanted it to.
    Cancelled,
    /// The plugin panicked; the instance answers no more.
    Panicked,
    /// The instance panicked earlier.
    Poisoned,
    /// The plugin has no such component.
    UnknownComponent,
    /// One side sent what the contract does not allow.
    Malformed,
    /// The component does not have the extension that its kind promises.
    Unsupported,
    /// The plugin's own error.
    Failed,
}

/// A failed call into a plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{component}` failed to {function}: {message}{}", causes(.chain))]
pub struct CallError {
    /// Component id.
    pub component: String,
    /// What it was asked for.
    pub function: &'static str,
    /// Why it failed.
    pub kind: CallErrorKind,
    /// The plugin's words.
    pub message: String,
    /// The causes, outermost first.
    pub chain: Vec<String>,
}

fn causes(chain: &[String]) -> String {
    chain.iter().map(|cause| format!(": {cause}")).collect()
}

impl CallError {
    pub(crate) fn new(
        component: &str,
        function: &'static str,
        kind: CallErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self { component: component.to_owned(), function, kind, message: message.into(), chain: Vec::new() }
    }

    /// Takes the error of `component`, which was asked to do `function`.
    pub fn from_ffi(component: &str, function: &'static str, error: FfiError) -> Self {
        let kind = match error.code {
            code::INVALID_CONFIG => CallErrorKind::InvalidConfig,
            code::CANCELLED => CallErrorKind::Cancelled,
            code::PANICKED => CallErrorKind::Panicked,
            code::POISONED => CallErrorKind::Poisoned,
            code::UNKNOWN_COMPONENT => CallErrorKind::UnknownComponent,
            code::MALFORMED => CallErrorKind::Malformed,
            _ => CallErrorKind::Failed,
        };
        Self {
            component: component.to_owned(),
            function,
            kind,
            message: error.message.into_string(),
            chain: error.chain.into_iter().map(|cause| cause.into_string()).collect(),
        }
    }
}
