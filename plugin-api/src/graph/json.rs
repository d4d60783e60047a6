//! Graphs as JSON, and their hash.

use serde::Deserialize as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Graph, GraphError, SCHEMA};

/// Why a text is not a graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphJsonError {
    /// Not JSON, or not of the right form.
    #[error("not a graph in JSON")]
    Form(#[from] serde_json::Error),
    /// Written in another format.
    #[error("graph format version {found} is not supported, only {SCHEMA} is")]
    Schema {
        /// What stands at `schema`; `null` if nothing does.
        found: Value,
    },
    /// Keys that mean nothing.
    #[error("unknown keys: {}", .0.join(", "))]
    UnknownKeys(Vec<String>),
    /// The form is right, the network is not.
    #[error(transparent)]
    Invalid(#[from] GraphError),
}

impl Graph {
    /// Returns the canonical JSON: keys in the order of the type's fields, every key present, no
    /// whitespace. Equal graphs have equal texts, unless they differ in the sign of a zero.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and lists always serialise")
    }

    /// Reads a graph.
    ///
    /// # Errors
    ///
    /// Fails if the text has another format version, has a key that means nothing (all are
    /// listed), or describes a graph that is not valid.
    pub fn from_json(text: &str) -> Result<Self, GraphJsonError> {
        let value: Value = serde_json::from_str(text)?;
        match value.get("schema") {
            Some(found) if *found == SCHEMA => {}
            found => return Err(GraphJsonError::Schema { found: found.cloned().unwrap_or_default() }),
        }
        let graph = Self::deserialize(&value)?;
        // Serde's own check passes over operators without attributes.
        let mut unknown = Vec::new();
        unknown_keys(&value, &serde_json::to_value(&graph)?, "", &mut unknown);
        if !unknown.is_empty() {
            return Err(GraphJsonError::UnknownKeys(unknown));
        }
        graph.validate()?;
        Ok(graph)
    }

    /// Returns the SHA-256 of the canonical JSON, in lowercase hexadecimal.
    pub fn hash(&self) -> String {
        Sha256::digest(self.to_json()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Lists the keys of `given` that are not in `understood`, with their paths.
fn unknown_keys(given: &Value, understood: &Value, path: &str, unknown: &mut Vec<String>) {
    match (given, understood) {
        (Value::Object(given), Value::Object(understood)) => {
            for (key, value) in given {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match understood.get(key) {
                    Some(understood) => unknown_keys(value, understood, &path, unknown),
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(given), Value::Array(understood)) => {
            for (i, (given, understood)) in given.iter().zip(understood).enumerate() {
                unknown_keys(given, understood, &format!("{path}[{i}]"), unknown);
            }
        }
        _ => {}
    }
}
