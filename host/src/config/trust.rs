//! What must be known before any plugin is loaded: which ones are trusted, and whether there is a sandbox.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{ComponentConfig, Layer, PluginsConfig, SECTIONS, Size, Sources, read};
use crate::error::{Error, Exit, Result};

/// What the user's words, without any plugin's, say of plugins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Precautions {
    /// Which plugins are trusted.
    pub plugins: PluginsConfig,
    /// Whether plugins work in the sandbox.
    pub sandbox: bool,
    /// Files and folders that the configuration names and that exist.
    pub named: Vec<PathBuf>,
    /// Memory that one process may allocate.
    pub memory: Option<Size>,
    /// Folder for runs.
    pub out: PathBuf,
    /// What a run is called.
    pub name: String,
    /// What an earlier layer tightened and a later one would loosen: to be laid on top.
    pub overruling: Vec<Layer>,
}

/// Keys of the host whose values are files.
const FILES: [[&str; 2]; 2] = [["split", "file"], ["train", "pretrained"]];

impl Sources {
    /// Reads the precautions from files, variables and flags. Recipes of plugins have no say in them, and what
    /// one layer tightens none loosens.
    ///
    /// # Errors
    ///
    /// Fails with all problems of all files, or if there are other values than expected (E0201, E0202, E0204).
    pub fn precautions(&self) -> Result<Precautions> {
        let mut errors = Vec::new();
        let mut layer = |path: &Option<PathBuf>| {
            let read = path.as_deref().map(read::file).transpose();
            read.map_err(|error| errors.push(error)).ok().flatten()
        };
        let (user, project) = (layer(&self.user), layer(&self.project));
        if let Some(error) = Error::all(errors) {
            return Err(error);
        }
        let own_keys = user.as_ref().and_then(|layer| at(&layer.values, &["plugins", "keys"])).cloned();
        let layers: Vec<&Layer> = user.iter().chain(&project).chain(&self.overrides).collect();
        let mut merged = Layer::default();
        layers.iter().for_each(|layer| merged.merge((*layer).clone()));
        let merged = merged.values;
        let mut overruling = Vec::new();
        let mut is_set = |keys: &[&str]| {
            let yes = Some(&Value::Bool(true));
            let Some(by) = layers.iter().find(|layer| at(&layer.values, keys) == yes) else { return false };
            if at(&merged, keys) != yes {
                let pointer = format!("/{}", keys.join("/"));
                overruling.push(Layer::single(keys, Value::Bool(true), by.origins.of(&pointer).clone()));
            }
            true
        };
        let (require_signed, sandbox) = (is_set(&["plugins", "require_signed"]), is_set(&["run", "sandbox"]));
        let keys = match own_keys.or_else(|| at(&merged, &["plugins", "keys"]).cloned()) {
            None => Default::default(),
            Some(keys) => serde_json::from_value(keys).map_err(|cause| {
                Error::new(Exit::Usage, "E0204", format!("`plugins.keys`: {cause}"))
                    .help("write a table: a name and a public key of minisign for each")
            })?,
        };
        Ok(Precautions {
            plugins: PluginsConfig { require_signed, keys },
            sandbox,
            named: named(&merged),
            memory: memory(&merged),
            out: text(&merged, &["run", "out"]).map_or_else(|| PathBuf::from("runs"), PathBuf::from),
            name: self.name(&merged),
            overruling,
        })
    }

    /// What a run of these sources is called, as far as it is known without the plugin.
    fn name(&self, merged: &Map<String, Value>) -> String {
        let data = text(merged, &["data", "plugin"]).unwrap_or(super::sections::phantom().plugin);
        let stem =
            |path: &String| Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let method = text(merged, &["search", "plugin"])
            .or_else(|| self.plugin.as_ref().and_then(stem))
            .or_else(|| text(merged, &["arch", "plugin"]));
        text(merged, &["name"]).unwrap_or_else(|| format!("{data}-{}", method.unwrap_or_default()))
    }
}

fn at<'a>(settings: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    let (first, rest) = keys.split_first()?;
    rest.iter().try_fold(settings.get(*first)?, |value, key| value.get(*key))
}

