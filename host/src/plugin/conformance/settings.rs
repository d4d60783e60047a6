//! The rule for settings.

use nashost_plugin_api::{
    abi::foreign::{CallError, CallErrorKind},
    testing::{Check, Trouble},
};
use serde_json::{Map, Value, json};

/// A key that no component has.
const UNKNOWN: &str = "no-such-key-of-any-component";

/// Tries what a component publishes and accepts; `create` makes an instance from settings.
pub(super) fn check(
    schema: &Value,
    given: Option<&Value>,
    create: impl Fn(&Value) -> Result<(), CallError>,
) -> Check {
    let broken = |why: String| Err(Trouble::Broken(why));
    // What is required has no default, so the defaults are judged without it.
    let mut lenient = schema.clone();
    lenient.as_object_mut().map(|schema| schema.remove("required"));
    let validators =
        jsonschema::validator_for(schema).and_then(|v| Ok((v, jsonschema::validator_for(&lenient)?)));
    let (strict, lenient) = match validators {
        Ok(validators) => validators,
        Err(error) => return broken(format!("its schema is not valid: {error}")),
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let names: Vec<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let defaults = properties.into_iter().flatten().filter_map(|(name, property)| {
        Some((name.clone(), property.get("default").filter(|value| !value.is_null())?.clone()))
    });
    let defaults = Value::Object(defaults.collect::<Map<_, _>>());
    for (validator, settings) in
        [(&lenient, &defaults)].into_iter().chain(given.map(|given| (&strict, given)))
    {
        if let Err(error) = validator.validate(settings) {
            return broken(format!("its schema refuses {settings}: {error}"));
        }
    }
    if lenient.is_valid(&json!({UNKNOWN: 1})) {
        return broken("its schema allows unknown keys: derive with `deny_unknown_fields`".to_owned());
    }
    // Not a list: serde reads structs from lists too.
    for wrong in [json!({UNKNOWN: 1}), json!("nonsense")] {
        match create(&wrong) {
            Ok(()) => return broken(format!("it accepts the settings {wrong}")),
            Err(error) if error.kind == CallErrorKind::InvalidConfig => {}
            Err(error) => return broken(format!("settings {wrong}: {error}")),
        }
    }
    // Nothing and the published defaults must mean the same.
    match (create(&json!({})), create(&defaults)) {
        (Ok(()), Ok(())) => {}
        (Err(one), Err(other)) if one.kind == other.kind && one.kind == CallErrorKind::InvalidConfig => {}
        (_, Err(error)) => return broken(format!("with its own defaults {defaults}: {error}")),
        (Err(error), Ok(())) => return broken(format!("without settings: {error}")),
    }
    Ok(match names.as_slice() {
        [] => "no settings".to_owned(),
        names => names.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "additionalProperties": false, "properties": {"n": {"type": "integer", "default": 3}}})
    }

    fn refuse(component: &Value) -> CallError {
        // The only way to an error of a call is a call.
        nashost_plugin_api::testing::local_strategy::<Never>(component).err().expect("it refuses everything")
    }

    struct Never;

    impl nashost_plugin_api::component::Component for Never {
        const ID: &'static str = "never";
        const DESCRIPTION: &'static str = "refuses its settings";
        type Config = Value;

        fn create(_: Value) -> nashost_plugin_api::component::PluginResult<Self> {
            Err("never".into())
        }
    }

    impl nashost_plugin_api::strategy::Strategy for Never {
        fn describe(&self) -> nashost_plugin_api::strategy::StrategyInfo {
            Default::default()
        }

        fn ask(
            &mut self,
            _: &dyn nashost_plugin_api::strategy::SearchContext,
            _: u32,
        ) -> nashost_plugin_api::component::PluginResult<Vec<nashost_plugin_api::strategy::Request>> {
            Ok(Vec::new())
        }

        fn tell(
            &mut self,
            _: &[nashost_plugin_api::strategy::Outcome],
        ) -> nashost_plugin_api::component::PluginResult<()> {
            Ok(())
        }

        fn checkpoint(&self) -> nashost_plugin_api::component::PluginResult<Vec<u8>> {
            Ok(Vec::new())
        }

        fn restore(&mut self, _: &[u8]) -> nashost_plugin_api::component::PluginResult<()> {
            Ok(())
        }

        fn result(
            &self,
        ) -> nashost_plugin_api::component::PluginResult<nashost_plugin_api::strategy::SearchResult> {
            Ok(Default::default())
        }
    }

    fn strict(settings: &Value) -> Result<(), CallError> {
        let is_known = |map: &Map<String, Value>| map.keys().all(|key| key == "n");
        if settings.as_object().is_some_and(is_known) { Ok(()) } else { Err(refuse(settings)) }
    }

    #[test]
    fn what_is_published_must_be_what_is_accepted() {
        assert_eq!(check(&schema(), None, strict), Ok("n".to_owned()));
        let mut needy = schema();
        needy["required"] = json!(["root"]);
        let refuse_all = |settings: &Value| Err(refuse(settings));
        assert!(check(&needy, None, refuse_all).is_ok(), "settings without a default may be required");
        let why = |schema: Value, create: &dyn Fn(&Value) -> Result<(), CallError>| match check(
            &schema, None, create,
        ) {
            Err(Trouble::Broken(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(why(schema(), &|_| Ok(())).contains("accepts the settings"));
        assert!(why(json!({"type": 7}), &strict).contains("not valid"));
        assert!(why(json!({"type": "object"}), &strict).contains("allows unknown keys"));
        let mut lying = schema();
        lying["properties"]["n"]["default"] = json!("three");
        assert!(why(lying, &strict).contains("its schema refuses"));
        let picky =
            |settings: &Value| if settings["n"] == 3 { Err(refuse(settings)) } else { strict(settings) };
        assert!(why(schema(), &picky).contains("with its own defaults"));
    }
}
