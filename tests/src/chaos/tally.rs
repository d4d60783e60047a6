//! What was done, and what it did.

use std::{collections::BTreeMap, fmt::Write as _};

/// Counts of blows, and what went wrong.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Drivers that were killed.
    pub drivers: u32,
    /// Workers that were killed.
    pub workers: u32,
    /// Faults by kind. Those that kill are counted above, too.
    pub faults: BTreeMap<String, u32>,
    /// Runs that stopped by themselves after a fault, by the error's code.
    pub stops: BTreeMap<String, u32>,
    /// How often a run was taken up.
    pub resumes: u32,
    /// How often a run was started anew, because it was killed before its record began.
    pub anew: u32,
    /// Runs that were made to their end.
    pub rounds: u32,
    /// How long everything took.
    pub seconds: f64,
    /// What must not have happened.
    pub problems: Vec<String>,
}

impl Tally {
    /// Processes that were killed.
    pub fn kills(&self) -> u32 {
        self.drivers + self.workers
    }

    /// Everything so far in one line.
    pub fn line(&self) -> String {
        format!(
            "{} drivers and {} workers killed, {} faults, {} resumes, {} problems",
            self.drivers,
            self.workers,
            self.faults.values().sum::<u32>(),
            self.resumes,
            self.problems.len()
        )
    }

    /// The counts as a Markdown table.
    pub fn table(&self) -> String {
        let mut table = "| what | how often |\n|---|---:|\n".to_owned();
        let mut row = |what: &str, count: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "| {what} | {count} |");
        };
        row("drivers killed", &self.drivers);
        row("workers killed", &self.workers);
        for (kind, count) in &self.faults {
            row(&format!("fault: {kind}"), count);
        }
        for (code, count) in &self.stops {
            row(&format!("stopped by a fault with {code}"), count);
        }
        row("resumes", &self.resumes);
        row("started anew (killed before the record began)", &self.anew);
        row("runs made to their end", &self.rounds);
        row("wall time", &format!("{:.0} s", self.seconds));
        row("problems", &self.problems.len());
        table
    }
}
