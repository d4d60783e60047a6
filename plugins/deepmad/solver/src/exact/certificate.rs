//! What a search has proven.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{design::Design, program::Program};

/// A structure with a proven upper bound on what any structure of the program can score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The program: space, objective and budgets as used.
    pub program: Program,
    /// The best structure known.
    pub structure: Design,
    /// Its score.
    pub score: f64,
    /// No structure of the program scores more than this.
    pub upper_bound: f64,
    /// (upper bound − score) / |score|.
    pub gap: f64,
    /// Whether the search is complete: the structure is optimal, up to `gap`.
    pub proven: bool,
    /// What was done.
    pub effort: Effort,
}

/// How much work a search took.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Effort {
    /// Regions of the space that were bounded.
    pub regions: u64,
    /// Relaxations solved.
    pub relaxations: u64,
    /// Depth vectors, or parts of one, that were searched through.
    pub searches: u64,
    /// Partial structures looked at in them.
    pub nodes: u64,
    /// Regions still open.
    pub open: u64,
    /// Seconds of all threads on the processor.
    pub cpu_seconds: f64,
    /// Seconds on the clock, the pauses between resumed parts left out.
    pub wall_seconds: f64,
}

impl Certificate {
    /// Whether two certificates say the same, apart from the time it took.
    pub fn agrees(&self, other: &Self) -> bool {
        let untimed = |certificate: &Self| {
            let effort = Effort { cpu_seconds: 0.0, wall_seconds: 0.0, ..certificate.effort };
            Self { effort, ..certificate.clone() }
        };
        untimed(self) == untimed(other)
    }
}
