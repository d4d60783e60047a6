//! `epochs.csv`: one row per trial, epoch, part and label; rows without a label are about all of
//! them. The rows of the test part belong to the epoch of the checkpoint that was evaluated.

use std::collections::BTreeSet;

use nashost_plugin_api::{dataset::Part, metric::MetricReport};

use super::{
    super::state::{State, TrialState},
    Table,
    table::Cell,
};

const FIXED: [&str; 10] =
    ["run_id", "trial", "attempt", "epoch", "split", "label", "loss", "lr", "seconds", "threshold"];

pub(super) fn table(state: &State) -> Table {
    let names: BTreeSet<String> = state
        .trials
        .values()
        .flat_map(|trial| {
            trial.epochs.values().map(|epoch| &epoch.val).chain(trial.test().map(|test| &test.test))
        })
        .flat_map(|report| report.overall.keys().chain(report.per_label.keys()))
        .map(|name| column(name))
        .collect();
    let columns = FIXED.iter().map(|name| (*name).to_owned()).chain(["support".to_owned()]).chain(names);
    let mut rows = Rows { state, table: Table::new(columns) };
    for trial in state.trials.values() {
        rows.trial(trial);
    }
    rows.table
}

/// Column of a metric; a metric that is called like another column steps aside.
fn column(metric: &str) -> String {
    if metric == "support" || FIXED.contains(&metric) {
        format!("metric.{metric}")
    } else {
        metric.to_owned()
    }
}

struct Rows<'a> {
    state: &'a State,
    table: Table,
}

impl Rows<'_> {
    fn trial(&mut self, trial: &TrialState) {
        for (number, epoch) in &trial.epochs {
            self.push(
                trial,
                *number,
                Part::Train,
                None,
                None,
                vec![
                    ("loss", epoch.train_loss.into()),
                    ("lr", epoch.lr.into()),
                    ("seconds", epoch.train_seconds.into()),
                ],
            );
            self.report(
                trial,
                *number,
                Part::Val,
                &epoch.val,
                &[],
                vec![("loss", epoch.val_loss.into()), ("seconds", epoch.val_seconds.into())],
            );
        }
        if let Some(test) = trial.test() {
            self.report(trial, test.checkpoint.epoch, Part::Test, &test.test, &test.thresholds, Vec::new());
        }
    }

    fn report(
        &mut self,
        trial: &TrialState,
        epoch: u32,
        part: Part,
        report: &MetricReport,
        thresholds: &[f64],
        facts: Vec<(&str, Cell)>,
    ) {
        let overall = report.overall.iter().map(|(name, value)| (column(name), value.value.into()));
        self.push(trial, epoch, part, None, Some(overall.collect()), facts);
        for label in 0..self.state.labels().len() {
            let values = report.per_label.iter().filter_map(|(name, values)| {
                values.get(label).map(|value| (column(name), value.value.into()))
            });
            let threshold = thresholds.get(label).copied();
            self.push(
                trial,
                epoch,
                part,
                Some(label),
                Some(values.collect()),
                vec![("threshold", threshold.into())],
            );
        }
    }

    fn push(
        &mut self,
        trial: &TrialState,
        epoch: u32,
        part: Part,
        label: Option<usize>,
        metrics: Option<Vec<(String, Cell)>>,
        facts: Vec<(&str, Cell)>,
    ) {
        let split = match part {
            Part::Train => "train",
            Part::Val => "val",
            Part::Test => "test",
        };
        let support = match label {
            Some(label) => self.state.positives(part, label),
            None => self.state.images(part),
        };
        let mut cells: Vec<(String, Cell)> = [
            ("run_id", trial.request.run_id.as_str().into()),
            ("trial", trial.request.name().into()),
            ("attempt", trial.request.attempt.into()),
            ("epoch", epoch.into()),
            ("split", split.into()),
            ("label", label.map(|label| &self.state.labels()[label]).into()),
            ("support", support.into()),
        ]
        .into_iter()
        .chain(facts)
        .map(|(name, cell)| (name.to_owned(), cell))
        .collect();
        cells.extend(metrics.into_iter().flatten());
        self.table.push(cells);
    }
}
