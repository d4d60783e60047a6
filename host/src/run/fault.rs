//! File system failures as users meet them.

use std::{io, path::Path};

use crate::error::{Error, Exit};

/// Turns an I/O error into an [`Error`] that says what was done to which path, and what helps.
///
/// `action` completes "cannot …" (`write`, `create the folder`).
pub fn io_error(action: &str, path: &Path, cause: &io::Error) -> Error {
    let (code, help) = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            (NO_SPACE, "free some space there, or choose another folder with --out")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            (NOT_WRITABLE, "that file system is mounted read-only: choose another folder with --out")
        }
        io::ErrorKind::PermissionDenied => {
            (NOT_WRITABLE, "change the permissions there, or choose another folder with --out")
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            (NOT_WRITABLE, "something else has that name: choose another folder with --out")
        }
        io::ErrorKind::NotFound => (FAILED, "it was moved or deleted, or never written"),
        _ => (FAILED, "check that the disk is mounted and healthy (`dmesg` may tell more)"),
    };
    Error::new(Exit::Environment, code, format!("cannot {action} {}: {cause}", path.display())).help(help)
}

/// A folder or file cannot be written by this user.
pub(crate) const NOT_WRITABLE: &str = "E0702";
/// The disk is full or a quota is exhausted.
pub(crate) const NO_SPACE: &str = "E0703";
/// Any other failure of the file system.
const FAILED: &str = "E0704";

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux numbers of ENOSPC, EDQUOT, EROFS, EACCES, EPERM, ENOTDIR, EIO.
    const NUMBERS: [(i32, &str); 7] = [
        (28, "E0703"),
        (122, "E0703"),
        (30, "E0702"),
        (13, "E0702"),
        (1, "E0702"),
        (20, "E0702"),
        (5, "E0704"),
    ];

    #[test]
    fn causes_have_their_codes_and_name_the_path() {
        for (number, code) in NUMBERS {
            let error = io_error("write", Path::new("/data/x.csv"), &io::Error::from_raw_os_error(number));
            assert_eq!((error.code, error.exit), (code, Exit::Environment), "errno {number}");
            assert!(error.message.starts_with("cannot write /data/x.csv: "), "{}", error.message);
            assert!(error.help.is_some());
        }
    }
}
