//! `nashost-plugins.lock`: plugins pinned by SHA-256.
//!
//! An integrity check, not a sandbox: it tells whether a file is the one that was trusted, nothing
//! about what the file does.

use std::path::{Path, PathBuf};

use nashost_trust::PluginFile;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit, Result};

/// Name of the lock file, in the working directory.
pub const FILE_NAME: &str = "nashost-plugins.lock";

/// One pinned plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Plugin id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// File it was found in when it was trusted; for people, not compared.
    pub path: PathBuf,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// Bytes of the file.
    pub size: u64,
}

impl Pin {
    /// Returns the pin of the plugin `id` in `file`.
    pub fn of(id: &str, version: &str, file: &PluginFile) -> Self {
        Self {
            id: id.to_owned(),
            version: version.to_owned(),
            path: file.path().to_owned(),
            sha256: file.sha256(),
            size: file.bytes().len() as u64,
        }
    }

    /// Says in what `now` is another plugin than the pinned one, if so.
    pub fn difference(&self, now: &Self) -> Option<String> {
        if self.size != now.size {
            return Some(format!("its size {} is not the pinned {}", now.size, self.size));
        }
        if self.sha256 != now.sha256 {
            return Some(format!("its SHA-256 {} is not the pinned {}", now.sha256, self.sha256));
        }
        (self.version != now.version)
            .then(|| format!("its version {} is not the pinned {}", now.version, self.version))
    }
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

    /// Says why the plugin `now` must not be loaded, if so.
    pub fn objection(&self, now: &Pin) -> Option<String> {
        match self.plugins.iter().find(|pin| pin.id == now.id) {
            None => Some(format!("it is not in {FILE_NAME}; pin it with `nashost plugin trust`")),
            Some(pin) => pin.difference(now).map(|difference| {
                format!("{difference}; if you changed it, pin it again with `nashost plugin trust`")
            }),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_replace_each_other_and_object() {
        let mut lock = Lock::default();
        let pin = |id: &str, sha: &str| Pin {
            id: id.into(),
            version: "0.1.0".into(),
            path: "a.so".into(),
            sha256: sha.into(),
            size: 3,
        };
        lock.pin(pin("a", "00"));
        lock.pin(pin("a", "11"));
        assert_eq!(lock.plugins.len(), 1);
        assert_eq!(lock.objection(&pin("a", "11")), None);
        assert!(lock.objection(&pin("a", "00")).unwrap().contains("SHA-256 00 is not the pinned 11"));
        assert!(lock.objection(&pin("b", "11")).unwrap().contains("not in nashost-plugins.lock"));
        let longer = Pin { size: 4, ..pin("a", "11") };
        assert!(lock.objection(&longer).unwrap().contains("size 4 is not the pinned 3"));
        let newer = Pin { version: "0.2.0".into(), ..pin("a", "11") };
        assert!(lock.objection(&newer).unwrap().contains("version 0.2.0 is not the pinned 0.1.0"));
        let moved = Pin { path: "b.so".into(), ..pin("a", "11") };
        assert_eq!(lock.objection(&moved), None, "where it lies does not matter");
        assert_eq!(toml::from_str::<Lock>(&lock.render().unwrap()).unwrap(), lock);
    }
}
