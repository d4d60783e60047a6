//! Whether two runs came out the same.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::{State, TrialState};
use crate::config::flatten;

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
pub fn differences(first: &State, second: &State) -> Vec<Difference> {
    let leaves = |state: &State| -> BTreeMap<String, Value> {
        let mut content = content(state);
        drop_clocks(&mut content);
        flatten(&content).into_iter().collect()
    };
    let (first, second) = (leaves(first), leaves(second));
    let keys: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    keys.into_iter()
        .filter(|key| first.get(*key) != second.get(*key))
        .map(|key| Difference {
            what: key.trim_start_matches('/').to_owned(),
            first: first.get(key).cloned().unwrap_or_default(),
            second: second.get(key).cloned().unwrap_or_default(),
        })
        .collect()
}

fn content(state: &State) -> Value {
    let search = state.search.as_ref().map(|search| {
        let rows = search.candidates.iter();
        let candidates: BTreeMap<String, Value> = rows
            .map(|row| {
                (row.id.to_string(), json!({"spec": row.spec, "value": row.value, "spread": row.spread}))
            })
            .collect();
        json!({"candidates": candidates, "result": search.finished.as_ref().map(|(result, _)| result)})
    });
    let trials: BTreeMap<String, Value> =
        state.trials.values().map(|trial| (trial.request.name(), of_trial(trial))).collect();
    json!({
        "data": state.data.as_ref().map(|data| &data.fingerprint),
        "split": state.split.as_ref().map(|split| &split.hash),
        "search": search,
        "baselines": state.baselines.iter().map(|b| (b.name.clone(), b)).collect::<BTreeMap<_, _>>(),
        "trials": trials,
    })
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
    use super::*;
    use crate::run::{events::RunEvent, testing, trial::TrialEvent};

    fn state(change: impl Fn(&mut RunEvent)) -> State {
        let mut events = testing::run();
        events.iter_mut().for_each(change);
        let records: Vec<_> = events.into_iter().zip(1..).map(|(e, seq)| testing::record(seq, e)).collect();
        State::fold(&records).unwrap()
    }

    #[test]
    fn times_do_not_count_and_everything_else_does() {
        let first = state(|_| {});
        let slower = state(|event| {
            if let RunEvent::Trial { report: TrialEvent::Epoch(epoch), .. } = event {
                epoch.train_seconds += 1.0;
            }
            if let RunEvent::Candidate(candidate) = event {
                candidate.seconds += 1.0;
            }
        });
        assert_eq!(differences(&first, &slower), []);
        let other = state(|event| {
            if let RunEvent::Trial { trial: 1, report: TrialEvent::Epoch(epoch), .. } = event
                && epoch.epoch == 2
            {
                epoch.val_loss += f64::EPSILON;
            }
        });
        let found = differences(&first, &other);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].what, "trials/T0001/epochs/2/val_loss");
        assert_ne!(found[0].first, found[0].second);
    }
}
