//! The keys of the configuration, as its schema tells them, and files made from them.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{
    Resolved,
    origin::{Origin, Origins, dotted, join},
    schemas,
};

/// A key that the host knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// JSON pointer: `/train/lr`.
    pub pointer: String,
    /// What it means.
    pub description: String,
    /// Its default, if it has one.
    pub default: Option<Value>,
    /// The only values that are allowed, if they can be listed.
    pub choices: Vec<Value>,
}

/// Returns every key of every section, as they may stand in a file: the values of a table follow the
/// table, and precede the tables inside it.
pub fn keys() -> Vec<Key> {
    let schema = schemas::config();
    let mut keys = Vec::new();
    collect(&schema, &schema, "", &mut keys);
    keys
}

fn collect(root: &Value, table: &Value, at: &str, keys: &mut Vec<Key>) {
    let properties = || table.get("properties").and_then(Value::as_object).into_iter().flatten();
    let text = |value: &Value| value.get("description").and_then(Value::as_str).map(str::to_owned);
    let is_table = |property: &&Value| target(root, property).get("properties").is_some();
    let key = |name: &str, property: &Value| Key {
        pointer: join(at, name),
        description: text(property).or_else(|| text(target(root, property))).unwrap_or_default(),
        default: property.get("default").filter(|default| !default.is_null()).cloned(),
        choices: choices(target(root, property)),
    };
    keys.extend(properties().filter(|(_, value)| !is_table(value)).map(|(name, value)| key(name, value)));
    for (name, property) in properties().filter(|(_, value)| is_table(value)) {
        keys.push(key(name, property));
        collect(root, target(root, property), &join(at, name), keys);
    }
}

/// Follows a reference, and the alternative that is not null.
fn target<'a>(root: &'a Value, property: &'a Value) -> &'a Value {
    if let Some(reference) = property.get("$ref").and_then(Value::as_str) {
        return root.pointer(reference.trim_start_matches('#')).unwrap_or(property);
    }
    let alternatives = property.get("anyOf").and_then(Value::as_array);
    let table = alternatives.and_then(|list| list.iter().find(|one| one.get("$ref").is_some()));
    table.map_or(property, |table| target(root, table))
}

/// Reads the words of an enumeration; those with a description of their own stand in a `oneOf`.
fn choices(schema: &Value) -> Vec<Value> {
    let words = |schema: &Value| match schema.get("const") {
        Some(word) => vec![word.clone()],
        None => schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
    };
    match schema.get("oneOf").and_then(Value::as_array) {
        Some(alternatives) => alternatives.iter().flat_map(words).collect(),
        None => words(schema),
    }
}

/// Returns the leaves of a configuration in order: JSON pointer and value. Arrays are leaves, and
/// what is not given is none.
pub fn flatten(values: &Value) -> Vec<(String, Value)> {
    fn walk(value: &Value, at: &str, leaves: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(table) => table.iter().for_each(|(key, value)| walk(value, &join(at, key), leaves)),
            Value::Null => {}
            _ => leaves.push((at.to_owned(), value.clone())),
        }
    }
    let mut leaves = Vec::new();
    walk(values, "", &mut leaves);
    leaves
}

/// Writes a value on one line, as in a TOML file.
pub(crate) fn inline(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string())
}

/// Returns a configuration file with every key explained: what a layer has set stands as it is,
/// defaults are comments.
pub fn template(resolved: &Resolved) -> String {
    let values = serde_json::to_value(&resolved.config).unwrap_or_default();
    let mut text = String::from(
        "# Configuration of nashost. Defaults are comments: remove the `#` of what you change.\n\
         # Keys and their meaning: docs/configuration.md.\n",
    );
    let known = keys();
    let is_table = |pointer: &str| known.iter().any(|key| key.pointer.starts_with(&format!("{pointer}/")));
    for key in &known {
        let comment = wrap(&key.description);
        let (table, name) = key.pointer.rsplit_once('/').unwrap_or_default();
        if is_table(&key.pointer) {
            let mark = if values.pointer(&key.pointer).is_some() { "" } else { "# " };
            let _ = write!(text, "\n{comment}{mark}[{}]\n", dotted(&key.pointer));
            continue;
        }
        let gap = if table.is_empty() { "\n" } else { "" };
        let _ = write!(text, "{gap}{comment}{}", line(&values, &resolved.origins, key));
        if name == "plugin" {
            text += &settings(&values, &resolved.origins, table, &known);
        }
    }
    text
}

/// Settings of the component of a section, which the host's schema doesn't know.
fn settings(values: &Value, origins: &Origins, table: &str, known: &[Key]) -> String {
    let own = values.pointer(table).and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    let unknown = own.iter().filter(|(name, _)| !known.iter().any(|key| key.pointer == join(table, name)));
    unknown
        .map(|(name, value)| {
            let mark = if origins.of(&join(table, name)) == &Origin::BuiltIn { "# " } else { "" };
            format!("{mark}{name} = {}\n", inline(value))
        })
        .collect()
}

fn line(values: &Value, origins: &Origins, key: &Key) -> String {
    let name = key.pointer.rsplit('/').next().unwrap_or_default();
    let value = values.pointer(&key.pointer).filter(|value| !value.is_null()).or(key.default.as_ref());
    let mark = if is_set(values, origins, &key.pointer) { "" } else { "# " };
    let choices: Vec<String> = key.choices.iter().map(inline).collect();
    let choices = if choices.is_empty() { String::new() } else { format!("  # {}", choices.join(", ")) };
    // Without a value, the line waits to be completed.
    let value = value.map(|value| format!(" {}", inline(value))).unwrap_or_default();
    format!("{mark}{name} ={value}{choices}\n")
}

/// Whether a layer above the built-in one set the value or something inside it.
fn is_set(values: &Value, origins: &Origins, pointer: &str) -> bool {
    let Some(value) = values.pointer(pointer) else { return false };
    flatten(value).iter().any(|(inside, _)| origins.of(&format!("{pointer}{inside}")) != &Origin::BuiltIn)
}

/// Columns of a comment.
const WIDTH: usize = 96;

/// Breaks a description into comment lines.
fn wrap(description: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in description.split_whitespace() {
        if column == 0 || column + word.len() >= WIDTH {
            text += if column == 0 { "#" } else { "\n#" };
            column = 1;
        }
        text.push(' ');
        text += word;
        column += word.len() + 1;
    }
    if column > 0 {
        text.push('\n');
    }
    text
}
