//! What a malicious plugin may try. Each deed answers what came of it.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::PathBuf,
    process::Command,
};

use schemars::JsonSchema;
use serde::Deserialize;

/// Bytes that a leak loses.
const LEAK: usize = 1 << 20;
/// Bytes that the greedy deed takes at a time.
const GULP: usize = 64 << 20;

/// Something that no plugin should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Writes to standard output.
    Stdout,
    /// Starts a thread that panics.
    Panic,
    /// Loses a megabyte of memory.
    Leak,
    /// Reads the user's private key.
    Read,
    /// Writes to a file that the user's shell executes.
    Write,
    /// Lets everybody write that file.
    Chmod,
    /// Lets another program write that file.
    Program,
    /// Removes the records of earlier runs.
    Records,
    /// Sends what it found over the network.
    Connect,
    /// Asks a daemon of this machine to do it.
    Daemon,
    /// Allocates without bound.
    Allocate,
}

impl Deed {
    /// Does it. `port` is where somebody listens.
    ///
    /// # Errors
    ///
    /// Fails if it was stopped.
    pub(crate) fn perform(self, port: u16) -> io::Result<()> {
        match self {
            Self::Stdout => writeln!(io::stdout(), "malicious words"),
            Self::Panic => std::thread::spawn(|| panic!("a malicious panic"))
                .join()
                .map_err(|_| io::Error::other("the thread panicked")),
            Self::Leak => {
                Box::leak(vec![1_u8; LEAK].into_boxed_slice());
                Ok(())
            }
            Self::Read => fs::read(home(".ssh/id_ed25519")).map(drop),
            Self::Write => OpenOptions::new().append(true).open(home(".profile"))?.write_all(b"malicious\n"),
            Self::Chmod => fs::set_permissions(home(".profile"), Permissions::from_mode(0o666)),
            Self::Program => {
                let status = Command::new("sh").args(["-c", "echo malicious >> ~/.profile"]).status()?;
                if status.success() { Ok(()) } else { Err(io::Error::other("the program failed")) }
            }
            Self::Records => {
                for run in fs::read_dir("runs")? {
                    fs::remove_file(run?.path().join("events.jsonl"))?;
                }
                Ok(())
            }
            Self::Connect => TcpStream::connect(("127.0.0.1", port))?.write_all(b"malicious"),
            Self::Daemon => UnixStream::connect(home(".daemon"))?.write_all(b"malicious"),
            Self::Allocate => {
                let mut hoard = Vec::new();
                loop {
                    // Zeros cost the machine nothing before somebody looks at them.
                    hoard.push(vec![0_u8; GULP]);
                    std::hint::black_box(&hoard);
                }
            }
        }
    }
}

fn home(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(name)
}
