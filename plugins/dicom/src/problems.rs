//! All problems of an index at once.

/// Problems, one per line when displayed.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    pub(crate) fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// Returns `value` if there is no problem.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl FromIterator<String> for Problems {
    fn from_iter<T: IntoIterator<Item = String>>(problems: T) -> Self {
        Self(problems.into_iter().collect())
    }
}

/// Returns ` (did you mean …?)` for the nearest of `names`, or nothing if none is near.
pub(crate) fn did_you_mean<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let lower = name.to_lowercase();
    names
        .into_iter()
        .map(|other| (strsim::jaro_winkler(&lower, &other.to_lowercase()), other))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| format!(" (did you mean \"{other}\"?)"))
        .unwrap_or_default()
}
