//! Finds plugin files, in a documented order, without loading them.

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use nashost_plugin_api::manifest::Manifest;
use serde::Serialize;

use super::{
    lock::{self, Lock},
    manifest::{self, ManifestError},
};

/// Directory of plugins below a data or library directory; the number is the ABI major.
const PLUGIN_DIR: &str = "nashost/plugins/1";

/// Where plugins are looked for, first hit wins. Never the working directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchPath {
    /// Files or directories in order.
    pub places: Vec<PathBuf>,
}

impl SearchPath {
    /// Builds the search path: `explicit` places (`--plugin-path` or `NASHOST_PLUGIN_PATH`), then
    /// `$XDG_DATA_HOME/nashost/plugins/1`, then `<exe>/../lib/nashost/plugins/1`.
    pub fn new(explicit: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut places: Vec<PathBuf> = explicit.into_iter().collect();
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
        places.extend(data.or_else(home).map(|dir| dir.join(PLUGIN_DIR)));
        let exe = std::env::current_exe().ok().and_then(|exe| exe.canonicalize().ok());
        let prefix = exe.as_deref().and_then(Path::parent).and_then(Path::parent);
        places.extend(prefix.map(|prefix| prefix.join("lib").join(PLUGIN_DIR)));
        Self { places }
    }

    /// Lists candidate files: `place` itself, `place/*.so`, `place/*/*.so`, sorted in each place.
    fn candidates(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = Vec::new();
        for place in &self.places {
            let mut here = Vec::new();
            if place.is_file() {
                here.push(place.clone());
            } else {
                for entry in entries(place) {
                    if entry.is_dir() {
                        here.extend(entries(&entry).into_iter().filter(|file| is_library(file)));
                    } else if is_library(&entry) {
                        here.push(entry);
                    }
                }
            }
            for file in here {
                let file = file.canonicalize().unwrap_or(file);
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        files
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    all.sort();
    all
}

fn is_library(file: &Path) -> bool {
    file.extension().is_some_and(|ext| ext == "so") && file.is_file()
}

/// What is to be said of a plugin file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", content = "why", rename_all = "kebab-case")]
pub enum Status {
    /// It can be used.
    Ok,
    /// It is a plugin, but not for this host.
    Incompatible(String),
    /// Anybody may write it, or the lock file does not know it.
    Untrusted(String),
    /// A plugin of the same id was found earlier.
    Shadowed(String),
    /// It is no plugin, or a damaged one.
    Broken(String),
}

/// A plugin file.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// What it says of itself, if it can be read.
    pub manifest: Option<Manifest>,
    /// Whether it can be used.
    #[serde(flatten)]
    pub status: Status,
}

impl Found {
    /// Plugin id, or the file name of a broken one.
    pub fn id(&self) -> String {
        match &self.manifest {
            Some(manifest) => manifest.plugin.id.clone(),
            None => self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

/// Looks at every plugin file on the search path. With a lock, files it does not pin are untrusted.
///
/// Shared libraries without a manifest are passed over: a plugin's folder may hold others.
pub fn discover(path: &SearchPath, lock: Option<&Lock>) -> Vec<Found> {
    let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut all = Vec::new();
    for file in path.candidates() {
        let manifest = match manifest::read(&file) {
            Ok(manifest) => manifest,
            Err(ManifestError::NoManifest) => continue,
            Err(e) => {
                all.push(Found { path: file, manifest: None, status: Status::Broken(e.to_string()) });
                continue;
            }
        };
        let id = manifest.plugin.id.clone();
        let status = match (seen.get(&id), judge(&file, &manifest, lock)) {
            (Some(first), Status::Ok) => Status::Shadowed(format!("{} comes first", first.display())),
            (_, status) => status,
        };
        if status == Status::Ok {
            seen.insert(id, file.clone());
        }
        all.push(Found { path: file, manifest: Some(manifest), status });
    }
    all
}

fn judge(file: &Path, manifest: &Manifest, lock: Option<&Lock>) -> Status {
    if let Err(misfit) = manifest::fits(manifest) {
        return Status::Incompatible(misfit.to_string());
    }
    for place in [Some(file), file.parent()].into_iter().flatten() {
        // A sticky directory such as /tmp lets only owners replace files.
        let mode = place.metadata().map(|meta| meta.permissions().mode()).unwrap_or(0);
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            return Status::Untrusted(format!("anybody may write {}: `chmod o-w` it", place.display()));
        }
    }
    let Some(lock) = lock else { return Status::Ok };
    match lock::digest(file) {
        Ok((sha256, _)) => lock.objection(&manifest.plugin.id, &sha256).map_or(Status::Ok, Status::Untrusted),
        Err(e) => Status::Broken(format!("cannot be read: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explicit_places_come_first_and_the_working_directory_never() {
        let path = SearchPath::new([PathBuf::from("/first")]);
        assert_eq!(path.places[0], Path::new("/first"));
        assert!(path.places.last().unwrap().ends_with("lib/nashost/plugins/1"));
        assert!(path.places.iter().all(|place| place != Path::new(".") && !place.as_os_str().is_empty()));
    }

    #[test]
    fn broken_files_are_listed_and_other_libraries_are_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("x")).unwrap();
        std::fs::write(dir.path().join("x/libx.so"), "text").unwrap();
        std::fs::write(dir.path().join("readme.txt"), "text").unwrap();
        std::fs::copy(std::env::current_exe().unwrap(), dir.path().join("other.so")).unwrap();
        let found = discover(&SearchPath { places: vec![dir.path().to_owned()] }, None);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id(), "libx.so");
        assert!(matches!(&found[0].status, Status::Broken(why) if why.contains("not a shared library")));
    }
}
