//! Files that are whole or not there: written beside their final name, synced, renamed.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use serde::Serialize;

use super::fault::io_error;
use crate::error::Result;

/// Beginning and end of temporary names.
const PREFIX: &str = ".nashost-";
const SUFFIX: &str = ".tmp";

/// Replaces `path` with `bytes`, unless it holds just them.
///
/// # Errors
///
/// Fails if the folder cannot be written; `path` is then as it was.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    write_with(path, |file| file.write_all(bytes))
}

/// Replaces `path` with `value` as indented JSON and a line end.
///
/// # Errors
///
/// Fails if the folder cannot be written or `value` has no JSON form; `path` is then as it was.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| io_error("write", path, &e.into()))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Replaces `path` with what `fill` writes.
///
/// A reader sees the old file or the new one, whatever happens in between: the new one is written
/// to a temporary name in the same folder, synced, renamed over `path`, and the folder is synced.
///
/// # Errors
///
/// Fails if the folder cannot be written or `fill` fails; `path` is then as it was, and the
/// temporary file is gone.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    replace(path, fill).map_err(|cause| io_error("write", path, &cause))
}

fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let temporary = tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(folder)?;
    let mut writer = BufWriter::new(temporary);
    fill(&mut writer)?;
    let temporary = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Whether a file of this name was begun by a process that was killed before it could finish it, or
/// is being written.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// Makes new and renamed entries of `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        write(&path, b"old").unwrap();
        write_json(&path, &serde_json::json!({"a": 0.1})).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"a\": 0.1\n}\n");
        assert_eq!(names(folder.path()), ["summary.json"]);
    }

    #[test]
    fn a_failure_at_any_byte_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials.csv");
        write(&path, b"old").unwrap();
        // Beyond the buffer, so that part of the new file has reached the disk.
        for length in [0, 1, 100, 20_000] {
            let error = write_with(&path, |file| {
                file.write_all(&vec![b'x'; length])?;
                Err(io::Error::from(io::ErrorKind::StorageFull))
            })
            .unwrap_err();
            assert_eq!(error.code, "E0703");
            assert!(error.message.contains("trials.csv"), "{}", error.message);
            assert_eq!(fs::read(&path).unwrap(), b"old");
            assert_eq!(names(folder.path()), ["trials.csv"]);
        }
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone").join("a.csv");
        let error = write(&path, b"x").unwrap_err();
        assert_eq!(error.code, "E0704");
        assert!(error.message.contains(&path.display().to_string()), "{}", error.message);
    }
}
