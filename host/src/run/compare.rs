//! Whether two runs came out the same.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    dir::RunDir,
    events::{self, Candidate},
    state::TrialState,
    tables,
};
use crate::{config::flatten, error::Result};

/// Fields that say how long something took.
const CLOCKS: [&str; 3] = ["seconds", "train_seconds", "val_seconds"];

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// What: `trials/T0001/epochs/3/val_loss`.
    pub what: String,
    /// Its value in the first run; null if it has none.
    pub first: Value,
    /// Its value in the second run; null if it has none.
    pub second: Value,
}

/// Lists everything in which two runs differ, but for names and times.
///
/// # Errors
///
/// Fails if the events of a run are damaged or contradict each other.
pub fn differences(first: &RunDir, second: &RunDir) -> Result<Vec<Difference>> {
    let (first, second) = (leaves(first)?, leaves(second)?);
    let keys: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    Ok(keys
        .into_iter()
        .filter(|key| first.get(*key) != second.get(*key))
        .map(|key| Difference {
            what: key.trim_start_matches('/').to_owned(),
            first: first.get(key).cloned().unwrap_or_default(),
            second: second.get(key).cloned().unwrap_or_default(),
        })
        .collect())
}

fn leaves(run: &RunDir) -> Result<BTreeMap<String, Value>> {
    let state = tables::read(run)?;
    let mut candidates = BTreeMap::new();
    for candidate in events::candidates(&run.file(events::FILE))? {
        let Candidate { id, spec, value, spread, .. } = candidate?;
        // As text: a structure differs as a whole.
        let spec = spec.to_string();
        candidates.insert(id.to_string(), json!({"spec": spec, "value": value, "spread": spread}));
    }
    let result = state.search.as_ref().and_then(|search| search.finished.as_ref()).map(|(result, _)| result);
    let trials: BTreeMap<String, Value> =
        state.trials.values().map(|trial| (trial.request.name(), of_trial(trial))).collect();
    let mut content = json!({
        "data": state.data.as_ref().map(|data| &data.fingerprint),
        "split": state.split.as_ref().map(|split| &split.hash),
        "search": {"candidates": candidates, "result": result},
        "baselines": state.baselines.iter().map(|b| (b.name.clone(), b)).collect::<BTreeMap<_, _>>(),
        "trials": trials,
    });
    drop_clocks(&mut content);
    Ok(flatten(&content).into_iter().collect())
}

fn of_trial(trial: &TrialState) -> Value {
    json!({
        "architecture": trial.architecture,
        "seed": trial.request.seed,
        "threads": trial.request.threads,
        "state": trial.phase(),
        "epochs": trial.epochs,
        "checkpoints": trial.checkpoints,
        "test": trial.test(),
    })
}

fn drop_clocks(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !CLOCKS.contains(&name.as_str()));
            fields.values_mut().for_each(drop_clocks);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_clocks),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::run::{
        events::{EventLog, RunEvent},
        testing,
        trial::TrialEvent,
    };

    fn run(out: &Path, change: impl Fn(&mut RunEvent)) -> RunDir {
        let mut events = testing::run();
        events.iter_mut().for_each(change);
        let dir = RunDir::create(out, "neck").unwrap().dir().clone();
        EventLog::create(&dir.file(events::FILE)).unwrap().append(events).unwrap();
        dir
    }

    #[test]
    fn times_do_not_count_and_everything_else_does() {
        let out = tempfile::tempdir().unwrap();
        let state = |change: fn(&mut RunEvent)| run(out.path(), change);
        let first = state(|_| {});
        let slower = state(|event| {
            if let RunEvent::Trial { report: TrialEvent::Epoch(epoch), .. } = event {
                epoch.train_seconds += 1.0;
            }
            if let RunEvent::Candidate(candidate) = event {
                candidate.seconds += 1.0;
            }
        });
        assert_eq!(differences(&first, &slower).unwrap(), []);
        let other = state(|event| {
            if let RunEvent::Trial { trial: 1, report: TrialEvent::Epoch(epoch), .. } = event
                && epoch.epoch == 2
            {
                epoch.val_loss += f64::EPSILON;
            }
        });
        let found = differences(&first, &other).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].what, "trials/T0001/epochs/2/val_loss");
        assert_ne!(found[0].first, found[0].second);
        let searched = state(|event| {
            if let RunEvent::Candidate(candidate) = event
                && candidate.id == 1
            {
                candidate.value = Some(2.75);
            }
        });
        let found = differences(&first, &searched).unwrap();
        assert_eq!(found.iter().map(|d| d.what.as_str()).collect::<Vec<_>>(), ["search/candidates/1/value"]);
    }
}
