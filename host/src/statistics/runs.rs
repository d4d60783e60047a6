//! Results of trials, gathered from several runs.

use std::collections::{BTreeMap, BTreeSet};

use nashost_plugin_api::metric::Direction;
use nashost_stats::comparison::Sample;
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    config::suggest,
    error::{Error, Exit, Result},
    run::{RunDir, digest::Digest, summary::HEADLINE},
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
pub struct Done {
    /// Method, as [`Label`] says.
    pub method: String,
    /// Index of its run.
    pub run: usize,
    /// Its number.
    pub trial: u32,
    /// Its master seed.
    pub seed: u64,
}

/// Results of all trials of some runs.
#[derive(Debug, Clone)]
pub struct Collected {
    /// The test metric.
    pub metric: String,
    /// Whether greater values are better.
    pub higher_is_better: bool,
    /// One per method, in the order of the first trials.
    pub samples: Vec<Sample>,
    /// Methods that have trials and no result.
    pub without: Vec<String>,
    /// Trivial predictors of the first run that has them.
    pub trivial: Vec<Trivial>,
    /// The trials behind the samples.
    pub trials: Vec<Done>,
    /// What readers must know.
    pub notes: Vec<String>,
}

/// Finds runs, each once, and reads what `read` reads of them.
///
/// # Errors
///
/// Fails if there is no such run, or as `read` does.
pub fn read_all<T: Send>(
    names: &[String],
    out: &std::path::Path,
    read: impl Fn(&RunDir) -> Result<T> + Sync,
) -> Result<Vec<(RunDir, T)>> {
    let dirs = RunDir::open_all(names, out)?;
    dirs.into_par_iter().map(|dir| read(&dir).map(|found| (dir, found))).collect()
}

/// Returns the metric to compare by: the one that is `wanted`, or the first headline metric among the
/// `known`.
///
/// # Errors
///
/// E0903 if no trial has it.
pub fn metric_of(known: &BTreeSet<&str>, wanted: Option<&str>) -> Result<String> {
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
            None => format!("there are {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
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
pub fn collect(runs: &[(RunDir, Digest)], wanted: Option<&str>, label: Label) -> Result<Collected> {
    let known = runs.iter().flat_map(|(_, run)| &run.metrics).map(String::as_str).collect();
    let metric = metric_of(&known, wanted)?;
    same_labels(runs)?;
    let splits: BTreeSet<Option<&String>> = runs.iter().map(|(_, run)| run.split.as_ref()).collect();
    let mut notes = Vec::new();
    if splits.len() > 1 {
        notes.push(
            "the runs have different splits; only trials with the same split and seed are matched".to_owned(),
        );
    }
    let (mut samples, mut trials): (Vec<Sample>, Vec<Done>) = (Vec::new(), Vec::new());
    let mut without: BTreeMap<String, usize> = BTreeMap::new();
    for (index, (dir, run)) in runs.iter().enumerate() {
        for trial in &run.trials {
            let method = match label {
                Label::Method => trial.method.clone(),
                Label::Run => format!("{}/{}", dir.short_id(), trial.method),
            };
            let Some(value) = run.value(trial, &metric) else {
                *without.entry(method).or_default() += 1;
                continue;
            };
            let key = format!("{}/{}", run.split.as_deref().unwrap_or_default(), trial.seed);
            match samples.iter_mut().find(|sample| sample.method == method) {
                Some(sample) => sample.results.push((Some(key), value)),
                None => {
                    samples.push(Sample { method: method.clone(), results: vec![(Some(key), value)] });
                }
            }
            trials.push(Done { method, run: index, trial: trial.trial, seed: trial.seed });
        }
    }
    notes.extend(samples.iter().filter(|sample| has_twice(sample)).map(|sample| {
        let advice = match label {
            Label::Method => ": name what differs with `method`, or compare with `--by run`",
            Label::Run => "",
        };
        format!(
            "{}: several results have the same split and seed (other settings, repetitions, or structures of one \
             search) and are taken as independent, which they may not be{advice}",
            sample.method
        )
    }));
    notes
        .extend(without.iter().map(|(method, trials)| format!("{method}: {trials} trials have no {metric}")));
    let direction = runs
        .iter()
        .flat_map(|(_, run)| &run.outputs)
        .find(|info| info.name == metric && !info.per_label)
        .map_or(Direction::Higher, |info| info.direction);
    let has_none = |method: &&String| samples.iter().all(|sample| sample.method != **method);
    Ok(Collected {
        without: without.keys().filter(has_none).cloned().collect(),
        higher_is_better: direction == Direction::Higher,
        trivial: trivial(runs, &metric),
        metric,
        samples,
        trials,
        notes,
    })
}

/// Whether two results of a method have the same split and seed: other settings, or a repetition.
fn has_twice(sample: &Sample) -> bool {
    let mut keys = BTreeSet::new();
    !sample.results.iter().all(|(key, _)| keys.insert(key))
}

fn trivial(runs: &[(RunDir, Digest)], metric: &str) -> Vec<Trivial> {
    let of = |run: &Digest| -> Vec<Trivial> {
        let values = run.trivial.iter().filter_map(|(name, values)| {
            Some(Trivial { name: name.clone(), value: (*values.get(metric)?)? })
        });
        values.collect()
    };
    runs.iter().map(|(_, run)| of(run)).find(|found| !found.is_empty()).unwrap_or_default()
}

fn same_labels(runs: &[(RunDir, Digest)]) -> Result<()> {
    let mut named = runs.iter().filter(|(_, run)| run.labels.is_some());
    let Some((first, run)) = named.next() else { return Ok(()) };
    match named.find(|(_, other)| other.labels != run.labels) {
        None => Ok(()),
        Some((other, _)) => {
            let message = format!("runs {} and {} have different labels", first.short_id(), other.short_id());
            Err(Error::new(Exit::Usage, "E0903", message).help("compare runs of the same data"))
        }
    }
}
