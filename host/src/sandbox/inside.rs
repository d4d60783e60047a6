//! The process inside: it knows that it is, and proves it before it loads anything.

use std::{
    fs::OpenOptions,
    io::{self, ErrorKind},
    net::TcpListener,
    path::PathBuf,
    sync::OnceLock,
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Exit, Result},
    run::provenance::Git,
};

/// Variable in which the process outside tells the one inside what it needs to know.
pub(crate) const VARIABLE: &str = "NASHOST_INSIDE_SANDBOX";

/// What held for the plugins of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// Version of Landlock that protected files.
    pub landlock: u32,
    /// Memory that each process could allocate, in bytes.
    pub memory: u64,
    /// Files and folders that could be read, beside those that every program needs.
    pub read: Vec<PathBuf>,
    /// Folders that could be written.
    pub write: Vec<PathBuf>,
}

/// What a process in the sandbox knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// What holds, for the record.
    pub facts: Facts,
    /// The process outside.
    pub outside: u32,
    /// A file outside that must not be writable.
    pub forbidden: PathBuf,
    /// Folder for temporary files, which goes when the process ends.
    pub temporary: PathBuf,
    /// The empty folder that was made for the run.
    pub run: Option<PathBuf>,
    /// The run that the command is about.
    pub of: Option<PathBuf>,
    /// State of the checkout around the working directory.
    pub git: Option<Git>,
}

/// Returns what the process outside told this one; `None` if there is no sandbox.
pub fn inside() -> Option<&'static Inside> {
    static INSIDE: OnceLock<Option<Inside>> = OnceLock::new();
    let read = || {
        let text = std::env::var_os(VARIABLE)?;
        // What cannot be read claims a sandbox all the same, and `Inside::prove` will find that there is none.
        Some(serde_json::from_slice(text.as_encoded_bytes()).unwrap_or_else(|_| Inside::of_nothing()))
    };
    INSIDE.get_or_init(read).as_ref()
}

impl Inside {
    fn of_nothing() -> Self {
        Self {
            facts: Facts { landlock: 0, memory: 0, read: Vec::new(), write: Vec::new() },
            outside: 0,
            forbidden: PathBuf::new(),
            temporary: PathBuf::new(),
            run: None,
            of: None,
            git: None,
        }
    }

    /// Proves that this process is in the sandbox, ties its life to the process outside and limits its memory.
    ///
    /// # Errors
    ///
    /// Fails if the network or a file outside can be reached, or the process outside is gone (E0458).
    pub(crate) fn settle(&self) -> Result<()> {
        let denied =
            |outcome: io::Result<()>| outcome.is_err_and(|cause| cause.kind() == ErrorKind::PermissionDenied);
        let listens = TcpListener::bind(("127.0.0.1", 0)).map(drop);
        let writes = OpenOptions::new().append(true).open(&self.forbidden).map(drop);
        if !denied(listens) || !denied(writes) {
            let message = format!("{VARIABLE} is set, but this process is not in the sandbox");
            return Err(Error::new(Exit::Environment, "E0458", message).help("unset it"));
        }
        // Workers have limits and a driver of their own.
        if getppid().map(Pid::as_raw_nonzero).map(|pid| pid.get().unsigned_abs()) != Some(self.outside) {
            return Ok(());
        }
        let failed = |cause: rustix::io::Errno| {
            Error::new(Exit::Environment, "E0458", format!("the sandbox cannot be set up: {cause}"))
        };
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
        let memory = Some(self.facts.memory);
        setrlimit(Resource::Data, Rlimit { current: memory, maximum: memory }).map_err(failed)
    }
}
