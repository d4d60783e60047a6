//! Reads layers: TOML and JSON files, and `key=value` on the command line.

use std::path::Path;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::{
    layer::{Layer, whole},
    origin::{Origin, Origins, dotted, join},
};
use crate::error::{Error, Exit, Result};

/// Reads a file: JSON if it is named so, otherwise TOML.
///
/// # Errors
///
/// Fails if the file cannot be read (E0201), or with all its syntax errors (E0202).
pub fn file(path: &Path) -> Result<Layer> {
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Error::new(Exit::Usage, "E0201", format!("cannot read {}: {cause}", path.display()))
            .help("name a file with `--config`, or write one with `nashost config init`")
    })?;
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        from_json(&text, path)
    } else {
        from_toml(&text, path)
    }
}

fn from_json(text: &str, path: &Path) -> Result<Layer> {
    let value: Value = serde_json::from_str(text)
        .map_err(|cause| syntax(format!("{}:{}: {cause}", path.display(), cause.line())))?;
    if !value.is_object() {
        return Err(syntax(format!("{}: not a JSON object", path.display())));
    }
    if let Some(length) = long_path(&value, "") {
        return Err(syntax(format!("{}: {}", path.display(), too_long(length))));
    }
    Ok(Layer::new(value, Origin::File { path: path.to_owned(), line: None }))
}

fn from_toml(text: &str, path: &Path) -> Result<Layer> {
    // Looked up, not counted each time: a file of many keys would cost the square of its length.
    let newlines: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line = |offset: usize| newlines.partition_point(|&at| at < offset) + 1;
    let (table, errors) = DeTable::parse_recoverable(text);
    let errors = errors.iter().map(|error| {
        let line = line(error.span().map_or(0, |span| span.start));
        syntax(format!("{}:{line}: {}", path.display(), error.message()))
    });
    let mut reader = Reader {
        origin: &|offset| Origin::File { path: path.to_owned(), line: Some(line(offset)) },
        origins: Origins::default(),
        errors: errors.collect(),
    };
    let values = reader.table(table.get_ref(), "");
    match Error::all(reader.errors) {
        Some(error) => Err(error),
        None => Ok(Layer { values, origins: reader.origins }),
    }
}

/// Bytes of a key at most, with those of the tables around it: every value is remembered with its whole path.
const LONGEST_PATH: usize = 1024;

fn too_long(length: usize) -> String {
    format!("a key has {length} bytes, with the tables around it; {LONGEST_PATH} are the most")
}

/// Finds a key whose path is too long, and returns the path's length.
fn long_path(value: &Value, at: &str) -> Option<usize> {
    if at.len() > LONGEST_PATH {
        return Some(at.len());
    }
    match value {
        Value::Object(table) => table.iter().find_map(|(key, value)| long_path(value, &join(at, key))),
        Value::Array(items) => items.iter().find_map(|item| long_path(item, at)),
        _ => None,
    }
}

/// Reads `key=value` of `--set`. The value is TOML; what is no TOML value is a string, so that
/// paths and names need no quotes.
///
/// # Errors
///
/// Fails if there is no `=`, or the key or a quoted or bracketed value is malformed (E0202).
pub fn assignment(text: &str) -> Result<Layer> {
    let malformed = |why: String| {
        syntax(format!("--set {text}: {why}")).help("write it as `--set train.lr=1e-3`, with a TOML value")
    };
    let (key, value) = text.split_once('=').ok_or_else(|| malformed("no `=`".into()))?;
    let (key, value) = (key.trim(), value.trim());
    let source = format!("{key} = 0");
    let table = DeTable::parse(&source).map_err(|error| malformed(error.message().to_owned()))?;
    let keys = path_of(table.get_ref());
    let origin = Origin::Set(text.to_owned());
    let value = assigned(value, &origin).map_err(malformed)?;
    Ok(Layer::single(&keys.iter().map(String::as_str).collect::<Vec<_>>(), value, origin))
}

/// Reads the right side of an assignment.
fn assigned(text: &str, origin: &Origin) -> std::result::Result<Value, String> {
    let source = format!("value = {text}");
    let table = match DeTable::parse(&source) {
        Ok(table) => table,
        Err(error) if text.starts_with(['"', '\'', '[', '{']) => return Err(error.message().to_owned()),
        Err(_) => return Ok(Value::String(text.to_owned())),
    };
    let mut reader = Reader { origin: &|_| origin.clone(), origins: Origins::default(), errors: Vec::new() };
    match table.get_ref().get("value").map(|item| item.get_ref()) {
        None | Some(DeValue::Datetime(_)) => Ok(Value::String(text.to_owned())),
        Some(value) => {
            let value = reader.value(value, "", 0);
            Error::all(reader.errors).map_or(Ok(value), |error| Err(error.message))
        }
    }
}

fn syntax(message: String) -> Error {
    Error::new(Exit::Usage, "E0202", message)
}

/// Keys down to the one value of a table.
fn path_of(table: &DeTable<'_>) -> Vec<String> {
    let mut path = Vec::new();
    let mut table = Some(table);
    while let Some((key, value)) = table.and_then(|table| table.iter().next()) {
        path.push(key.get_ref().to_string());
        table = value.get_ref().as_table();
    }
    path
}

