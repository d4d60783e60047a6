//! `search.csv`: one row per candidate.

use std::collections::BTreeSet;

use nashost_plugin_api::metric::Direction;

use super::{super::state::State, Table, table::Cell};

pub(super) fn table(state: &State) -> Table {
    let candidates = state.search.as_ref().map_or(&[][..], |search| &search.candidates);
    let costs: BTreeSet<_> = candidates.iter().flat_map(|c| c.costs.keys()).collect();
    let fixed =
        ["run_id", "candidate", "origin", "value", "spread", "best_so_far", "seconds", "rejected_by", "why"];
    let columns = fixed.map(str::to_owned).into_iter().chain(costs.iter().map(|name| format!("cost.{name}")));
    let mut table = Table::new(columns.chain(["spec".to_owned()]));
    let direction = state.search.as_ref().map(|search| search.started.direction);
    let mut best: Option<f64> = None;
    for candidate in candidates {
        best = better(direction, best, candidate.value);
        let mut cells: Vec<(String, Cell)> = [
            ("run_id", state.run_id().into()),
            ("candidate", candidate.id.into()),
            ("origin", (&*candidate.origin).into()),
            ("value", candidate.value.into()),
            ("spread", candidate.spread.into()),
            ("best_so_far", best.into()),
            ("seconds", candidate.seconds.into()),
            ("rejected_by", candidate.rejected.as_deref().into()),
            ("why", candidate.why.as_deref().into()),
            ("spec", (&*candidate.spec).into()),
        ]
        .map(|(name, cell)| (name.to_owned(), cell))
        .into();
        cells.extend(candidate.costs.iter().map(|(name, cost)| (format!("cost.{name}"), (*cost).into())));
        table.push(cells);
    }
    table
}

/// The better of two values, as far as there are any.
fn better(direction: Option<Direction>, a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) if direction == Some(Direction::Lower) => Some(a.min(b)),
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}
