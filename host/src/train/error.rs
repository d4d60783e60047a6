//! What training errors look like to users.

use crate::error::{Error, Exit, Result};

/// Turns errors of libtorch into [`Error`]s.
pub(super) trait OrFail<T> {
    /// Says what was being done when it went wrong.
    ///
    /// # Errors
    ///
    /// Passes on the error: E0507 if the device's memory was full, else E0506.
    fn or_fail(self, doing: &str) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for std::result::Result<T, E> {
    fn or_fail(self, doing: &str) -> Result<T> {
        self.map_err(|error| {
            // libtorch appends a C++ backtrace after the first line.
            let text = format!("{:#}", error.into());
            let first = text.lines().next().unwrap_or_default();
            if text.contains("out of memory") {
                return Error::new(
                    Exit::No,
                    "E0507",
                    format!("{doing}: the device's memory is full: {first}"),
                )
                .help("use a smaller `train.batch` or `train.resolution`, or `train.precision = \"bf16\"`");
            }
            Error::new(Exit::No, "E0506", format!("{doing}: {first}"))
                .help("please report this: a validated graph should not fail in libtorch")
        })
    }
}
