//! Whether the built host still stands for the sources, without asking cargo.
//!
//! Cargo's own check of the whole workspace costs a good part of the second in which a run should
//! start. A build therefore leaves a stamp that is as old as the build's beginning; while nothing that
//! goes into the build is newer, the build stands.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;

use crate::workspace::Workspace;

/// What the host and its plugins are built from.
const SOURCES: [&str; 6] = ["Cargo.toml", "Cargo.lock", ".cargo", "host", "plugin-api", "plugins"];

/// Returns whether the last build against `libtorch` is as new as everything it was made from.
pub(crate) fn is_fresh(workspace: &Workspace, libtorch: &Path) -> bool {
    let stamp = stamp(workspace);
    let same_libtorch = fs::read(&stamp).is_ok_and(|of| of == libtorch.as_os_str().as_encoded_bytes());
    let Ok(built) = fs::metadata(&stamp).and_then(|stamp| stamp.modified()) else { return false };
    // This program is rebuilt whenever the compiler, its flags or the profile change: its age speaks
    // for them.
    let mut inputs: Vec<PathBuf> = SOURCES.iter().map(|source| workspace.root().join(source)).collect();
    inputs.extend(std::env::current_exe());
    same_libtorch && inputs.iter().all(|input| newest(input).is_ok_and(|changed| changed < built))
}

/// Writes down that a build against `libtorch` that began at `begun` has succeeded.
///
/// # Errors
///
/// Fails if the stamp cannot be written.
pub(crate) fn mark(workspace: &Workspace, libtorch: &Path, begun: SystemTime) -> anyhow::Result<()> {
    let stamp = stamp(workspace);
    let write = || {
        fs::write(&stamp, libtorch.as_os_str().as_encoded_bytes())?;
        File::options().write(true).open(&stamp)?.set_times(FileTimes::new().set_modified(begun))
    };
    write().with_context(|| format!("write {}", stamp.display()))
}

fn stamp(workspace: &Workspace) -> PathBuf {
    workspace.layout().join("built")
}

/// Returns the latest change of a file, or of a folder and everything below it. A folder's own time
/// tells of files that were added, renamed or removed.
fn newest(path: &Path) -> io::Result<SystemTime> {
    let metadata = fs::metadata(path)?;
    let mut newest = metadata.modified()?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            newest = newest.max(self::newest(&entry?.path())?);
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_folder_is_as_new_as_the_newest_thing_in_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("src")).unwrap();
        let source = dir.path().join("src/lib.rs");
        fs::write(&source, "").unwrap();
        let later = SystemTime::now() + Duration::from_secs(60);
        File::options().write(true).open(&source).unwrap().set_modified(later).unwrap();
        assert_eq!(newest(dir.path()).unwrap(), later);
        fs::remove_file(&source).unwrap();
        assert!(newest(dir.path()).unwrap() < later);
        assert!(newest(&source).is_err());
    }
}
