//! Layers of the configuration: the values of one source, and how layers stack.

use serde_json::{Map, Value};

use super::origin::{Origin, Origins, join};

/// Values of one source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    /// The values, a tree of tables.
    pub values: Map<String, Value>,
    /// Where they come from.
    pub origins: Origins,
}

impl Layer {
    /// Makes a layer of values that all have the same origin.
    pub fn new(mut values: Value, origin: Origin) -> Self {
        drop_nulls(&mut values);
        let mut origins = Origins::default();
        record(&values, "", &origin, &mut origins);
        let Value::Object(values) = values else { return Self::default() };
        Self { values, origins }
    }

    /// Makes a layer of one value at a path of keys.
    pub fn single(keys: &[&str], value: Value, origin: Origin) -> Self {
        let tree = keys.iter().rev().fold(value, |inner, key| {
            let mut table = Map::new();
            table.insert((*key).to_owned(), inner);
            Value::Object(table)
        });
        Self::new(tree, origin)
    }

    /// Lays `over` on top: its tables are merged in, its other values replace what was there.
    pub fn merge(&mut self, over: Layer) {
        merge(&mut self.values, &mut self.origins, over.values, &over.origins, "");
    }

    /// Removes the value at a path of keys.
    pub fn remove(&mut self, keys: &[&str]) {
        let Some((last, tables)) = keys.split_last() else { return };
        let mut table = &mut self.values;
        for key in tables {
            let Some(Value::Object(inner)) = table.get_mut(*key) else { return };
            table = inner;
        }
        table.remove(*last);
        self.origins.remove(&keys.iter().fold(String::new(), |at, key| join(&at, key)));
    }
}

fn merge(
    into: &mut Map<String, Value>,
    origins: &mut Origins,
    from: Map<String, Value>,
    from_origins: &Origins,
    at: &str,
) {
    for (key, value) in from {
        let pointer = join(at, &key);
        match (into.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => {
                merge(below, origins, above, from_origins, &pointer);
            }
            (_, value) => {
                origins.replace(&pointer, from_origins);
                into.insert(key, value);
            }
        }
    }
}

/// JSON's null means "not given", which TOML says by leaving the key out.
pub(super) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(table) => {
            table.retain(|_, value| !value.is_null());
            table.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|_| number.is_f64()).and_then(whole) {
                *value = whole.into();
            }
        }
        _ => {}
    }
}

/// `1e5` and `100000` are the same number, so both may stand where an integer belongs.
pub(super) fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = (1_i64 << 53) as f64;
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

fn record(value: &Value, at: &str, origin: &Origin, origins: &mut Origins) {
    if !at.is_empty() {
        origins.insert(at.to_owned(), origin.clone());
    }
    match value {
        Value::Object(table) => {
            table.iter().for_each(|(key, value)| record(value, &join(at, key), origin, origins));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, value)| record(value, &join(at, &index.to_string()), origin, origins));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn layer(values: Value, name: &str) -> Layer {
        Layer::new(values, Origin::Flag(name.into()))
    }

    #[test]
    fn tables_merge_and_other_values_replace() {
        let mut below = layer(json!({"train": {"lr": 0.1, "epochs": 3}, "run": {"seeds": [1, 2]}}), "below");
        below.merge(layer(json!({"train": {"lr": 0.2}, "run": {"seeds": [7]}}), "above"));
        let expected = json!({"train": {"lr": 0.2, "epochs": 3}, "run": {"seeds": [7]}});
        assert_eq!(Value::Object(below.values), expected);
        assert_eq!(below.origins.of("/train/lr").to_string(), "above");
        assert_eq!(below.origins.of("/train/epochs").to_string(), "below");
        assert_eq!(below.origins.of("/run/seeds/0").to_string(), "above");
    }

    #[test]
    fn removing_a_key_removes_its_origin() {
        let mut layer = layer(json!({"search": {"plugin": "a", "top": 2}}), "flag");
        layer.remove(&["search", "plugin"]);
        layer.remove(&["absent", "key"]);
        assert_eq!(Value::Object(layer.values.clone()), json!({"search": {"top": 2}}));
        layer.remove(&["search"]);
        assert_eq!(layer.origins.of("/search/top"), &Origin::BuiltIn);
    }

    #[test]
    fn nulls_are_absent_and_whole_floats_are_integers() {
        let layer = layer(json!({"a": null, "b": [{"c": null}], "d": 1e5, "e": 0.5}), "flag");
        assert_eq!(Value::Object(layer.values), json!({"b": [{}], "d": 100_000, "e": 0.5}));
    }
}
