//! Structures with their proxies and trained results, gathered from runs.

use std::collections::{BTreeMap, BTreeSet};

use nashost_stats::proxy::Structures;

use super::runs::metric_of;
use crate::{
    error::Result,
    run::{RunDir, state::State},
};

/// What is known of one structure.
#[derive(Default)]
struct Known {
    trained: Vec<f64>,
    proxies: BTreeMap<String, Option<f64>>,
    sizes: [f64; 2],
}

/// Gathers the structures that were trained, by their id: the mean of the test metric over trials, the
/// proxies, and `params` and `macs`. Answers the metric, too.
///
/// # Errors
///
/// E0903 if no trial has the metric.
pub fn structures(runs: &[(RunDir, State)], wanted: Option<&str>) -> Result<(String, Structures)> {
    let trials = runs.iter().flat_map(|(_, state)| state.trials.values());
    let tests = trials.filter_map(|trial| trial.test());
    let known: BTreeSet<&str> = tests.flat_map(|test| test.test.overall.keys()).map(String::as_str).collect();
    let metric = metric_of(&known, wanted)?;
    let found = structures_by(runs.iter().map(|(_, state)| state), &metric);
    Ok((metric, found))
}

/// Gathers the structures that were trained in the runs of `states`, with the mean of the test metric
/// `metric` over the trials that have it.
pub fn structures_by<'a>(states: impl IntoIterator<Item = &'a State>, metric: &str) -> Structures {
    let mut known: BTreeMap<&str, Known> = BTreeMap::new();
    for state in states {
        for trial in state.trials.values() {
            let value = trial.test().and_then(|test| test.test.overall.get(metric)?.value);
            let Some((value, architecture)) = value.zip(state.architectures.get(&trial.architecture)) else {
                continue;
            };
            let entry = known.entry(&architecture.id).or_default();
            entry.trained.push(value);
            entry.sizes = [architecture.params as f64, architecture.macs as f64];
            let scores = architecture.scores.iter().map(|(name, score)| (name.clone(), score.value));
            entry.proxies.extend(scores);
        }
    }
    let names: BTreeSet<&String> = known.values().flat_map(|known| known.proxies.keys()).collect();
    let proxies = names.iter().map(|name| {
        let values = known.values().map(|known| known.proxies.get(*name).copied().flatten());
        ((*name).clone(), values.collect::<Vec<_>>())
    });
    let size = |index: usize| known.values().map(|known| known.sizes[index]).collect::<Vec<_>>();
    Structures {
        proxies: proxies.collect(),
        sizes: BTreeMap::from([("params".to_owned(), size(0)), ("macs".to_owned(), size(1))]),
        trained: known
            .values()
            .map(|known| known.trained.iter().sum::<f64>() / known.trained.len() as f64)
            .collect(),
    }
}
