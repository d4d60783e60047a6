//! Who writes a run, and how it ended: a kernel lock and a marker file.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    thread,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{atomic, dir::RunDir, fault::io_error, time::Timestamp};
use crate::error::{Error, Exit, Result};

/// Name of the locked file.
const LOCK: &str = "lock";

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// A process is writing it.
    Running,
    /// It ended with a result.
    Done,
    /// It ended without a result.
    Failed,
    /// Its process is gone without having ended it.
    Interrupted,
}

impl RunStatus {
    /// Looks at the marker and the lock of `run`.
    ///
    /// # Errors
    ///
    /// Fails if the lock cannot be looked at.
    pub fn of(run: &RunDir) -> Result<Self> {
        Ok(match Marker::of(run.path()) {
            Some(Marker::Done) => Self::Done,
            Some(Marker::Failed) => Self::Failed,
            Some(Marker::Running) | None if is_locked(run)? => Self::Running,
            Some(Marker::Running) | None => Self::Interrupted,
        })
    }

    /// The name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// How a process ends its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// With a result.
    Done,
    /// Without a result.
    Failed,
}

/// The marker file of a run; there is exactly one at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Running,
    Done,
    Failed,
}

/// Content of a marker file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    pid: u32,
    time: Timestamp,
}

impl Stamp {
    /// Returns the stamp of the process that marked `run` as running.
    fn of(run: &RunDir) -> Option<Self> {
        serde_json::from_slice(&fs::read(run.file(Marker::Running.file_name())).ok()?).ok()
    }
}

impl Marker {
    const ALL: [Self; 3] = [Self::Running, Self::Done, Self::Failed];

    fn file_name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Done => "DONE",
            Self::Failed => "FAILED",
        }
    }

    /// Returns the marker in the directory `run`, if it has one.
    pub(super) fn of(run: &Path) -> Option<Self> {
        Self::ALL.into_iter().find(|marker| run.join(marker.file_name()).is_file())
    }

    /// Makes this the marker of `run`. The old one is renamed, so that there is always one.
    fn set(self, run: &RunDir) -> Result<()> {
        let path = run.file(self.file_name());
        if let Some(old) = Self::of(run.path()).filter(|old| *old != self) {
            fs::rename(run.file(old.file_name()), &path).map_err(|e| io_error("rename to", &path, &e))?;
        }
        atomic::write_json(&path, &Stamp { pid: std::process::id(), time: Timestamp::now() })
    }
}

/// A kernel lock on a run, held while the value lives.
#[derive(Debug)]
#[must_use = "the lock is let go when this is dropped"]
pub struct Lock {
    /// Locked as long as it is open anywhere: the kernel lets go when the last process that has it
    /// ends, however it ends.
    file: File,
}

impl Lock {
    /// Takes the lock of `run`.
    pub(super) fn take(run: &RunDir) -> Result<Self> {
        let path = run.file(LOCK);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| io_error("open", &path, &e))?;
        let mut tries = 0;
        while let Err(error) = file.try_lock() {
            match error {
                TryLockError::WouldBlock if tries < patience(run) => {
                    tries += 1;
                    thread::sleep(PAUSE);
                }
                TryLockError::WouldBlock => return Err(in_use(run)),
                TryLockError::Error(error) => return Err(io_error("lock", &path, &error)),
            }
        }
        Ok(Self { file })
    }
}

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// How often to try for a lock that is held. `RunStatus::of` holds it for an instant, so one refusal
/// proves nothing; and workers of a driver that was killed hold it until the kernel has ended them.
fn patience(run: &RunDir) -> u32 {
    let driver = Stamp::of(run);
    let lives = driver.is_none_or(|stamp| Path::new("/proc").join(stamp.pid.to_string()).exists());
    if lives { 5 } else { 500 }
}

/// The right to write one run. Dropping it without [`Claim::finish`], or dying with it, leaves a
/// run that goes on [`RunStatus::Interrupted`], and free to be claimed again.
#[derive(Debug)]
pub struct Claim {
    dir: RunDir,
    lock: Lock,
}

