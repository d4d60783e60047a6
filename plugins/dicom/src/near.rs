//! Names that were meant.

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
