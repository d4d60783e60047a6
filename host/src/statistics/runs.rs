//! Results of trials, gathered from several runs.

use std::collections::{BTreeMap, BTreeSet};

use nashost_plugin_api::metric::Direction;
use nashost_stats::comparison::Sample;
use serde::Serialize;

use crate::{
    config::suggest,
    error::{Error, Exit, Result},
    run::{RunDir, state::State, summary::HEADLINE, tables, trial::TestReport},
};

/// What counts as one method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// The method, over all runs.
    Method,
    /// Each method of each run.
    Run,
}

/// A trivial predictor of one of the runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trivial {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
}

/// A trial with a test result.
#[derive(Debug, Clone)]
pub struct Done<'a> {
    /// Method, as [`Label`] says.
    pub method: String,
    /// Index of its run.
    pub run: usize,
    /// Its master seed.
    pub seed: u64,
    /// The result.
    pub test: &'a TestReport,
}

/// Results of all trials of some runs.
#[derive(Debug, Clone)]
pub struct Collected<'a> {
    /// The test metric.
    pub metric: String,
    /// Whether greater values are better.
    pub higher_is_better: bool,
    /// One per method, in the order of the first trials.
    pub samples: Vec<Sample>,
    /// Trivial predictors of the first run that has them.
    pub trivial: Vec<Trivial>,
    /// The trials behind the samples.
    pub trials: Vec<Done<'a>>,
    /// What readers must know.
    pub notes: Vec<String>,
}

/// Finds and reads runs, each once.
///
/// # Errors
///
/// Fails if there is no such run, or its events are damaged.
pub fn read_all(names: &[String], out: &std::path::Path) -> Result<Vec<(RunDir, State)>> {
    let mut runs: Vec<(RunDir, State)> = Vec::new();
    for name in names {
        let dir = RunDir::open(name, out)?;
        if runs.iter().all(|(known, _)| known.path() != dir.path()) {
            let state = tables::read(&dir)?;
            runs.push((dir, state));
        }
    }
    Ok(runs)
}

/// Returns the metric to compare by: the one that is `wanted`, or the first headline metric there is.
///
/// # Errors
///
/// E0903 if no trial has it.
pub fn metric_of(runs: &[(RunDir, State)], wanted: Option<&str>) -> Result<String> {
    let reports = runs.iter().flat_map(|(_, state)| state.trials.values()).filter_map(|trial| trial.test());
    let known: BTreeSet<&str> =
        reports.flat_map(|test| test.test.overall.keys()).map(String::as_str).collect();
    let wanted = wanted.map(|name| name.strip_prefix("test.").unwrap_or(name));
    if known.is_empty() {
        let message = "no trial of these runs has a test result";
        return Err(Error::new(Exit::Usage, "E0903", message).help("`nashost show RUN` tells why"));
    }
    let found = match wanted {
        Some(name) => known.get(name),
        None => HEADLINE.iter().find_map(|name| known.get(name)).or_else(|| known.first()),
    };
    found.map(|name| (*name).to_owned()).ok_or_else(|| {
        let name = wanted.unwrap_or_default();
        let error = Error::new(Exit::Usage, "E0903", format!("no trial has a test metric `{name}`"));
        error.help(match suggest::nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        })
    })
}

/// Gathers the results of `runs` by method.
///
/// Runs of different methods belong together if they have the same seed and the same split.
///
/// # Errors
///
/// E0903 if the runs have different labels, or no trial has the metric.
pub fn collect<'a>(runs: &'a [(RunDir, State)], wanted: Option<&str>, label: Label) -> Result<Collected<'a>> {
    let metric = metric_of(runs, wanted)?;
    same_labels(runs)?;
    let splits: Vec<Option<&str>> =
        runs.iter().map(|(_, state)| state.split.as_ref().map(|split| split.hash.as_str())).collect();
    let mut notes = Vec::new();
    if splits.iter().collect::<BTreeSet<_>>().len() > 1 {
        notes.push(
            "the runs have different splits; only trials with the same split and seed are matched".to_owned(),
        );
    }
    let (mut samples, mut trials): (Vec<Sample>, Vec<Done<'a>>) = (Vec::new(), Vec::new());
    let mut without: BTreeMap<String, usize> = BTreeMap::new();
    for (index, (dir, state)) in runs.iter().enumerate() {
        for trial in state.trials.values() {
            let method = match label {
                Label::Method => trial.request.method.clone(),
                Label::Run => format!("{}/{}", dir.short_id(), trial.request.method),
            };
            let value = trial.test().and_then(|test| Some((test, test.test.overall.get(&metric)?.value?)));
            let Some((test, value)) = value else {
                *without.entry(method).or_default() += 1;
                continue;
            };
            let key = format!("{}/{}", splits[index].unwrap_or_default(), trial.request.seed);
            match samples.iter_mut().find(|sample| sample.method == method) {
                Some(sample) => sample.results.push((Some(key), value)),
                None => {
                    samples.push(Sample { method: method.clone(), results: vec![(Some(key), value)] });
                }
            }
            trials.push(Done { method, run: index, seed: trial.request.seed, test });
        }
    }
    notes
        .extend(without.iter().map(|(method, trials)| format!("{method}: {trials} trials have no {metric}")));
    let infos = runs.iter().filter_map(|(_, state)| state.started.as_ref());
    let direction = infos
        .flat_map(|(_, started)| &started.metrics)
        .find(|info| info.name == metric && !info.per_label)
        .map_or(Direction::Higher, |info| info.direction);
    Ok(Collected {
        higher_is_better: direction == Direction::Higher,
        trivial: trivial(runs, &metric),
        metric,
        samples,
        trials,
        notes,
    })
}

fn trivial(runs: &[(RunDir, State)], metric: &str) -> Vec<Trivial> {
    let of = |state: &State| -> Vec<Trivial> {
        let values = state.baselines.iter().filter_map(|baseline| {
            let value = baseline.test.overall.get(metric)?.value?;
            Some(Trivial { name: baseline.name.clone(), value })
        });
        values.collect()
    };
    runs.iter().map(|(_, state)| of(state)).find(|found| !found.is_empty()).unwrap_or_default()
}

fn same_labels(runs: &[(RunDir, State)]) -> Result<()> {
    let mut named = runs.iter().filter(|(_, state)| state.data.is_some());
    let Some((first, state)) = named.next() else { return Ok(()) };
    match named.find(|(_, other)| other.labels() != state.labels()) {
        None => Ok(()),
        Some((other, _)) => {
            let message = format!("runs {} and {} have different labels", first.short_id(), other.short_id());
            Err(Error::new(Exit::Usage, "E0903", message).help("compare runs of the same data"))
        }
    }
}