impl Claim {
    /// Takes `dir` for this process and marks it as running, but for a run that has ended: that stays
    /// as it is until it is known to go on.
    pub(super) fn take(dir: RunDir) -> Result<Self> {
        let lock = Lock::take(&dir)?;
        let claim = Self { dir, lock };
        if !matches!(Marker::of(claim.dir.path()), Some(Marker::Done | Marker::Failed)) {
            claim.go_on()?;
        }
        Ok(claim)
    }

    /// Marks the run as running, even if it has ended.
    ///
    /// # Errors
    ///
    /// Fails if the marker cannot be written; the run then reads as it did.
    pub fn go_on(&self) -> Result<()> {
        Marker::Running.set(&self.dir)
    }

    /// Returns the lock for processes that write for this one: it is held until they have ended, too.
    ///
    /// # Errors
    ///
    /// Fails if the process has too many files open.
    pub fn share_lock(&self) -> Result<File> {
        let path = self.dir.file(LOCK);
        self.lock.file.try_clone().map_err(|e| io_error("share", &path, &e))
    }

    /// The run.
    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// Marks how the run ended, and lets go of it.
    ///
    /// # Errors
    ///
    /// Fails if the marker cannot be written; the run then reads as interrupted.
    pub fn finish(self, ending: Ending) -> Result<()> {
        match ending {
            Ending::Done => Marker::Done.set(&self.dir),
            Ending::Failed => Marker::Failed.set(&self.dir),
        }
    }
}

fn in_use(dir: &RunDir) -> Error {
    let holder = Stamp::of(dir)
        .map(|stamp| format!(" (process {}, since {})", stamp.pid, stamp.time))
        .unwrap_or_default();
    Error::new(Exit::Environment, "E0706", format!("run {} is in use{holder}", dir.id()))
        .help("wait until it ends, or stop that process first")
}

fn is_locked(run: &RunDir) -> Result<bool> {
    let path = run.file(LOCK);
    let file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        file => file.map_err(|e| io_error("open", &path, &e))?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(io_error("look at the lock", &path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markers(dir: &RunDir) -> Vec<Marker> {
        Marker::ALL.into_iter().filter(|m| dir.file(m.file_name()).exists()).collect()
    }

    #[test]
    fn a_run_is_claimed_by_one_at_a_time() {
        let out = tempfile::tempdir().unwrap();
        let claim = RunDir::create(out.path(), "a").unwrap();
        let dir = claim.dir().clone();
        assert_eq!(RunStatus::of(&dir).unwrap(), RunStatus::Running);
        let refused = dir.clone().claim().unwrap_err();
        assert_eq!((refused.code, refused.exit), ("E0706", Exit::Environment));
        assert!(refused.message.contains(&std::process::id().to_string()), "{}", refused.message);
        drop(claim);
        assert_eq!(RunStatus::of(&dir).unwrap(), RunStatus::Interrupted);
        dir.claim().unwrap();
    }

    #[test]
    fn there_is_always_exactly_one_marker() {
        let out = tempfile::tempdir().unwrap();
        let claim = RunDir::create(out.path(), "a").unwrap();
        let dir = claim.dir().clone();
        assert_eq!(markers(&dir), [Marker::Running]);
        claim.finish(Ending::Done).unwrap();
        assert_eq!(markers(&dir), [Marker::Done]);
        assert_eq!(RunStatus::of(&dir).unwrap(), RunStatus::Done);
        drop(dir.clone().claim().unwrap());
        assert_eq!(markers(&dir), [Marker::Done], "who only looked has changed nothing");
        let again = dir.clone().claim().unwrap();
        again.go_on().unwrap();
        assert_eq!(markers(&dir), [Marker::Running]);
        again.finish(Ending::Failed).unwrap();
        assert_eq!(markers(&dir), [Marker::Failed]);
        assert_eq!(RunStatus::of(&dir).unwrap(), RunStatus::Failed);
    }
}
