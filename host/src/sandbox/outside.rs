//! The process outside: it prepares, starts the one inside, and tidies up.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs, io,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Command, ExitStatus},
    sync::OnceLock,
    thread,
};

use nashost_trust::{Policy, signature_file};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
};
use sysinfo::System;
use tempfile::{NamedTempFile, TempDir};

use super::inside::{Facts, Inside, VARIABLE};
use crate::{
    device,
    error::{Error, Exit, Result},
    plugin::lock,
    run::{RunDir, provenance::Git},
};

/// What a command needs in the sandbox.
#[derive(Debug, Default)]
pub(crate) struct Stay {
    /// Where plugins are looked for.
    pub(crate) plugins: Vec<PathBuf>,
    /// Files and folders that are read.
    pub(crate) read: Vec<PathBuf>,
    /// The empty folder that was made for a new run.
    pub(crate) run: Option<RunDir>,
    /// An existing run that the command is about.
    pub(crate) of: Option<PathBuf>,
    /// Whether that one is written.
    pub(crate) writes: bool,
    /// Another folder that is written.
    pub(crate) folder: Option<PathBuf>,
    /// Bytes that each process may allocate; three quarters of the machine's memory if left out.
    pub(crate) memory: Option<u64>,
}

/// Starts this program once more, with the same arguments, in the sandbox; returns how it ended.
///
/// # Errors
///
/// Fails if the kernel has no such sandbox, or the process cannot be started or was killed (E0458).
pub(crate) fn supervise(stay: &Stay) -> Result<Exit> {
    let failed = |cause: io::Error| refused(&format!("the sandbox cannot be set up: {cause}"));
    let temporary = tempfile::Builder::new().prefix("nashost-sandbox-").tempdir().map_err(failed)?;
    let forbidden = NamedTempFile::new().map_err(failed)?;
    let facts = stay.facts();
    let mut policy = stay.policy(&facts);
    policy.write.push(temporary.path().to_owned());
    let inside = Inside {
        facts,
        outside: std::process::id(),
        forbidden: forbidden.path().to_owned(),
        temporary: temporary.path().to_owned(),
        run: stay.run.as_ref().map(|run| run.path().to_owned()),
        of: stay.of.clone(),
        git: std::env::current_dir().ok().and_then(|folder| Git::of(&folder)),
    };
    let latest = stay.run.as_ref().map(Latest::point_at);
    let status = start_and_wait(&policy, inside, &temporary);
    if let Some(folder) = &stay.folder {
        // Only if it is empty: what was to be made there was refused.
        let _ = fs::remove_dir(folder);
    }
    if let Some(latest) = latest {
        latest.settle();
    }
    let status = status?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let exit = code.and_then(Exit::from_status).ok_or_else(|| {
        let signal = status.signal().and_then(signal_hook::low_level::signal_name);
        refused(&format!("the process in the sandbox was ended by {}", signal.unwrap_or("itself")))
    })?;
    if exit == Exit::Bug {
        // The report lies there.
        let _ = temporary.keep();
    }
    Ok(exit)
}

fn refused(message: &str) -> Error {
    Error::new(Exit::Environment, "E0458", message)
}

