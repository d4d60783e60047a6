//! Comparisons that were made elsewhere.

use std::{fs, path::Path};

use nashost_report::data::Comparison;
use serde::Deserialize;

use crate::error::{Error, Exit, Result};

/// The two forms of a file with comparisons.
#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    /// What the page shows.
    List(Vec<Comparison>),
    /// What `nashost compare --format json` prints.
    Compared { metric: String, pairs: Vec<Pair> },
}

/// Two methods, as `nashost compare` tells of them.
#[derive(Deserialize)]
struct Pair {
    method: String,
    against: String,
    difference: Option<f64>,
    interval: Option<[f64; 2]>,
    test: String,
    p: Option<f64>,
    p_holm: Option<f64>,
    why: Option<String>,
}

/// Reads comparisons from a JSON file: a list, or the output of `nashost compare --format json`.
///
/// # Errors
///
/// E0721 if the file cannot be read, has another form, or a comparison lacks its methods or metric.
pub(crate) fn read(file: &Path) -> Result<Vec<Comparison>> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::new(Exit::Usage, "E0721", format!("comparisons {}: {why}", file.display()))
            .help("`nashost explain E0721` shows the fields")
    };
    let text = fs::read_to_string(file).map_err(|why| failed(&why))?;
    let list = match serde_json::from_str(&text).map_err(|why| failed(&why))? {
        File::List(list) => list,
        File::Compared { metric, pairs } => pairs.into_iter().map(|pair| pair.of(&metric)).collect(),
    };
    match list.iter().position(|c| c.a.is_empty() || c.b.is_empty() || c.metric.is_empty()) {
        Some(index) => Err(failed(&format!("number {} lacks a, b or metric", index + 1))),
        None => Ok(list),
    }
}

impl Pair {
    fn of(self, metric: &str) -> Comparison {
        let adjusted = if self.p_holm.is_some() { ", Holm" } else { "" };
        Comparison {
            a: self.method,
            b: self.against,
            metric: metric.to_owned(),
            difference: self.difference,
            ci95: self.interval,
            p: self.p,
            p_adjusted: self.p_holm,
            test: format!("{}{adjusted}", self.test),
            note: self.why,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Comparison>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.json");
        fs::write(&file, text).unwrap();
        read(&file)
    }

    #[test]
    fn both_forms_say_the_same() {
        let list = r#"[{"a": "x", "b": "y", "metric": "macro_f1", "difference": 0.1, "ci95": [0.0, 0.2],
                        "p": 0.04, "p_adjusted": 0.08, "test": "welch, Holm"}]"#;
        let compared = r#"{"metric": "macro_f1", "methods": [], "pairs": [{"method": "x", "against": "y",
                           "runs": [3, 3], "difference": 0.1, "interval": [0.0, 0.2], "test": "welch",
                           "p": 0.04, "p_holm": 0.08, "why": null}]}"#;
        assert_eq!(read_text(list).unwrap(), read_text(compared).unwrap());
        assert_eq!(read_text(list).unwrap()[0].p_adjusted, Some(0.08));
    }

    #[test]
    fn what_is_no_comparison_is_refused() {
        for text in ["", "3", "{}", r#"[{"a": "x"}]"#] {
            assert_eq!(read_text(text).unwrap_err().code, "E0721", "{text}");
        }
    }
}
