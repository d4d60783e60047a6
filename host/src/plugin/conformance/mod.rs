//! `nashost plugin test`: the rules of the contract, tried on a built plugin.
//!
//! The parent (`parent.rs`) judges manifest and handshake, then starts one process per component
//! (`child.rs`), which tries the rules of the author kit
//! ([`nashost_plugin_api::testing`]) and those that only a process can show (`process.rs`). The child
//! writes to a file what it begins and how it ends, so that a crash, a hang and every byte on standard
//! output are told apart and belong to a rule.

mod child;
mod parent;
mod process;
mod settings;

use std::path::PathBuf;

use nashost_plugin_api::{
    component::Kind,
    testing::{Finding, Verdict, rules_of},
};
use serde::{Deserialize, Serialize};

pub use child::{Task, serve};
pub use parent::{Limits, test};

/// Rules for the file as a whole: id and what it demands.
const FILE_RULES: [(&str, &str); 3] = [
    ("manifest", "the manifest can be read, fits this host, and names itself and its components properly"),
    ("abi", "the handshake succeeds in a process of its own"),
    ("components", "the plugin registers what its manifest lists"),
];

/// Rules for every component, before those of its kind.
const FIRST_RULES: [(&str, &str); 1] =
    [("settings", "the schema is valid, its defaults are accepted, and unknown keys are refused")];

/// Rules for every component, after those of its kind.
const LAST_RULES: [(&str, &str); 4] = [
    ("leaks", "memory, threads and open files do not grow with instances that were dropped"),
    ("libtorch", "there is one libtorch in the process, or none"),
    ("cancel", "it comes back when the host wants it to stop"),
    ("stdout", "nothing is written to standard output"),
];

/// Lists the rules for a component of `kind` in their order.
fn rules(kind: Kind) -> impl Iterator<Item = (&'static str, &'static str)> {
    FIRST_RULES.into_iter().chain(rules_of(kind)).chain(LAST_RULES)
}

/// What a child writes, one JSON value per line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// A rule is about to be tried.
    Begins(String),
    /// A rule was tried.
    Ends(Finding),
}

/// A verdict on one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The component; `None` for the file as a whole.
    pub component: Option<String>,
    /// Its kind.
    pub kind: Option<Kind>,
    /// Id of the rule.
    pub rule: String,
    /// What it demands.
    pub demands: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was tried, what is wrong, or why it was not tried.
    pub detail: String,
}

/// All verdicts on a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conformance {
    /// Id of the plugin; empty if its manifest cannot be read.
    pub plugin: String,
    /// Its file.
    pub file: PathBuf,
    /// Whether no rule was broken.
    pub passed: bool,
    /// One for each rule.
    pub judgements: Vec<Judgement>,
}

impl Conformance {
    /// Counts the judgements with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.judgements.iter().filter(|judgement| judgement.verdict == verdict).count()
    }
}
