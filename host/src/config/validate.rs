//! Checks values against JSON Schemas, and says what is wrong as users would.

use jsonschema::{ValidationError, error::ValidationErrorKind as Kind};
use serde_json::Value;

use super::{
    origin::{Origins, dotted, join},
    suggest,
};
use crate::error::{Error, Exit};

/// Checks the settings of a component against the schema it publishes; `section` is the key of its
/// section (`data`).
pub fn validate_component(section: &str, schema: &Value, config: &Value, origins: &Origins) -> Vec<Error> {
    validate(&join("", section), schema, config, origins)
}

/// Checks `value`, which stands at `at` in the configuration, and returns all problems.
pub(crate) fn validate(at: &str, schema: &Value, value: &Value, origins: &Origins) -> Vec<Error> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(cause) => {
            let message = format!("the schema of `{}` is not a JSON Schema: {cause}", dotted(at));
            return vec![Error::new(Exit::Plugin, "E0209", message).help("tell the author of the plugin")];
        }
    };
    let place = Place { at, schema, origins };
    validator.iter_errors(value).flat_map(|error| place.explain(&error)).collect()
}

/// The key that must never say `test`.
const SELECT_ON: &str = "/eval/select_on";

/// What is needed to tell where a problem is.
struct Place<'a> {
    at: &'a str,
    schema: &'a Value,
    origins: &'a Origins,
}

