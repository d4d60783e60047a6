//! What users write for `shapleynas`.

use nashost_shapley_supernet::{Preset, SearchConfig};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value, json};

/// Setting for the size of the images that the supernet sees. `search.resolution` is the host's.
const IMAGE_SIZE: &str = "image_size";
/// Name of that setting in [`SearchConfig`].
const RESOLUTION: &str = "resolution";
/// Setting that takes the rest from a published search.
const PRESET: &str = "preset";

/// The settings of a search, over those of a preset if one is named.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config(pub SearchConfig);

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut written = Map::deserialize(deserializer)?;
        if written.contains_key(RESOLUTION) {
            return Err(D::Error::custom(format!(
                "unknown setting `{RESOLUTION}`, the size of the supernet's images is `{IMAGE_SIZE}`"
            )));
        }
        let base = match written.remove(PRESET) {
            Some(name) => SearchConfig::preset(Preset::deserialize(name).map_err(D::Error::custom)?),
            None => SearchConfig::default(),
        };
        if let Some(size) = written.remove(IMAGE_SIZE) {
            let size = if size == 0 { Value::Null } else { size };
            written.insert(RESOLUTION.to_owned(), size);
        }
        let mut settings = serde_json::to_value(base).map_err(D::Error::custom)?;
        lay_over(&mut settings, Value::Object(written));
        SearchConfig::deserialize(settings).map(Self).map_err(D::Error::custom)
    }
}

/// Replaces what `upper` has in `lower`, table by table.
fn lay_over(lower: &mut Value, upper: Value) {
    match (lower, upper) {
        (Value::Object(lower), Value::Object(upper)) => {
            for (key, value) in upper {
                lay_over(lower.entry(key).or_insert(Value::Null), value);
            }
        }
        (lower, upper) => *lower = upper,
    }
}

impl JsonSchema for Config {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Config".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let preset = generator.subschema_for::<Preset>().to_value();
        let mut schema = SearchConfig::json_schema(generator);
        if let Some(Value::Object(settings)) = schema.get_mut("properties") {
            settings.remove(RESOLUTION);
            settings.insert(
                IMAGE_SIZE.to_owned(),
                json!({
                    "description": "The longer side of the images that the supernet sees; larger ones are \
                                    averaged down. 0 for the images as they are. 32 unless a preset says \
                                    otherwise.",
                    "type": "integer",
                    "minimum": 0,
                }),
            );
            settings.insert(
                PRESET.to_owned(),
                json!({
                    "description": "A published search, whose settings take the place of the defaults: \
                                    `official` (CIFAR-10, its bugs included), `study` and `study-neck` (the \
                                    2023 study).",
                    "allOf": [preset],
                }),
            );
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use nashost_shapley_supernet::config::Estimator;

    use super::*;

    fn read(settings: Value) -> Result<SearchConfig, String> {
        serde_json::from_value::<Config>(settings).map(|config| config.0).map_err(|e| e.to_string())
    }

    #[test]
    fn settings_lie_over_a_preset() {
        assert_eq!(read(json!({})).unwrap(), SearchConfig::default());
        let official =
            read(json!({"preset": "official", "layers": 3, "official": {"threshold": 0.4}})).unwrap();
        assert_eq!((official.layers, official.estimator), (3, Estimator::Official));
        assert_eq!(official.official.threshold, 0.4);
        assert!(official.official.nan_on_equal, "the rest of the table stays the preset's");
        assert_eq!(read(json!({"image_size": 48})).unwrap().resolution, Some(48));
        assert_eq!(read(json!({"image_size": 0})).unwrap().resolution, None);
    }

    #[test]
    fn unknown_settings_and_presets_are_refused() {
        assert!(read(json!({"chanels": 8})).unwrap_err().contains("unknown field `chanels`"));
        assert!(read(json!({"preset": "paper"})).unwrap_err().contains("unknown variant `paper`"));
        assert!(read(json!({"resolution": 32})).unwrap_err().contains("`image_size`"));
    }

    #[test]
    fn the_schema_has_every_setting_and_its_own_two() {
        let schema = schemars::schema_for!(Config).to_value();
        let settings = schema["properties"].as_object().unwrap();
        let Value::Object(all) = serde_json::to_value(SearchConfig::default()).unwrap() else { panic!() };
        for name in all.keys().filter(|name| *name != RESOLUTION) {
            assert!(settings.contains_key(name), "{name}");
        }
        assert_eq!(settings.len(), all.len() + 1);
        assert!(schema.to_string().contains("study-neck"));
    }
}
