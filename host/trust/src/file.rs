//! A plugin file that is opened once: what is judged is what is loaded.

use std::{
    ffi::OsString,
    fs::{File, Metadata},
    io::{self, Read as _},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// Anybody may write.
const OTHERS_WRITE: u32 = 0o002;
/// Only owners may rename and remove what lies in a directory.
const STICKY: u32 = 0o1000;
/// Most links on the way to a file, as the kernel has it.
const MOST_LINKS: u32 = 40;

/// An open file with its content. Another file that takes its name changes nothing.
#[derive(Debug)]
pub struct PluginFile {
    path: PathBuf,
    file: File,
    bytes: Vec<u8>,
    stamp: Stamp,
}

/// Identity of a file's content. The change time cannot be set at will.
type Stamp = (u64, u64, i64, i64);

fn stamp(meta: &Metadata) -> Stamp {
    (meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec())
}

impl PluginFile {
    /// Opens and reads the file at `path`.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read or is no regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        let stamp = stamp(&meta);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Self { path: path.to_owned(), file, bytes, stamp })
    }

    /// Path by which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the content, hex.
    pub fn sha256(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A path that leads to this open file, whatever has its name by now; valid as long as the value lives.
    pub fn fixed_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// Returns the open file without its content.
    pub fn into_file(self) -> File {
        self.file
    }

    /// Whether the file is as it was when it was opened: not written, renamed or removed since.
    ///
    /// # Errors
    ///
    /// Fails if the system does not say.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        Ok(stamp(&self.file.metadata()?) == self.stamp)
    }

    /// Says which place anybody may write: the file itself, or a folder on the way to it.
    ///
    /// # Errors
    ///
    /// Fails if a place cannot be looked at.
    pub fn open_to_all(&self) -> io::Result<Option<PathBuf>> {
        if is_open_to_all(&self.file.metadata()?) {
            return Ok(Some(self.path.clone()));
        }
        open_to_all(&self.path)
    }
}

fn is_open_to_all(meta: &Metadata) -> bool {
    // A sticky directory such as /tmp lets only owners replace files.
    meta.mode() & OTHERS_WRITE != 0 && meta.mode() & STICKY == 0
}

/// Says which place on the way to `path`, itself included, anybody may write. Who may write a folder may put
/// another file, or a link to one, in the place of each one below it; so every folder that a link lies in counts.
///
/// # Errors
///
/// Fails if a place cannot be looked at, or links lead in circles.
pub fn open_to_all(path: &Path) -> io::Result<Option<PathBuf>> {
    // As the kernel goes: `at` is reached without links, `ahead` is what is left, last first.
    let mut ahead = names(&std::path::absolute(path)?);
    let mut at = PathBuf::from("/");
    let mut links = 0;
    loop {
        let meta = at.symlink_metadata()?;
        if meta.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(io::Error::other("links lead in circles"));
            }
            ahead.extend(names(&at.read_link()?));
            at.pop();
        } else if is_open_to_all(&meta) {
            return Ok(Some(at));
        }
        match ahead.pop() {
            Some(name) if name == ".." => drop(at.pop()),
            // The root takes the place of all before it.
            Some(name) => at.push(name),
            None => return Ok(None),
        }
    }
}

/// The names of a path, last first.
fn names(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|name| name.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
    };

    use super::*;

    #[test]
    fn what_was_opened_stays_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        fs::write(&path, "abc").unwrap();
        let file = PluginFile::open(&path).unwrap();
        assert_eq!(file.sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(file.is_unchanged().unwrap());
        // Another file takes the name.
        fs::write(folder.path().join("new"), "another").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"another");
        assert_eq!(fs::read(file.fixed_path()).unwrap(), b"abc", "the open file is the old one");
        assert!(!file.is_unchanged().unwrap(), "and it is known that it lost its name");
    }

    #[test]
    fn a_file_that_is_written_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        fs::write(&path, "abc").unwrap();
        let file = PluginFile::open(&path).unwrap();
        // The kernel's clock for change times has a granularity of some milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(30));
        fs::write(&path, "abd").unwrap();
        assert!(!file.is_unchanged().unwrap());
    }

    #[test]
    fn a_folder_is_no_plugin() {
        let folder = tempfile::tempdir().unwrap();
        assert!(PluginFile::open(folder.path()).is_err());
    }

    #[test]
    fn places_that_anybody_may_write_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let inner = root.join("a/b");
        fs::create_dir_all(&inner).unwrap();
        let path = inner.join("libx.so");
        fs::write(&path, "abc").unwrap();
        let mode = |place: &Path, mode| fs::set_permissions(place, Permissions::from_mode(mode)).unwrap();
        let judged = || PluginFile::open(&path).unwrap().open_to_all().unwrap();
        assert_eq!(judged(), None);
        for place in [path.clone(), inner, root.join("a")] {
            let before = place.metadata().unwrap().permissions();
            mode(&place, 0o777);
            assert_eq!(judged(), Some(place.clone()));
            mode(&place, 0o1777);
            assert_eq!(judged(), None, "only owners replace files in {}", place.display());
            fs::set_permissions(&place, before).unwrap();
        }
    }

    #[test]
    fn a_link_is_judged_by_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("open")).unwrap();
        fs::write(root.join("open/libx.so"), "abc").unwrap();
        fs::set_permissions(root.join("open"), Permissions::from_mode(0o777)).unwrap();
        std::os::unix::fs::symlink(root.join("open/libx.so"), root.join("libx.so")).unwrap();
        let file = PluginFile::open(&root.join("libx.so")).unwrap();
        assert_eq!(file.open_to_all().unwrap(), Some(root.join("open")));
    }

    #[test]
    fn a_link_is_judged_by_where_it_lies() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["open", "closed", "far"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        fs::write(root.join("closed/libx.so"), "abc").unwrap();
        // The name of the file is a link, or that of a folder, or what another link leads to.
        symlink(root.join("closed/libx.so"), root.join("open/libx.so")).unwrap();
        symlink("../closed", root.join("open/folder")).unwrap();
        symlink(root.join("open/folder"), root.join("far/folder")).unwrap();
        symlink("circle", root.join("far/circle")).unwrap();
        let judged = |name: &str| open_to_all(&root.join(name));
        let links = ["open/libx.so", "open/folder/libx.so", "far/folder/libx.so", "far/../open/libx.so"];
        for name in links {
            assert_eq!(judged(name).unwrap(), None, "{name}");
        }
        fs::set_permissions(root.join("open"), Permissions::from_mode(0o777)).unwrap();
        for name in links {
            assert_eq!(judged(name).unwrap(), Some(root.join("open")), "{name}");
        }
        assert_eq!(judged("closed/libx.so").unwrap(), None);
        assert!(judged("far/circle").unwrap_err().to_string().contains("circles"));
    }
}
