//! JSON Schemas of everything that others read or write.

use nashost_plugin_api::graph::Graph;
use serde_json::Value;

use super::Config;
use crate::study::StudyConfig;

/// Returns the schema of the run configuration.
pub fn config() -> Value {
    schemars::schema_for!(Config).to_value()
}

/// Returns all published schemas by file name, as committed in `schemas/`.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("config.schema.json", config()),
        ("graph.schema.json", schemars::schema_for!(Graph).to_value()),
        ("study.schema.json", schemars::schema_for!(StudyConfig).to_value()),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn committed_schemas_are_up_to_date() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
        for (name, schema) in schemas() {
            let path = folder.join(name);
            let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            if std::env::var_os("NASHOST_UPDATE_SCHEMAS").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(committed, text, "{name} is out of date: run the tests with NASHOST_UPDATE_SCHEMAS=1");
        }
    }

    #[test]
    fn every_schema_is_a_json_schema() {
        for (name, schema) in schemas() {
            jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}
