//! What a check finds, as data and as text.

use std::{collections::BTreeSet, fmt};

use nashost_plugin_api::dataset::Part;
use serde::Serialize;

use super::catalogue::count;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A run refuses the dataset.
    Error,
    /// A run goes on.
    Warning,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and where.
    pub message: String,
}

impl Problem {
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into() }
    }

    pub(super) fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, message: message.into() }
    }
}

/// Targets of one label in one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelCount {
    /// Label.
    pub label: String,
    /// Part; none for images without one.
    pub part: Option<Part>,
    /// Images with the finding.
    pub positive: usize,
    /// Images without it.
    pub negative: usize,
    /// Images where nobody looked.
    pub not_assessed: usize,
}

/// What `nashost data check` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Number of images.
    pub images: usize,
    /// Number of groups (patients).
    pub groups: usize,
    /// Targets by label and part, in that order.
    pub counts: Vec<LabelCount>,
    /// Errors first.
    pub problems: Vec<Problem>,
}

impl CheckReport {
    /// Whether a run would refuse the dataset.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: BTreeSet<_> = self.counts.iter().map(|count| &count.label).collect();
        writeln!(
            f,
            "{}, {}, {}",
            count(self.images, "image"),
            count(labels.len(), "label"),
            count(self.groups, "group")
        )?;
        let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).max(5);
        writeln!(
            f,
            "{:width$}  {:5}  {:>8}  {:>8}  {:>12}",
            "label", "part", "positive", "negative", "not assessed"
        )?;
        for LabelCount { label, part, positive, negative, not_assessed } in &self.counts {
            let part = part.map_or("-", part_name);
            writeln!(f, "{label:width$}  {part:5}  {positive:8}  {negative:8}  {not_assessed:12}")?;
        }
        for Problem { severity, message } in &self.problems {
            let severity = if *severity == Severity::Error { "error" } else { "warning" };
            writeln!(f, "{severity}: {message}")?;
        }
        Ok(())
    }
}

/// Name of a part as users write it.
pub(super) fn part_name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Val => "val",
        Part::Test => "test",
    }
}
