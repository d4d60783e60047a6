//! Rules and verdicts.

use serde::{Deserialize, Serialize};

use crate::{abi::foreign::CallError, component::Kind};

/// Every rule of the kit: the kind it is for, its id, and what it demands.
pub const RULES: &[(Kind, &str, &str)] = &[
    (Kind::Strategy, "describe", "`describe` answers the same each time, with a lag of at least 1"),
    (
        Kind::Strategy,
        "proposals",
        "proposals are numbered from 0 without gaps, and no more than were asked for",
    ),
    (Kind::Strategy, "budgets", "every proposal keeps the budgets"),
    (Kind::Strategy, "seed", "the same seed makes the same proposals and the same result"),
    (Kind::Strategy, "lag", "proposals do not depend on how many are asked for at once"),
    (Kind::Strategy, "checkpoint", "a checkpoint and a restore at every step change nothing"),
    (
        Kind::Strategy,
        "undefined",
        "outcomes without a value are survived, and not recommended by a value that nobody told",
    ),
    (
        Kind::Strategy,
        "result",
        "results stand best first in both directions, each structure once, and name proposals that were made",
    ),
    (Kind::Strategy, "nonsense", "unknown outcomes and damaged states are errors, not panics"),
    (Kind::Architecture, "describe", "`describe` and `initial` answer the same each time"),
    (Kind::Architecture, "graphs", "1000 structures are valid graphs for the geometry"),
    (Kind::Architecture, "seed", "the same seed draws the same structure, and another seed another one"),
    (Kind::Architecture, "counters", "`params`, `macs` and `layers` equal the graph's costs"),
    (Kind::Architecture, "threads", "four threads at once get what one thread gets"),
    (Kind::Architecture, "nonsense", "specs of no space and impossible geometries are errors, not panics"),
    (Kind::Dataset, "records", "ids are unique, and every record has one target per label"),
    (Kind::Dataset, "stable", "description, records and stamp are the same each time"),
    (Kind::Dataset, "pixels", "images have the channels that were announced, and masks their image's size"),
    (Kind::Dataset, "threads", "four threads at once read the same pixels as one thread"),
    (Kind::Dataset, "nonsense", "images and labels that do not exist are errors, not panics"),
    (Kind::PredictionMetric, "outputs", "the answers are those that `outputs` lists"),
    (Kind::PredictionMetric, "defined", "every value is finite, or missing with a reason"),
    (Kind::PredictionMetric, "images", "the order of the images changes nothing"),
    (Kind::PredictionMetric, "masked", "scores of targets that nobody assessed change nothing"),
    (Kind::PredictionMetric, "threads", "four threads at once get what one thread gets"),
    (Kind::ArchitectureMetric, "describe", "`describe` answers the same each time"),
    (Kind::ArchitectureMetric, "defined", "every score is finite, or missing with a reason"),
    (Kind::ArchitectureMetric, "seed", "the same candidate and seed have the same score"),
    (Kind::ArchitectureMetric, "neighbours", "a score does not depend on the other candidates of the call"),
    (Kind::ArchitectureMetric, "threads", "four threads at once get what one thread gets"),
    (Kind::ArchitectureMetric, "nonsense", "an unknown device is an error, not a panic"),
];

/// Lists the rules for a kind of component: id and what it demands.
pub fn rules_of(kind: Kind) -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().filter(move |(of, ..)| *of == kind).map(|&(_, id, says)| (id, says))
}

/// How a rule came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was kept.
    Passed,
    /// It was broken.
    Failed,
    /// It could not be tried.
    Skipped,
}

/// A rule and how it came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Id of the rule.
    pub rule: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What was tried, what is wrong, or why it was not tried.
    pub detail: String,
}

/// Why a rule is not passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It was broken.
    Broken(String),
    /// It could not be tried.
    NotTried(String),
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// The answer of a rule: what was tried.
pub type Check = Result<String, Trouble>;

/// Answers that a rule was broken.
pub(super) fn broken<T>(why: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Broken(why.into()))
}

/// What a [`Bench`] tells while it works, so that a crash can be told apart by its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A rule is about to be tried.
    Begins(&'a str),
    /// A rule was tried.
    Ends(&'a Finding),
}

/// Where rules are tried, one after the other.
pub struct Bench<'a> {
    sink: Box<dyn FnMut(Event<'_>) + 'a>,
    findings: Vec<Finding>,
}

impl std::fmt::Debug for Bench<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").field("findings", &self.findings).finish_non_exhaustive()
    }
}

impl Default for Bench<'_> {
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl<'a> Bench<'a> {
    /// Makes a bench that tells `sink` what it does.
    pub fn new(sink: impl FnMut(Event<'_>) + 'a) -> Self {
        Self { sink: Box::new(sink), findings: Vec::new() }
    }

    /// Tries a rule.
    pub fn rule(&mut self, rule: &str, check: impl FnOnce() -> Check) {
        (self.sink)(Event::Begins(rule));
        let (verdict, detail) = match check() {
            Ok(detail) => (Verdict::Passed, detail),
            Err(Trouble::Broken(detail)) => (Verdict::Failed, detail),
            Err(Trouble::NotTried(detail)) => (Verdict::Skipped, detail),
        };
        let finding = Finding { rule: rule.to_owned(), verdict, detail };
        (self.sink)(Event::Ends(&finding));
        self.findings.push(finding);
    }

    /// What came out so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the finding for a rule that was tried.
    pub fn finding(&self, rule: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.rule == rule)
    }

    /// Checks that every rule was kept.
    ///
    /// # Panics
    ///
    /// Panics with the list of those that were not.
    pub fn assert_passed(&self) {
        let line = |f: &Finding| format!("{} ({:?}): {}", f.rule, f.verdict, f.detail);
        let not: Vec<_> = self.findings.iter().filter(|f| f.verdict != Verdict::Passed).map(line).collect();
        assert!(not.is_empty() && !self.findings.is_empty(), "rules that were not kept:\n{}", not.join("\n"));
    }
}

/// Runs `work` on four threads at once and checks that each answers `expected`.
pub(super) fn on_four_threads<T: PartialEq + Send + Sync>(
    expected: &T,
    work: impl Fn() -> Result<T, CallError> + Sync,
) -> Check {
    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(&work)).collect();
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    for answer in answers {
        let Ok(answer) = answer else { return broken("a thread ended in a panic") };
        if answer? != *expected {
            return broken("a thread got another answer than the first one");
        }
    }
    Ok("4 threads".to_owned())
}
