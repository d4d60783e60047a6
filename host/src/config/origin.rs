//! Where values of the configuration come from.

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Default of nashost or of the component.
    BuiltIn,
    /// Recipe in the manifest of a plugin.
    Recipe(String),
    /// A file; the line counts from 1 and is unknown in JSON.
    File {
        /// As it was named.
        path: PathBuf,
        /// Line of the key.
        line: Option<usize>,
    },
    /// An environment variable.
    Environment(String),
    /// `--set`, as written.
    Set(String),
    /// A flag of its own.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in"),
            Self::Recipe(plugin) => write!(f, "recipe of `{plugin}`"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Set(text) => write!(f, "--set {text}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Origins by JSON pointer (`/train/lr`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Returns where the value at `pointer` comes from; what no layer names is built in.
    pub fn of(&self, pointer: &str) -> &Origin {
        self.0.get(pointer).unwrap_or(&Origin::BuiltIn)
    }

    pub(crate) fn insert(&mut self, pointer: String, origin: Origin) {
        self.0.insert(pointer, origin);
    }

    /// Forgets `pointer` and everything below it.
    pub(crate) fn remove(&mut self, pointer: &str) {
        let gone: Vec<String> = self.at_and_below(pointer).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.0.remove(&key);
        }
    }

    /// Takes over what `other` says of `pointer` and everything below it.
    pub(crate) fn replace(&mut self, pointer: &str, other: &Self) {
        self.remove(pointer);
        self.0.extend(other.at_and_below(pointer).map(|(key, origin)| (key.clone(), origin.clone())));
    }

    /// Finds them in their order, so that a long file does not cost the square of its length.
    fn at_and_below(&self, pointer: &str) -> impl Iterator<Item = (&String, &Origin)> {
        // What lies below begins with `pointer/`, and `0` is the character after `/`.
        let below = self.0.range(format!("{pointer}/")..format!("{pointer}0"));
        self.0.get_key_value(pointer).into_iter().chain(below)
    }
}

/// Appends a key to a JSON pointer.
pub(crate) fn join(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Writes a JSON pointer as users write keys: `search.budget[0].kind`.
pub(crate) fn dotted(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |mut text, part| {
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            return text + &format!("[{part}]");
        }
        if !text.is_empty() {
            text.push('.');
        }
        text + &part.replace("~1", "/").replace("~0", "~")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_goes_with_everything_below_it() {
        let mut origins = Origins::default();
        for pointer in ["/train", "/train/lr", "/trainer", "/train-lr"] {
            origins.insert(pointer.into(), Origin::Flag("--x".into()));
        }
        origins.remove("/train");
        assert_eq!(origins.of("/train/lr"), &Origin::BuiltIn);
        for longer in ["/trainer", "/train-lr"] {
            assert_eq!(origins.of(longer).to_string(), "--x", "a longer name is another key");
        }
    }

    #[test]
    fn pointers_read_as_users_write_keys() {
        assert_eq!(dotted("/search/budget/0/kind"), "search.budget[0].kind");
        assert_eq!(dotted(&join("/data", "a/b")), "data.a/b");
    }
}
