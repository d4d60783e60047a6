//! `steps.csv` and `one-shot.json`: what a one-shot search did and tells.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    super::{atomic, dir::RunDir, state::State},
    Table,
    table::Cell,
};
use crate::error::Result;

/// Name of the table of steps.
const STEPS: &str = "steps.csv";
/// Name of the file with plan and details, in the strategy's words.
const DETAILS: &str = "one-shot.json";

/// Writes both files; neither, if the search is of another kind.
pub(super) fn write(run: &RunDir, state: &State) -> Result<()> {
    let Some(search) = state.search.as_ref().filter(|search| search.plan.is_some()) else { return Ok(()) };
    atomic::write(&run.file(STEPS), &table(state).to_csv())?;
    let plan = search.plan.as_ref();
    atomic::write_json(
        &run.file(DETAILS),
        &json!({
            "schema_version": 1,
            "run_id": state.run_id(),
            "strategy": search.started.strategy,
            "roles": plan.map(|plan| &plan.roles),
            "plan": plan.map(|plan| &plan.details),
            "details": search.details,
        }),
    )
}

fn table(state: &State) -> Table {
    let steps = state.search.as_ref().map_or(&[][..], |search| &search.steps);
    let names: BTreeSet<&String> = steps.iter().flat_map(|step| step.numbers.keys()).collect();
    let fixed = ["run_id", "step", "phase", "epoch", "seconds"].map(str::to_owned);
    let mut table = Table::new(fixed.into_iter().chain(names.into_iter().cloned()));
    for step in steps {
        let mut cells: Vec<(String, Cell)> = [
            ("run_id", state.run_id().into()),
            ("step", step.step.into()),
            ("phase", step.phase.as_str().into()),
            ("epoch", step.epoch.into()),
            ("seconds", step.seconds.into()),
        ]
        .map(|(name, cell)| (name.to_owned(), cell))
        .into();
        cells.extend(step.numbers.iter().map(|(name, value)| (name.clone(), (*value).into())));
        table.push(cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing;

    #[test]
    fn every_step_and_number_has_its_cell() {
        let records: Vec<_> = testing::one_shot()
            .into_iter()
            .zip(1..)
            .map(|(event, seq)| testing::record(seq, event))
            .collect();
        let state = State::fold(&records).unwrap();
        let csv = String::from_utf8(table(&state).to_csv()).unwrap();
        let mut lines = csv.lines();
        assert_eq!(lines.next(), Some("run_id,step,phase,epoch,seconds,loss"));
        assert_eq!(lines.next(), Some(&*format!("{},1,weights,1,1.5,0.5", testing::RUN_ID)));
        assert_eq!(lines.next(), Some(&*format!("{},2,weights,2,1.5,0.25", testing::RUN_ID)));
        assert_eq!(lines.next(), None);
    }
}
