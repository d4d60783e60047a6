//! What a malicious plugin may try. Each deed answers what came of it.

use std::{
    ffi::CString,
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    net::TcpStream,
    os::unix::{
        ffi::OsStringExt as _,
        fs::PermissionsExt as _,
        net::{UnixDatagram, UnixStream},
    },
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
    /// Lets everybody write that file, by a call that kernels have since Linux 6.13.
    Attribute,
    /// Lets another program write that file.
    Program,
    /// Removes the records of earlier runs.
    Records,
    /// Sends what it found over the network.
    Connect,
    /// Asks a daemon of this machine to do it.
    Daemon,
    /// Sends a daemon a message, from a socket that was made as one of a pair.
    Datagram,
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
            Self::Attribute => attribute(),
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
            Self::Datagram => UnixDatagram::pair()?.0.send_to(b"malicious", home(".log")).map(drop),
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

/// Number of `setxattrat`, which libc does not name yet.
const SETXATTRAT: libc::c_long = 463;

/// What `setxattrat` is told of a value.
#[repr(C)]
struct Attribute {
    value: u64,
    size: u32,
    flags: u32,
}

/// Gives a file an access list by which everybody may read and write it.
fn attribute() -> io::Result<()> {
    let mut list = 2_u32.to_le_bytes().to_vec();
    // Owner, group, others: each with both rights, and without a name.
    for tag in [0x01_u16, 0x04, 0x20] {
        list.extend(tag.to_le_bytes());
        list.extend(6_u16.to_le_bytes());
        list.extend(u32::MAX.to_le_bytes());
    }
    let file = CString::new(home(".profile").into_os_string().into_vec())?;
    let given = Attribute { value: list.as_ptr() as u64, size: list.len() as u32, flags: 0 };
    let name = c"system.posix_acl_access";
    // SAFETY: all pointers lead to values that outlive the call, with the sizes that are given.
    let answer = unsafe {
        libc::syscall(
            SETXATTRAT,
            libc::AT_FDCWD,
            file.as_ptr(),
            0,
            name.as_ptr(),
            &raw const given,
            size_of::<Attribute>(),
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn home(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(name)
}
