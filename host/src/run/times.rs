//! `times.json`: where the time of a run went.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::State;

/// Name of the file in the run directory.
pub const TIMES: &str = "times.json";

/// Where the time of a run went, in seconds. Apart from the summary, which is the same each time a run
/// is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// Version of this format; 1.
    pub schema_version: u32,
    /// Processes that wrote the run: 1, and 1 more each time it was taken up.
    pub sessions: u64,
    /// From the first to the last event of each session, all together.
    pub total_s: f64,
    /// Reading, checking and decoding images.
    pub data_s: f64,
    /// The search.
    pub search_s: f64,
    /// Trainings: steps. Side by side they add up to more than the clock shows.
    pub train_s: f64,
    /// Trainings: validation after each epoch.
    pub val_s: f64,
    /// Trainings: everything else, such as starting processes, checkpoints, evaluation on the test
    /// part, and work that was lost with a process.
    pub other_s: f64,
    /// Hours that trials occupied GPUs, all attempts together.
    pub gpu_h: f64,
    /// Steps of training by method.
    pub train_s_by_method: BTreeMap<String, f64>,
}

impl Times {
    /// Sums `state` up.
    pub fn of(state: &State) -> Self {
        let trials = || state.trials.values();
        let train_s = trials().map(|trial| trial.train_seconds()).sum();
        let val_s = trials().flat_map(|trial| trial.epochs.values()).map(|epoch| epoch.val_seconds).sum();
        let busy: f64 = trials().map(|trial| trial.seconds).sum();
        let mut train_s_by_method = BTreeMap::new();
        for trial in trials() {
            *train_s_by_method.entry(trial.request.method.clone()).or_default() += trial.train_seconds();
        }
        let finished = state.search.as_ref().and_then(|search| search.finished.as_ref());
        Self {
            schema_version: 1,
            sessions: state.sessions.len() as u64,
            total_s: state.seconds(),
            data_s: state.data.as_ref().map_or(0.0, |data| data.seconds),
            search_s: finished.map_or(0.0, |(_, seconds)| *seconds),
            train_s,
            val_s,
            other_s: (busy - train_s - val_s).max(0.0),
            gpu_h: state.gpu_seconds() / 3600.0,
            train_s_by_method,
        }
    }

    /// Says the same in one line.
    pub fn text(&self) -> String {
        let sessions =
            if self.sessions > 1 { format!(" in {} sessions", self.sessions) } else { String::new() };
        format!(
            "time: {:.0} s{sessions}; data {:.0} s, search {:.0} s; trials: steps {:.0} s, validation {:.0} s, \
             other {:.0} s",
            self.total_s, self.data_s, self.search_s, self.train_s, self.val_s, self.other_s
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing;

    #[test]
    fn the_parts_come_from_the_events() {
        let records: Vec<_> =
            testing::run().into_iter().zip(1..).map(|(event, seq)| testing::record(seq, event)).collect();
        let times = Times::of(&State::fold(&records).unwrap());
        assert_eq!((times.sessions, times.train_s, times.val_s), (1, 3.0, 1.0));
        // Records are 1.5 s apart.
        assert_eq!(times.total_s, 1.5 * (records.len() - 1) as f64);
        assert!(times.other_s > 0.0 && times.total_s > times.train_s + times.other_s, "{times:?}");
        assert_eq!(times.train_s_by_method["zennas"], 3.0);
        assert!(times.text().contains("steps 3 s, validation 1 s"), "{}", times.text());
    }
}
