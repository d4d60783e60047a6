//! Configurations: files in TOML and JSON, and `key=value` on the command line.

use std::fs;

use nashost::{
    config::{Catalogue, Sources, assignment},
    error::{Error, Exit, Result},
};
use nashost_plugin_api::component::Kind;
use serde_json::{Value, json};

/// Knows one plugin and lets every component have any settings.
struct Lenient;

impl Catalogue for Lenient {
    fn recipe(&self, plugin: &str) -> Result<Value> {
        if plugin == "zennas" {
            return Ok(json!({"search": {"plugin": "zennas"}, "space": {"plugin": "superres"}}));
        }
        Err(Error::new(Exit::Plugin, "E0401", format!("no plugin `{plugin}`")))
    }

    fn schema(&self, _: Kind, _: &str) -> Result<Value> {
        Ok(json!({"type": "object"}))
    }
}

/// Resolves the bytes as a project's file in both languages, and as an assignment. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.expect("there is room for a folder");
    let mut accepted = false;
    for name in ["run.toml", "run.json"] {
        let path = folder.path().join(name);
        fs::write(&path, data).expect("the folder can be written");
        for plugin in [None, Some("zennas".to_owned())] {
            let sources = Sources { plugin, project: Some(path.clone()), ..Sources::default() };
            match sources.resolve(&Lenient) {
                Ok(_) => accepted = true,
                Err(error) => assert!(error.flatten().iter().all(|error| !error.message.is_empty())),
            }
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return accepted };
    match assignment(text) {
        Ok(_) => true,
        Err(error) => {
            assert!(!error.message.is_empty());
            accepted
        }
    }
}

/// Configurations of the examples, and what users write by hand.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "name = \"x\"\n[train]\nlr = 1e-3\nepochs = 3\n[[search.budget]]\nkind = \"params\"\nmax = 1e6\n[run]\nseeds = [1, 2]\n",
        "[data]\nplugin = \"csv-images\"\nroot = \"mine\"\ncsv = \"index.csv\"\nid = \"image\"\ngroup = \"patient\"\n[run]\nseeds = \"1..5\"\n",
        r#"{"train": {"lr": 0.5, "epochs": 2}, "search": {"plugin": "zennas", "budget": [{"kind": "params", "max": 1e5}]}, "name": null}"#,
        "search.budget=[{kind=\"params\", max=1e6}]",
        "data.\"a.b\"=1",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
