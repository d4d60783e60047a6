//! `search.csv`: one row per candidate, written as they are read.

use std::io::{self, Write};

use super::{
    super::{atomic, dir::RunDir, events, state::State, state::better},
    table::Cell,
};
use crate::error::Result;

/// Name of the table in the run directory.
const FILE: &str = "search.csv";
/// Columns that every search has, but for the last.
const FIXED: [&str; 9] =
    ["run_id", "candidate", "origin", "value", "spread", "best_so_far", "seconds", "rejected_by", "why"];

/// Writes the table of `run`, whose events add up to `state`.
pub(super) fn write(run: &RunDir, state: &State) -> Result<()> {
    atomic::write_with(&run.file(FILE), |file| fill(file, run, state))
}

fn fill(file: &mut dyn Write, run: &RunDir, state: &State) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(file);
    let costs: Vec<&String> = state.search.iter().flat_map(|search| &search.costs).collect();
    let cost_columns = costs.iter().map(|name| format!("cost.{name}"));
    let fixed = FIXED.map(str::to_owned).into_iter();
    csv.write_record(fixed.chain(cost_columns).chain(["spec".to_owned()]))?;
    let Some(search) = &state.search else { return csv.flush() };
    let mut best: Option<f64> = None;
    for candidate in events::candidates(&run.file(events::FILE)).map_err(io::Error::other)? {
        let candidate = candidate.map_err(io::Error::other)?;
        best = better(search.started.direction, best, candidate.value);
        let cells: [Cell; FIXED.len()] = [
            state.run_id().into(),
            candidate.id.into(),
            candidate.origin.into(),
            candidate.value.into(),
            candidate.spread.into(),
            best.into(),
            candidate.seconds.into(),
            candidate.rejected.into(),
            candidate.why.into(),
        ];
        let costs = costs.iter().map(|name| Cell::from(candidate.costs.get(*name).copied()));
        let spec = Cell::from(candidate.spec.to_string());
        csv.write_record(cells.into_iter().chain(costs).chain([spec]).map(Cell::into_text))?;
    }
    csv.flush()
}
