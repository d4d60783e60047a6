//! Values with a unit, as users write them: `2h 30m`, `8 GiB`.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A length of time: `90s`, `15m`, `2h 30m`, `1day`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// An amount of memory or disk space: `500 MB`, `8 GiB`, or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Span {
    /// Returns a span of whole minutes.
    pub(super) const fn minutes(minutes: u64) -> Self {
        Self(Duration::from_secs(minutes * 60))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bytesize::ByteSize(self.0).display().iec().fmt(f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    /// Writes bytes: a rounded unit would read back as another size.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{} B", self.0))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(text.trim())
            .map(Self)
            .map_err(|why| D::Error::custom(format!("`{text}` is no length of time: {why}")))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse::<bytesize::ByteSize>()
            .map(|size| Self(size.as_u64()))
            .map_err(|why| D::Error::custom(format!("`{text}` is no size: {why}")))
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\s*([0-9]+\s*(ms|s|sec|secs|seconds?|m|min|mins|minutes?|h|hr|hrs|hours?|d|days?|w|weeks?)\s*)+$",
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*([kKMGTP]i?)?[bB]?\s*$"})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json, to_value};

    use super::*;

    #[test]
    fn users_write_units_and_read_them_again() {
        for (text, seconds) in [("90s", 90), ("2h", 7200), ("2h 30m", 9000), ("1day", 86_400)] {
            let span: Span = from_value(json!(text)).unwrap();
            assert_eq!(span.0.as_secs(), seconds, "{text}");
            assert_eq!(from_value::<Span>(to_value(span).unwrap()).unwrap(), span);
        }
        for (text, bytes) in [("8 GiB", 8 << 30), ("500 MB", 500_000_000), ("12", 12), ("1.5 KiB", 1536)] {
            let size: Size = from_value(json!(text)).unwrap();
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(from_value::<Size>(to_value(size).unwrap()).unwrap(), size);
        }
    }

    #[test]
    fn the_schemas_accept_what_is_written_and_refuse_nonsense() {
        let span = jsonschema::validator_for(&schemars::schema_for!(Span).to_value()).unwrap();
        let size = jsonschema::validator_for(&schemars::schema_for!(Size).to_value()).unwrap();
        let written = |value: Value| value;
        for text in ["90s", "2h 30m", "1day 3h"] {
            assert!(span.is_valid(&json!(text)), "{text}");
        }
        assert!(span.is_valid(&written(to_value(Span(Duration::from_secs(93_784))).unwrap())));
        assert!(size.is_valid(&written(to_value(Size(123_456_789)).unwrap())));
        for text in ["", "soon", "2", "h2"] {
            assert!(!span.is_valid(&json!(text)) && from_value::<Span>(json!(text)).is_err(), "{text}");
        }
        for text in ["", "much", "GiB"] {
            assert!(!size.is_valid(&json!(text)) && from_value::<Size>(json!(text)).is_err(), "{text}");
        }
    }
}