/// Turns TOML into JSON, remembering where everything stood.
struct Reader<'a> {
    origin: &'a dyn Fn(usize) -> Origin,
    origins: Origins,
    errors: Vec<Error>,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>, at: &str) -> Map<String, Value> {
        let mut entries: Vec<_> = table.iter().collect();
        // Order of the file, which is what users see again in `config show`.
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut values = Map::new();
        for (key, value) in entries {
            let offset = key.span().start;
            let pointer = join(at, key.get_ref());
            if pointer.len() > LONGEST_PATH {
                let origin = (self.origin)(offset);
                self.errors.push(syntax(format!("{origin}: {}", too_long(pointer.len()))));
                continue;
            }
            self.origins.insert(pointer.clone(), (self.origin)(offset));
            let value = self.value(value.get_ref(), &pointer, offset);
            values.insert(key.get_ref().to_string(), value);
        }
        values
    }

    fn value(&mut self, value: &DeValue<'_>, at: &str, offset: usize) -> Value {
        match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(number) => number.into(),
                Err(cause) => self.refuse(at, offset, &format!("{digits}: {cause}")),
            },
            DeValue::Float(digits) => match digits.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => whole(number).map_or_else(|| number.into(), Value::from),
                _ => self.refuse(at, offset, &format!("{} is not a finite number", digits.as_str())),
            },
            DeValue::Datetime(time) => {
                self.refuse(at, offset, &format!("{time} is a date; put it in quotes if it is text"))
            }
            DeValue::Array(items) => Value::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        let pointer = join(at, &index.to_string());
                        let offset = item.span().start;
                        self.origins.insert(pointer.clone(), (self.origin)(offset));
                        self.value(item.get_ref(), &pointer, offset)
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Object(self.table(table, at)),
        }
    }

    fn refuse(&mut self, at: &str, offset: usize, why: &str) -> Value {
        let origin = (self.origin)(offset);
        let key = if at.is_empty() { String::new() } else { format!("`{}` = ", dotted(at)) };
        self.errors.push(syntax(format!("{origin}: {key}{why}")));
        Value::Null
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn toml(text: &str) -> Result<Layer> {
        from_toml(text, Path::new("neck.toml"))
    }

    #[test]
    fn every_toml_key_knows_its_line() {
        let layer =
            toml("name = \"x\"\n[train]\nlr = 1e-3\n[[search.budget]]\nkind = \"params\"\nmax = 1e6\n");
        let layer = layer.unwrap();
        let expected = json!({
            "name": "x", "train": {"lr": 0.001},
            "search": {"budget": [{"kind": "params", "max": 1_000_000}]},
        });
        assert_eq!(Value::Object(layer.values), expected);
        assert_eq!(layer.origins.of("/train/lr").to_string(), "neck.toml:3");
        assert_eq!(layer.origins.of("/search/budget/0/max").to_string(), "neck.toml:6");
    }

    #[test]
    fn all_syntax_errors_of_a_file_come_at_once() {
        let error = toml("a = \nb = 1\nb = 2\nc = nan\nd = 2024-01-01\n").unwrap_err();
        let messages: Vec<String> = error.flatten().into_iter().map(|error| error.message).collect();
        for place in ["neck.toml:1:", "neck.toml:3:", "neck.toml:4: `c`", "neck.toml:5: `d`"] {
            assert!(messages.iter().any(|message| message.starts_with(place)), "{place} in {messages:?}");
        }
    }

    /// Every value is remembered with its path, so a long one would be remembered a thousand times.
    #[test]
    fn long_paths_are_refused() {
        let key = "k".repeat(1022);
        assert!(toml(&format!("{key}z = 1\n")).is_ok());
        let error = toml(&format!("[train]\n[x]\n{key} = 1\n")).unwrap_err();
        let wrong = "a key has 1025 bytes, with the tables around it; 1024 are the most";
        assert_eq!(error.message, format!("neck.toml:3: {wrong}"));
        let error = from_json(&format!(r#"{{"x": [{{"{key}": 1}}]}}"#), Path::new("neck.json")).unwrap_err();
        assert_eq!(error.message, format!("neck.json: {wrong}"));
    }

    #[test]
    fn json_files_are_accepted() {
        let layer = from_json(r#"{"train": {"lr": 0.5}, "name": null}"#, Path::new("neck.json")).unwrap();
        assert_eq!(Value::Object(layer.values.clone()), json!({"train": {"lr": 0.5}}));
        assert_eq!(layer.origins.of("/train/lr").to_string(), "neck.json");
        let error = from_json("{\n\"a\": }", Path::new("neck.json")).unwrap_err();
        assert!(error.message.starts_with("neck.json:2: "), "{}", error.message);
        assert!(from_json("[]", Path::new("neck.json")).is_err());
    }

    #[test]
    fn assignments_take_toml_values_and_bare_words() {
        for (text, pointer, expected) in [
            ("train.lr=2e-3", "/train/lr", json!(0.002)),
            ("train.epochs = 15", "/train/epochs", json!(15)),
            ("data.path=pneumoniamnist_28.npz", "/data/path", json!("pneumoniamnist_28.npz")),
            ("data.path=/a b/c=d", "/data/path", json!("/a b/c=d")),
            ("run.seeds=1..5", "/run/seeds", json!("1..5")),
            ("run.seeds=[1, 2]", "/run/seeds", json!([1, 2])),
            ("run.cache=false", "/run/cache", json!(false)),
            ("name=\"x\"", "/name", json!("x")),
            ("name=2024-01-01", "/name", json!("2024-01-01")),
            ("name=", "/name", json!("")),
            ("data.\"a.b\"=1", "/data/a.b", json!(1)),
            ("search.budget=[{kind=\"params\", max=1e6}]", "/search/budget/0/max", json!(1_000_000)),
        ] {
            let layer = assignment(text).unwrap();
            let values = Value::Object(layer.values);
            assert_eq!(values.pointer(pointer), Some(&expected), "{text}");
            assert_eq!(layer.origins.of(pointer).to_string(), format!("--set {text}"));
        }
        for text in ["train.lr", "=1", "a..b=1", "a=[1", "a=\"x"] {
            assert_eq!(assignment(text).unwrap_err().code, "E0202", "{text}");
        }
    }
}
