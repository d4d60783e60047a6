//! Errors of the boundary in the host's words.

use nashost_plugin_api::abi::foreign::{CallError, CallErrorKind, OpenError, OpenErrorKind};

use crate::error::{Error, Exit};

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error.kind {
            CallErrorKind::InvalidConfig => Self::new(Exit::Usage, "E0223", message).help(format!(
                "`nashost plugin schema {}` shows what it accepts",
                error.component
            )),
            CallErrorKind::Cancelled => Self::new(Exit::Interrupted, "E0424", message),
            CallErrorKind::Panicked | CallErrorKind::Poisoned => {
                Self::new(Exit::No, "E0421", message).help(
                    "this is a bug of the plugin: report it to its author with the log of the run; the run itself is unharmed",
                )
            }
            CallErrorKind::UnknownComponent | CallErrorKind::Unsupported | CallErrorKind::Malformed => {
                Self::new(Exit::Plugin, "E0422", message)
                    .help("the plugin breaks the contract: `nashost plugin check` on its file tells more")
            }
            _ => Self::new(Exit::No, "E0423", message),
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        let code = match error.kind {
            OpenErrorKind::AbiMajor { .. } => "E0412",
            OpenErrorKind::Libtorch { .. } | OpenErrorKind::NeedsLibtorch => "E0413",
            OpenErrorKind::PanicAbort => "E0414",
            OpenErrorKind::Layout { .. } => "E0415",
            OpenErrorKind::Link(_) => "E0416",
            _ => "E0411",
        };
        if let OpenErrorKind::Layout { detail } = &error.kind {
            tracing::debug!(target: "plugin", "{detail}");
        }
        Self::new(Exit::Plugin, code, error.to_string())
    }
}