fn text(settings: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    at(settings, keys).and_then(Value::as_str).map(str::to_owned)
}

/// Whether `settings` ask for the sandbox.
pub(crate) fn wants_sandbox(settings: &Map<String, Value>) -> bool {
    at(settings, &["run", "sandbox"]) == Some(&Value::Bool(true))
}

/// The memory that `settings` give a process.
pub(crate) fn memory(settings: &Map<String, Value>) -> Option<Size> {
    // What is no size is refused with the whole configuration.
    serde_json::from_value(at(settings, &["run", "worker_memory"])?.clone()).ok()
}

/// Files and folders that exist among the settings of components and the host's own files.
pub(crate) fn named(settings: &Map<String, Value>) -> Vec<PathBuf> {
    let mut texts = Vec::new();
    for section in SECTIONS {
        let Some(component) = settings.get(section.key) else { continue };
        let Ok(component) = serde_json::from_value::<ComponentConfig>(component.clone()) else {
            // Without the name of its component, the values are settings all the same.
            strings(component, &mut texts);
            continue;
        };
        component.config.values().for_each(|value| strings(value, &mut texts));
    }
    texts.extend(FILES.iter().filter_map(|keys| text(settings, keys)));
    if let Some(more) = at(settings, &["run", "sandbox_read"]) {
        strings(more, &mut texts);
    }
    let mut places: Vec<PathBuf> =
        texts.into_iter().map(PathBuf::from).filter(|path| path.exists()).collect();
    places.sort();
    places.dedup();
    places
}

fn strings(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| strings(value, into)),
        Value::Object(table) => table.values().for_each(|value| strings(value, into)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::config::Origin;

    fn sources(user: &str, project: &str, set: Value) -> (tempfile::TempDir, Sources) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("user.toml"), user).unwrap();
        fs::write(folder.path().join("project.toml"), project).unwrap();
        let sources = Sources {
            plugin: Some("zennas".to_owned()),
            user: Some(folder.path().join("user.toml")),
            project: Some(folder.path().join("project.toml")),
            overrides: vec![Layer::new(set, Origin::Flag("--set".to_owned()))],
        };
        (folder, sources)
    }

    #[test]
    fn what_is_tightened_is_not_loosened() {
        let (_folder, sources) = sources(
            "plugins.require_signed = true",
            "plugins.require_signed = false\nrun.sandbox = true",
            json!({"run": {"sandbox": false}, "plugins": {"require_signed": false}}),
        );
        let precautions = sources.precautions().unwrap();
        assert!(precautions.plugins.require_signed && precautions.sandbox);
        assert_eq!(precautions.overruling.len(), 2);
        let mut merged = Layer::default();
        precautions.overruling.into_iter().for_each(|layer| merged.merge(layer));
        assert_eq!(merged.values["run"]["sandbox"], true);
        assert!(merged.origins.of("/run/sandbox").to_string().ends_with("project.toml:2"));
    }

    #[test]
    fn a_project_adds_no_keys_to_those_of_the_user() {
        let project = "[plugins.keys]\nproject = \"P\"";
        let names = |user: &str| -> Vec<String> {
            let (_folder, sources) = sources(user, project, json!({}));
            sources.precautions().unwrap().plugins.keys.into_keys().collect()
        };
        assert_eq!(names("[plugins.keys]\nlab = \"L\""), ["lab"]);
        assert_eq!(names(""), ["project"]);
    }

    #[test]
    fn files_are_found_among_settings_and_words_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().to_str().unwrap();
        let set = json!({
            "data": {"plugin": "csv-images", "root": there, "csv": "no-such-file.csv"},
            "run": {"sandbox_read": [format!("{there}/gone")]},
        });
        let (_other, sources) = sources("", "", set);
        assert_eq!(sources.precautions().unwrap().named, [PathBuf::from(there)]);
        assert_eq!(sources.precautions().unwrap().name, "csv-images-zennas");
    }

    #[test]
    fn keys_that_are_no_table_are_refused() {
        let (_folder, sources) = sources("", "plugins.keys = 3", json!({}));
        assert_eq!(sources.precautions().unwrap_err().code, "E0204");
    }
}
