//! Exit codes and error codes: the part of errors that is a promise.

/// Exit status of `nashost`. Public API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Finished, but the answer is "no": a trial failed, a check found problems.
    No = 1,
    /// Usage or configuration error; nothing was started.
    Usage = 2,
    /// Environment: no GPU as asked, libtorch missing or mismatched, disk full, not writable.
    Environment = 3,
    /// A plugin was refused or not found.
    Plugin = 4,
    /// Configuration, plugin, data or split changed against what was recorded.
    Identity = 5,
    /// A budget was exhausted before there was a usable result.
    Budget = 6,
    /// All trials failed.
    AllFailed = 7,
    /// A bug.
    Bug = 101,
    /// Stopped by SIGINT, state saved.
    Interrupted = 130,
    /// Stopped by SIGTERM, state saved.
    Terminated = 143,
}

impl Exit {
    /// Returns the variant of a process's status.
    pub fn from_status(status: u8) -> Option<Self> {
        use Exit::{
            AllFailed, Budget, Bug, Environment, Identity, Interrupted, No, Ok, Plugin, Terminated, Usage,
        };
        [Ok, No, Usage, Environment, Plugin, Identity, Budget, AllFailed, Bug, Interrupted, Terminated]
            .into_iter()
            .find(|exit| *exit as u8 == status)
    }
}

/// An error as users meet it: a stable code, what happened, where, why, and what to try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Stable code, `E0…`; `nashost explain CODE` tells more.
    pub code: &'static str,
    /// What happened and where: a lowercase fragment.
    pub message: String,
    /// What to try.
    pub help: Option<String>,
    /// Further errors of the same kind, found in the same pass.
    pub others: Vec<Error>,
    /// Exit status it leads to.
    pub exit: Exit,
}

impl Error {
    /// Builds an error.
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, others: Vec::new(), exit }
    }

    /// Adds what to try.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Joins errors that were found in one pass: the first one stands for all.
    pub fn all(errors: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut errors = errors.into_iter().flat_map(Self::flatten);
        let mut first = errors.next()?;
        first.others = errors.collect();
        Some(first)
    }

    /// Returns the error and its companions, each on its own.
    pub fn flatten(mut self) -> Vec<Self> {
        let mut others = std::mem::take(&mut self.others);
        others.insert(0, self);
        others
    }
}

/// Result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_errors_come_apart_again() {
        let error = |code| Error::new(Exit::Usage, code, "x");
        let inner = Error::all([error("E0202"), error("E0203")]).unwrap();
        let joined = Error::all([error("E0201"), inner]).unwrap();
        let codes: Vec<_> = joined.flatten().iter().map(|e| e.code).collect();
        assert_eq!(codes, ["E0201", "E0202", "E0203"]);
        assert_eq!(Error::all([]), None);
    }
}
