//! Python literals as far as the official files go, and JSON: dictionaries with text keys, lists,
//! texts, numbers, truth values, nothing.

use serde_json::{Map, Number, Value};

/// Deepest nesting that is read; the official files have three levels.
const MAX_DEPTH: usize = 32;

/// A text that is no literal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: expected {expected}, found {}", describe(*.found))]
pub struct LiteralError {
    /// Where, counted in characters from 1.
    position: usize,
    expected: &'static str,
    found: Option<char>,
}

fn describe(found: Option<char>) -> String {
    found.map_or_else(|| "the end".to_owned(), |character| format!("`{character}`"))
}

/// Reads one literal, with white space around it.
pub(super) fn parse(text: &str) -> Result<Value, LiteralError> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.error("the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Byte of the next character.
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Skips white space and looks at the next character.
    fn peek(&mut self) -> Option<char> {
        self.at += self.rest().len() - self.rest().trim_start().len();
        self.rest().chars().next()
    }

    fn error(&self, expected: &'static str) -> LiteralError {
        let position = self.text[..self.at].chars().count() + 1;
        LiteralError { position, expected, found: self.rest().chars().next() }
    }

    /// Takes `character` if it comes next.
    fn take(&mut self, character: char) -> bool {
        let next = self.peek() == Some(character);
        self.at += if next { character.len_utf8() } else { 0 };
        next
    }

    fn value(&mut self, depth: usize) -> Result<Value, LiteralError> {
        match self.peek() {
            Some('{' | '[') if depth == MAX_DEPTH => Err(self.error("a flatter value")),
            Some('{') => self.dictionary(depth),
            Some('[') => self.list(depth),
            Some('\'' | '"') => Ok(Value::String(self.text()?)),
            Some('0'..='9' | '-') => self.number(),
            _ => self.word(),
        }
    }

    fn dictionary(&mut self, depth: usize) -> Result<Value, LiteralError> {
        let mut entries = Map::new();
        self.take('{');
        while !self.take('}') {
            if !matches!(self.peek(), Some('\'' | '"')) {
                return Err(self.error("a key in quotes or `}`"));
            }
            let key = self.text()?;
            if !self.take(':') {
                return Err(self.error("`:`"));
            }
            let value = self.value(depth + 1)?;
            entries.insert(key, value);
            if !self.take(',') && self.peek() != Some('}') {
                return Err(self.error("`,` or `}`"));
            }
        }
        Ok(Value::Object(entries))
    }

    fn list(&mut self, depth: usize) -> Result<Value, LiteralError> {
        let mut values = Vec::new();
        self.take('[');
        while !self.take(']') {
            values.push(self.value(depth + 1)?);
            if !self.take(',') && self.peek() != Some(']') {
                return Err(self.error("`,` or `]`"));
            }
        }
        Ok(Value::Array(values))
    }

    /// Reads a text in either quotes. The files hold names only, so there are no escapes.
    fn text(&mut self) -> Result<String, LiteralError> {
        let quote = self.rest().chars().next().unwrap_or_default();
        let inside = self.at + quote.len_utf8();
        let end = self.text[inside..].find([quote, '\\', '\n']).map(|end| inside + end);
        self.at = end.unwrap_or(self.text.len());
        if !self.rest().starts_with(quote) {
            return Err(self.error("a name without escapes and its closing quote"));
        }
        let text = self.text[inside..self.at].to_owned();
        self.at += quote.len_utf8();
        Ok(text)
    }

    fn number(&mut self) -> Result<Value, LiteralError> {
        let rest = self.rest();
        let length = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
        let digits = &rest[..length.unwrap_or(rest.len())];
        let number: Number = serde_json::from_str(digits).map_err(|_| self.error("a number"))?;
        self.at += digits.len();
        Ok(Value::Number(number))
    }

    fn word(&mut self) -> Result<Value, LiteralError> {
        let words = [
            ("True", Value::Bool(true)),
            ("true", Value::Bool(true)),
            ("False", Value::Bool(false)),
            ("false", Value::Bool(false)),
            ("None", Value::Null),
            ("null", Value::Null),
        ];
        let found = words.into_iter().find(|(word, _)| self.rest().starts_with(word));
        let (word, value) = found.ok_or_else(|| self.error("a value"))?;
        self.at += word.len();
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn both_languages_are_read() {
        let python = " {'a': [1, -2, 1.5e1,], \"b\": None, 'c': {'d': True, 'e': False}, } ";
        let expected = json!({"a": [1, -2, 15.0], "b": null, "c": {"d": true, "e": false}});
        assert_eq!(parse(python).unwrap(), expected);
        assert_eq!(parse(&expected.to_string()).unwrap(), expected);
    }

    #[test]
    fn errors_name_the_place() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(error(""), "at character 1: expected a value, found the end");
        assert_eq!(error("{'é' 1}"), "at character 6: expected `:`, found `1`");
        assert_eq!(error("{1: 2}"), "at character 2: expected a key in quotes or `}`, found `1`");
        assert_eq!(error("[1 2]"), "at character 4: expected `,` or `]`, found `2`");
        assert_eq!(error("[01]"), "at character 2: expected a number, found `0`");
        assert_eq!(
            error("['a"),
            "at character 4: expected a name without escapes and its closing quote, found the end"
        );
        assert_eq!(error("1 2"), "at character 3: expected the end, found `2`");
        assert_eq!(error("print(1)"), "at character 1: expected a value, found `p`");
        assert!(error(&"[".repeat(100_000)).contains("expected a flatter value"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = parse(&text);
        }

        #[test]
        fn no_almost_literal_makes_it_panic(text in r#"[\[\]{}'":,0-9a-z \\é-]{0,40}"#) {
            let _ = parse(&text);
        }
    }
}
