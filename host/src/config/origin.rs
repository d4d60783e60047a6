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
        self.0.retain(|key, _| !is_at_or_below(key, pointer));
    }

    /// Takes over what `other` says of `pointer` and everything below it.
    pub(crate) fn replace(&mut self, pointer: &str, other: &Self) {
        self.remove(pointer);
        let inside = other.0.iter().filter(|(key, _)| is_at_or_below(key, pointer));
        self.0.extend(inside.map(|(key, origin)| (key.clone(), origin.clone())));
    }
}

fn is_at_or_below(key: &str, pointer: &str) -> bool {
    key.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
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
        for pointer in ["/train", "/train/lr", "/trainer"] {
            origins.insert(pointer.into(), Origin::Flag("--x".into()));
        }
        origins.remove("/train");
        assert_eq!(origins.of("/train/lr"), &Origin::BuiltIn);
        assert_eq!(origins.of("/trainer").to_string(), "--x", "a longer name is another key");
    }

    #[test]
    fn pointers_read_as_users_write_keys() {
        assert_eq!(dotted("/search/budget/0/kind"), "search.budget[0].kind");
        assert_eq!(dotted(&join("/data", "a/b")), "data.a/b");
    }
}
