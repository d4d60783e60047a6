//! `trials.csv`: one row per trial.

use std::collections::{BTreeMap, BTreeSet};

use nashost_plugin_api::{dataset::Part, metric::MetricReport};
use serde::Serialize;
use serde_json::Value;

use super::{
    super::{
        state::{State, TrialState},
        trial::{ComponentRef, TrialRequest},
    },
    Table, overall_names,
    table::Cell,
};

pub(super) fn table(state: &State) -> Table {
    let trials: Vec<_> = state.trials.values().map(|trial| Row::of(state, trial)).collect();
    let configured: BTreeSet<_> = trials.iter().flat_map(|row| row.config.keys()).collect();
    let scores: BTreeSet<_> =
        state.architectures.values().flat_map(|architecture| architecture.scores.keys()).collect();
    let val = overall_names(trials.iter().filter_map(|row| row.val));
    let test = overall_names(trials.iter().filter_map(|row| row.test));

    let fixed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut columns = fixed(&[
        "run_id",
        "trial",
        "attempt",
        "state",
        "method",
        "plugin_version",
        "arch_id",
        "seed",
        "device",
    ]);
    columns.extend(configured.into_iter().cloned());
    columns.extend(fixed(&["params", "macs"]));
    columns.extend(scores.into_iter().map(|name| format!("score.{name}")));
    columns.extend(fixed(&["epochs_done", "best_epoch"]));
    columns.extend(val.into_iter().map(|name| format!("val.{name}")));
    columns.extend(test.into_iter().map(|name| format!("test.{name}")));
    columns.extend(fixed(&[
        "n_train",
        "n_val",
        "n_test",
        "search_s",
        "train_s",
        "gpu_h",
        "error_code",
        "started_at",
        "ended_at",
    ]));

    let mut table = Table::new(columns);
    for row in trials {
        table.push(row.cells(state));
    }
    table
}

struct Row<'a> {
    trial: &'a TrialState,
    config: BTreeMap<String, Cell>,
    /// Metrics at the evaluated checkpoint.
    val: Option<&'a MetricReport>,
    test: Option<&'a MetricReport>,
}

impl<'a> Row<'a> {
    fn of(state: &State, trial: &'a TrialState) -> Self {
        let test = trial.test();
        let val = test.and_then(|test| trial.epochs.get(&test.checkpoint.epoch)).map(|epoch| &epoch.val);
        Self { trial, config: config(state, &trial.request), val, test: test.map(|test| &test.test) }
    }

    fn cells(self, state: &State) -> Vec<(String, Cell)> {
        let TrialState { request, architecture: id, started, epochs, ended, .. } = self.trial;
        let architecture = state.architectures.get(id);
        let search = state.search.as_ref().filter(|s| s.started.strategy.id == request.method);
        let ended = ended.as_ref().map(|(time, _)| *time);
        let gpu_hours = request
            .device
            .starts_with("cuda")
            .then_some(())
            .and_then(|()| Some(ended?.seconds_since((*started)?) / 3600.0));
        let mut cells: Vec<(String, Cell)> = [
            ("run_id", request.run_id.as_str().into()),
            ("trial", request.name().into()),
            ("attempt", request.attempt.into()),
            ("state", self.trial.phase().into()),
            ("method", (&request.method).into()),
            ("plugin_version", plugin_version(state, &request.method).into()),
            ("arch_id", id.into()),
            ("seed", request.seed.into()),
            ("device", (&request.device).into()),
            ("params", architecture.map(|a| a.params).into()),
            ("macs", architecture.map(|a| a.macs).into()),
            ("epochs_done", (epochs.len() as u64).into()),
            ("best_epoch", self.trial.test().map(|test| test.checkpoint.epoch).into()),
            ("n_train", state.images(Part::Train).into()),
            ("n_val", state.images(Part::Val).into()),
            ("n_test", state.images(Part::Test).into()),
            ("search_s", search.and_then(|s| s.finished.as_ref()).map(|(_, seconds)| *seconds).into()),
            ("train_s", self.trial.train_seconds().into()),
            ("gpu_h", gpu_hours.into()),
            ("error_code", self.trial.failure().map(|f| &f.failure.code).into()),
            ("started_at", (*started).into()),
            ("ended_at", ended.into()),
        ]
        .map(|(name, cell)| (name.to_owned(), cell))
        .into();
        cells.extend(self.config);
        let scores = architecture.into_iter().flat_map(|a| &a.scores);
        cells.extend(scores.map(|(name, score)| (format!("score.{name}"), score.value.into())));
        for (part, report) in [("val", self.val), ("test", self.test)] {
            let values = report.into_iter().flat_map(|report| &report.overall);
            cells.extend(values.map(|(name, value)| (format!("{part}.{name}"), value.value.into())));
        }
        cells
    }
}

/// Version of the plugin that has the component `id`.
fn plugin_version<'a>(state: &'a State, id: &str) -> Option<&'a str> {
    let (_, started) = state.started.as_ref()?;
    started.plugins.iter().find(|p| p.components.iter().any(|c| c == id)).map(|p| p.version.as_str())
}

/// The configuration of a trial under the names that users write, behind `cfg.`.
fn config(state: &State, request: &TrialRequest) -> BTreeMap<String, Cell> {
    let mut cells = BTreeMap::new();
    flatten("cfg.train", &json(&request.train), &mut cells);
    flatten("cfg.eval", &json(&request.eval), &mut cells);
    let search = state.search.as_ref().map(|search| &search.started);
    let components = [
        ("cfg.data", Some(&request.dataset)),
        ("cfg.arch", Some(&request.architecture)),
        ("cfg.search", search.map(|search| &search.strategy)),
        ("cfg.score", search.and_then(|search| search.metric.as_ref())),
    ];
    for (section, component) in components {
        if let Some(ComponentRef { id, config }) = component {
            flatten(section, config, &mut cells);
            cells.insert(format!("{section}.plugin"), id.into());
        }
    }
    cells
}

fn json<T: Serialize>(config: &T) -> Value {
    serde_json::to_value(config).expect("a configuration is plain data")
}

/// Names the leaves of `value`; lists are leaves, and `null` is undefined.
fn flatten(name: &str, value: &Value, cells: &mut BTreeMap<String, Cell>) {
    let cell = match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                flatten(&format!("{name}.{field}"), value, cells);
            }
            return;
        }
        Value::Null => Cell::from(""),
        Value::String(text) => text.into(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => value.to_string().into(),
    };
    cells.insert(name.to_owned(), cell);
}