/// A thread that enters the sandbox passes it on to what it starts; this process itself stays outside.
fn start_and_wait(policy: &Policy, mut inside: Inside, temporary: &TempDir) -> Result<ExitStatus> {
    let failed =
        |cause: io::Error| refused(&format!("the process in the sandbox cannot be started: {cause}"));
    let program = std::env::current_exe().map_err(failed)?;
    let child: OnceLock<Pid> = OnceLock::new();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1]).map_err(failed)?;
    let end = signals.handle();
    thread::scope(|scope| {
        scope.spawn(|| {
            for signal in &mut signals {
                // A terminal sends SIGINT to both processes; the one inside takes the two for one request.
                let signal = match signal {
                    SIGINT => Signal::INT,
                    SIGTERM => Signal::TERM,
                    SIGHUP => Signal::HUP,
                    SIGUSR1 => Signal::USR1,
                    _ => continue,
                };
                if let Some(&child) = child.get() {
                    // It may have ended already.
                    let _ = kill_process(child, signal);
                }
            }
        });
        let waiter = scope.spawn(|| {
            inside.facts.landlock = policy.enter().map_err(|cause| {
                refused(&cause.to_string()).help(
                    "without `--sandbox` and `run.sandbox`, plugins run with your rights: use only those that you trust",
                )
            })?;
            let mut command = Command::new(&program);
            command.args(std::env::args_os().skip(1)).env("TMPDIR", temporary.path());
            command.env(VARIABLE, serde_json::to_string(&inside).map_err(|e| failed(e.into()))?);
            let mut process = command.spawn().map_err(failed)?;
            child.get_or_init(|| Pid::from_child(&process));
            // The kernel ends the process inside with this very thread, which therefore waits for it.
            process.wait().map_err(failed)
        });
        let outcome = waiter.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        end.close();
        outcome
    })
}

impl Stay {
    fn facts(&self) -> Facts {
        let mut read: BTreeSet<PathBuf> = self.plugins.iter().cloned().collect();
        read.extend(self.plugins.iter().map(|place| signature_file(place)));
        read.extend(self.read.iter().cloned());
        read.insert(PathBuf::from(lock::FILE_NAME));
        let mut write: Vec<PathBuf> = self.run.iter().map(|run| run.path().to_owned()).collect();
        write.extend(self.folder.clone());
        match &self.of {
            Some(run) if self.writes => write.push(run.clone()),
            run => read.extend(run.clone()),
        }
        let read = read.into_iter().filter(|path| path.exists()).collect();
        Facts { landlock: 0, memory: self.memory.unwrap_or_else(memory), read, write }
    }

    fn policy(&self, facts: &Facts) -> Policy {
        let mut policy = Policy::of_any_program();
        policy.execute.extend(libraries());
        policy.read.extend(facts.read.iter().cloned());
        policy.write.extend(facts.write.iter().cloned());
        policy.devices.extend(gpus());
        policy
    }
}

/// Three quarters of the machine's memory, or of what this process's group may have.
fn memory() -> u64 {
    let Ok(mut system) = System::new() else { return u64::MAX };
    system.refresh_memory();
    let group = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    system.total_memory().min(group) / 4 * 3
}

/// This program, its libraries, and the folders that it may find further ones in.
fn libraries() -> Vec<PathBuf> {
    let mut paths: BTreeSet<PathBuf> = std::env::current_exe().ok().into_iter().collect();
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    paths.extend(maps.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..]))));
    if let Some(folder) = device::libtorch_folder() {
        // Where the wheels of CUDA's libraries lie beside torch's.
        paths.extend(folder.ancestors().nth(2).map(|packages| packages.join("nvidia")));
        paths.insert(folder);
    }
    let more = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    paths.extend(std::env::split_paths(&more).filter(|path| path.is_absolute()));
    paths.into_iter().filter(|path| path.exists()).collect()
}

/// Devices of NVIDIA's driver.
fn gpus() -> Vec<PathBuf> {
    let is_gpu = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str);
        name.is_some_and(|name| name.starts_with("nvidia"))
    };
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(is_gpu).collect()
}

/// The link to the latest run, which may turn out never to begin.
struct Latest<'a> {
    run: &'a RunDir,
    before: Option<PathBuf>,
}

impl<'a> Latest<'a> {
    fn point_at(run: &'a RunDir) -> Self {
        let before = fs::read_link(run.latest_link()).ok();
        run.become_latest();
        Self { run, before }
    }

    /// Removes the folder of a run that was refused, and lets the link lead where it led before.
    fn settle(self) {
        if self.run.has_begun() {
            return;
        }
        // What is not empty is left for the user to see.
        if fs::remove_dir(self.run.path()).is_ok() {
            let link = self.run.latest_link();
            let _ = fs::remove_file(&link);
            if let Some(before) = &self.before {
                let _ = std::os::unix::fs::symlink(before, &link);
            }
        }
    }
}
