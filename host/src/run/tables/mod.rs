//! The files that are derived from the events of a run.
//!
//! Each is a function of the events, so writing them again gives the same bytes.

mod archs;
mod epochs;
mod one_shot;
mod results;
mod search;
mod table;
mod trials;

use std::collections::BTreeSet;

use nashost_plugin_api::metric::MetricReport;

pub(super) use self::archs::file as arch_file;
pub use self::table::{Cell, Table};
use super::{
    atomic,
    digest::Digest,
    dir::RunDir,
    events::{self, Reader},
    state::State,
    summary::Summary,
    times::{TIMES, Times},
};
use crate::{error::Result, report};

/// Name of the answer in the run directory.
pub const SUMMARY: &str = "summary.json";

/// Writes every table of `run`, whose events add up to `state`.
///
/// # Errors
///
/// Fails if a file cannot be written; each is then whole, old or new.
pub fn write(run: &RunDir, state: &State) -> Result<()> {
    search::write(run, state)?;
    write_small(run, state)
}

/// Writes the derived files that do not grow with the length of a search.
pub(super) fn write_small(run: &RunDir, state: &State) -> Result<()> {
    let tables = [
        ("trials.csv", trials::table(state)),
        ("epochs.csv", epochs::table(state)),
        ("results.csv", results::table(state)),
    ];
    for (name, table) in tables {
        atomic::write(&run.file(name), &table.to_csv())?;
    }
    one_shot::write(run, state)?;
    archs::write(run, state)?;
    Digest::write(run, state)?;
    atomic::write_json(&run.file(TIMES), &Times::of(state))?;
    atomic::write_json(&run.file(SUMMARY), &Summary::of(state))
}

/// Reads the events of `run`, which another process may be writing.
///
/// # Errors
///
/// Fails if the events are damaged or contradict each other.
pub fn read(run: &RunDir) -> Result<State> {
    let mut state = State::default();
    for record in Reader::open(&run.file(events::FILE))? {
        let record = record?;
        state.check(&record.event)?;
        state.apply(&record);
    }
    Ok(state)
}

/// Writes every derived file of `run` again, from its events alone.
///
/// # Errors
///
/// Fails if another process writes the run, its events are damaged, or a file cannot be written.
pub fn rebuild(run: &RunDir) -> Result<()> {
    let _exclusive = run.lock()?;
    let state = read(run)?;
    write(run, &state)?;
    report::write(run, &state)
}

/// Names of the single values of `reports`, sorted.
fn overall_names<'a>(reports: impl IntoIterator<Item = &'a MetricReport>) -> BTreeSet<&'a str> {
    reports.into_iter().flat_map(|report| report.overall.keys()).map(String::as_str).collect()
}

#[cfg(test)]
mod tests;
