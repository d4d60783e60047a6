//! `archs/T0001.json`: the structure of each trial, whole enough to be used elsewhere.

use super::super::{atomic, dir::RunDir, state::State};
use crate::error::Result;

pub(super) fn write(run: &RunDir, state: &State) -> Result<()> {
    for trial in state.trials.values() {
        if let Some(architecture) = state.architectures.get(&trial.architecture) {
            atomic::write_json(&run.file(file(&trial.request.name())), architecture)?;
        }
    }
    Ok(())
}

/// Name of the file of the trial `name`, relative to the run directory.
pub(in crate::run) fn file(name: &str) -> String {
    format!("archs/{name}.json")
}