impl Place<'_> {
    fn explain(&self, error: &ValidationError<'_>) -> Vec<Error> {
        let pointer = format!("{}{}", self.at, error.instance_path().as_str());
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                let known = self.known_keys(error);
                unexpected.iter().map(|key| self.unknown_key(&pointer, key, &known)).collect()
            }
            Kind::Required { property } => {
                let key = dotted(&join(&pointer, property.as_str().unwrap_or_default()));
                vec![self.problem(&pointer, "E0205", &format!("missing key `{key}`"))]
            }
            Kind::AnyOf { context } if only_alternative(context).is_some() => {
                let errors = only_alternative(context).unwrap_or_default();
                errors.iter().flat_map(|error| self.explain(error)).collect()
            }
            _ => vec![self.wrong_value(&pointer, error)],
        }
    }

    fn wrong_value(&self, pointer: &str, error: &ValidationError<'_>) -> Error {
        let value = error.instance();
        let expected = expectation(error);
        let said = format!("`{} = {value}` {}", dotted(pointer), expected.text);
        if pointer == SELECT_ON {
            return self.problem(pointer, "E0207", &said).help(
                "checkpoints and thresholds are always chosen on \"val\"; the test part is touched once",
            );
        }
        let problem = self.problem(pointer, "E0204", &said);
        let choices = expected.choices.iter().filter_map(Value::as_str);
        match value.as_str().and_then(|text| suggest::nearest(text, choices)) {
            Some(near) => problem.help(format!("did you mean \"{near}\"?")),
            None => problem,
        }
    }

    /// Keys of the table that refused one.
    fn known_keys(&self, error: &ValidationError<'_>) -> Vec<&str> {
        let keyword = error.schema_path().as_str();
        let table = keyword.rfind('/').and_then(|slash| self.schema.pointer(&keyword[..slash]));
        let properties = table.and_then(|table| table.get("properties")).and_then(Value::as_object);
        properties.map(|keys| keys.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    fn unknown_key(&self, table: &str, key: &str, known: &[&str]) -> Error {
        let pointer = join(table, key);
        let problem = self.problem(&pointer, "E0203", &format!("unknown key `{}`", dotted(&pointer)));
        let known: Vec<String> = known.iter().map(|key| dotted(&join(table, key))).collect();
        let help = suggest::nearest(key, known.iter().map(|path| path.rsplit('.').next().unwrap_or(path)));
        match help {
            Some(near) => problem.help(format!("did you mean `{}`?", dotted(&join(table, near)))),
            None if known.is_empty() => problem.help("there are no keys here"),
            None => problem.help(format!("known keys: {}", known.join(", "))),
        }
    }

    fn problem(&self, pointer: &str, code: &'static str, message: &str) -> Error {
        Error::new(Exit::Usage, code, format!("{}: {message}", self.origins.of(pointer)))
    }
}

/// What a place in the schema would accept.
#[derive(Default)]
struct Expectation {
    text: String,
    choices: Vec<Value>,
}

fn expectation(error: &ValidationError<'_>) -> Expectation {
    let text = |text: String| Expectation { text, choices: Vec::new() };
    match error.kind() {
        Kind::Enum { options } => one_of(options.as_array().cloned().unwrap_or_default()),
        Kind::Constant { expected_value } => one_of(vec![(**expected_value).clone()]),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => alternatives(context),
        Kind::Minimum { limit } => text(format!("is below {limit}")),
        Kind::Maximum { limit } => text(format!("is above {limit}")),
        Kind::ExclusiveMinimum { limit } => text(format!("is not above {limit}")),
        Kind::ExclusiveMaximum { limit } => text(format!("is not below {limit}")),
        Kind::Pattern { pattern } => text(format!("does not match {pattern}")),
        // The library says `"x" is not of type "number"`; the value has been named already.
        _ => {
            let full = error.to_string();
            let value = error.instance().to_string();
            text(full.strip_prefix(&value).map_or(full.clone(), |rest| rest.trim_start().to_owned()))
        }
    }
}

fn one_of(choices: Vec<Value>) -> Expectation {
    let list: Vec<String> = choices.iter().map(Value::to_string).collect();
    let text = match list.as_slice() {
        [only] => format!("is not {only}"),
        _ => format!("is not one of {}", list.join(", ")),
    };
    Expectation { text, choices }
}

/// What each alternative of a choice found wrong.
type Context = [Vec<ValidationError<'static>>];

/// The alternative that users can mean where the other one is "not given".
fn only_alternative(context: &Context) -> Option<&[ValidationError<'static>]> {
    let is_null = |errors: &&Vec<ValidationError<'static>>| matches!(errors.as_slice(), [error] if expectation(error).text == "is not of type \"null\"");
    match context.iter().filter(|errors| !is_null(errors)).collect::<Vec<_>>().as_slice() {
        [only] if context.len() > 1 => Some(only),
        _ => None,
    }
}

/// Joins what several alternatives expect.
fn alternatives(context: &Context) -> Expectation {
    let expected: Vec<Expectation> =
        context.iter().filter_map(|errors| errors.first()).map(expectation).collect();
    let choices: Vec<Value> = expected.iter().flat_map(|alternative| alternative.choices.clone()).collect();
    if expected.iter().all(|alternative| !alternative.choices.is_empty()) {
        return one_of(choices);
    }
    let texts: Vec<String> = expected.into_iter().map(|alternative| alternative.text).collect();
    Expectation { text: texts.join(", and "), choices }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{layer::Layer, origin::Origin};

    fn schema() -> Value {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "population": {"type": "integer", "minimum": 2},
                "mode": {"oneOf": [{"const": "fast"}, {"const": "exact"}]},
                "limit": {"anyOf": [{"$ref": "#/$defs/Limit"}, {"type": "null"}]},
            },
            "required": ["population"],
            "$defs": {"Limit": {
                "type": "object", "additionalProperties": false,
                "properties": {"max": {"type": "number", "exclusiveMinimum": 0}},
            }},
        })
    }

    fn check(config: Value) -> Vec<Error> {
        let layer = Layer::new(json!({"search": config}), Origin::Flag("--test".into()));
        validate_component("search", &schema(), &layer.values["search"], &layer.origins)
    }

    fn texts(config: Value) -> Vec<String> {
        check(config).into_iter().map(|error| format!("{} {}", error.code, error.message)).collect()
    }

    #[test]
    fn a_valid_configuration_has_no_problems() {
        assert!(check(json!({"population": 5, "mode": "fast", "limit": {"max": 1}})).is_empty());
    }

    #[test]
    fn all_problems_come_at_once_with_their_origin() {
        let problems = texts(json!({"population": 1, "mode": "slow", "limit": {"max": 0}, "extra": 1}));
        for expected in [
            "E0204 --test: `search.population = 1` is below 2",
            "E0204 --test: `search.mode = \"slow\"` is not one of \"fast\", \"exact\"",
            "E0204 --test: `search.limit.max = 0` is not above 0",
            "E0203 --test: unknown key `search.extra`",
        ] {
            assert!(problems.iter().any(|problem| problem == expected), "{expected} in {problems:#?}");
        }
        assert_eq!(problems.len(), 4);
    }

    #[test]
    fn near_names_are_proposed() {
        let problems =
            check(json!({"population": 5, "mode": "exakt", "popluation": 3, "limit": {"maximum": 1}}));
        let helps: Vec<&str> = problems.iter().filter_map(|problem| problem.help.as_deref()).collect();
        assert!(helps.contains(&"did you mean \"exact\"?"), "{helps:?}");
        assert!(helps.contains(&"did you mean `search.population`?"), "{helps:?}");
        assert!(helps.contains(&"known keys: search.limit.max"), "{helps:?}");
    }

    #[test]
    fn missing_and_mistyped_values_are_named() {
        assert_eq!(texts(json!({})), ["E0205 --test: missing key `search.population`"]);
        assert_eq!(
            texts(json!({"population": "many"})),
            ["E0204 --test: `search.population = \"many\"` is not of type \"integer\""]
        );
    }

    #[test]
    fn a_broken_schema_is_the_plugins_fault() {
        let problems = validate_component("data", &json!({"type": 7}), &json!({}), &Origins::default());
        assert_eq!((problems[0].code, problems[0].exit), ("E0209", Exit::Plugin));
    }
}
