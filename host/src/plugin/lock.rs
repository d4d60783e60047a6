//! `nashost-plugins.lock`: plugins pinned by SHA-256.
//!
//! An integrity check, not a sandbox: it tells whether a file is the one that was trusted, nothing
//! about what the file does.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Exit, Result};

/// Name of the lock file, in the working directory.
pub const FILE_NAME: &str = "nashost-plugins.lock";

/// One pinned plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Plugin id.
    pub id: String,
    /// File it was found in when it was trusted; for people, not compared.
    pub path: PathBuf,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// Bytes of the file.
    pub size: u64,
}

/// All pinned plugins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// In order of their ids.
    #[serde(default, rename = "plugin")]
    pub plugins: Vec<Pin>,
}

impl Lock {
    /// Reads the lock file at `path`; a missing one is empty.
    ///
    /// # Errors
    ///
    /// Fails if the file is there but cannot be read or is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|e| {
                Error::new(Exit::Plugin, "E0408", format!("{}: damaged lock file: {e}", path.display()))
                    .help("remove it and pin the plugins again with `nashost plugin trust PATH`")
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(Error::new(Exit::Plugin, "E0408", format!("{}: {e}", path.display()))),
        }
    }

    /// Adds or replaces the pin of a plugin.
    pub fn pin(&mut self, pin: Pin) {
        self.plugins.retain(|old| old.id != pin.id);
        self.plugins.push(pin);
        self.plugins.sort_by(|a, b| a.id.cmp(&b.id));
    }

    /// Says why `file` must not be loaded as plugin `id`, if so.
    pub fn objection(&self, id: &str, sha256: &str) -> Option<String> {
        match self.plugins.iter().find(|pin| pin.id == id) {
            None => Some(format!("it is not in {FILE_NAME}; pin it with `nashost plugin trust`")),
            Some(pin) if pin.sha256 != sha256 => Some(format!(
                "its SHA-256 {sha256} is not the pinned {}; if you changed it, pin it again with `nashost plugin trust`",
                pin.sha256
            )),
            Some(_) => None,
        }
    }

    /// Renders the file.
    ///
    /// # Errors
    ///
    /// Fails if a path is not UTF-8.
    pub fn render(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::new(Exit::Plugin, "E0408", e.to_string()))
    }
}

/// Returns SHA-256 (hex) and size of a file.
///
/// # Errors
///
/// Fails if the file cannot be read.
pub fn digest(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            let hex = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok((hex, size));
        }
        hash.update(&buffer[..n]);
        size += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_replace_each_other_and_object() {
        let mut lock = Lock::default();
        let pin = |sha: &str| Pin { id: "a".into(), path: "a.so".into(), sha256: sha.into(), size: 3 };
        lock.pin(pin("00"));
        lock.pin(pin("11"));
        assert_eq!(lock.plugins.len(), 1);
        assert_eq!(lock.objection("a", "11"), None);
        assert!(lock.objection("a", "00").unwrap().contains("not the pinned 11"));
        assert!(lock.objection("b", "11").unwrap().contains("not in nashost-plugins.lock"));
        assert_eq!(toml::from_str::<Lock>(&lock.render().unwrap()).unwrap(), lock);
    }

    #[test]
    fn the_digest_is_sha256() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        let (hex, size) = digest(file.path()).unwrap();
        assert_eq!(size, 3);
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
