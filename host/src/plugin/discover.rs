//! Finds plugin files, in a documented order, without loading them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use nashost_plugin_api::manifest::Manifest;
use nashost_trust::PluginFile;
use serde::Serialize;

use super::{
    manifest::{self, ManifestError},
    trust::Trust,
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

    /// Lists candidate files: `place` itself, `place/*.so`, `place/*/*.so`, sorted in each place. They keep the names
    /// by which they were found, for who may write where a link lies decides what it leads to.
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
                let file = std::path::absolute(&file).unwrap_or(file);
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
    /// Anybody may write it, the lock file does not know it, or its signature is missing or wrong.
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
    /// Name of the key that signed it.
    pub signed_by: Option<String>,
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

/// Looks at every plugin file on the search path. Files that `trust` objects to are untrusted.
///
/// Shared libraries without a manifest are passed over: a plugin's folder may hold others.
pub fn discover(path: &SearchPath, trust: &Trust) -> Vec<Found> {
    let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut all = Vec::new();
    for path in path.candidates() {
        let read = PluginFile::open(&path).map_err(ManifestError::from);
        let read = read.and_then(|file| manifest::parse(file.bytes()).map(|manifest| (file, manifest)));
        let (file, manifest) = match read {
            Ok(read) => read,
            Err(ManifestError::NoManifest) => continue,
            Err(e) => {
                all.push(Found {
                    path,
                    manifest: None,
                    signed_by: None,
                    status: Status::Broken(e.to_string()),
                });
                continue;
            }
        };
        let id = manifest.plugin.id.clone();
        if seen.get(&id).is_some_and(|first| is_same(first, &path)) {
            continue;
        }
        let verdict = trust.judge(&file, &manifest);
        let fits = manifest::fits(&manifest);
        let status = match (fits, verdict.objection, seen.get(&id)) {
            (Err(misfit), ..) => Status::Incompatible(misfit.to_string()),
            (Ok(()), Some(objection), _) => Status::Untrusted(objection),
            (Ok(()), None, Some(first)) => Status::Shadowed(format!("{} comes first", first.display())),
            (Ok(()), None, None) => {
                seen.insert(id, path.clone());
                Status::Ok
            }
        };
        all.push(Found { path, manifest: Some(manifest), signed_by: verdict.signed_by, status });
    }
    all
}

/// Whether two names lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let lead = |path: &Path| path.canonicalize().ok();
    lead(one).is_some_and(|file| lead(other) == Some(file))
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
        let found = discover(&SearchPath { places: vec![dir.path().to_owned()] }, &Trust::default());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id(), "libx.so");
        assert!(matches!(&found[0].status, Status::Broken(why) if why.contains("not a shared library")));
    }
}
