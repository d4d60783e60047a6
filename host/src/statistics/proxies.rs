//! Structures with their proxies and trained results, gathered from runs.

use std::collections::{BTreeMap, BTreeSet};

use nashost_plugin_api::{
    component::Kind,
    metric::{Candidate, Score, ScoreContext},
    seed::derive_seed,
};
use nashost_plugin_torch::GradGuard;
use nashost_stats::proxy::Structures;
use serde_json::json;

use super::runs::metric_of;
use crate::{
    error::{Error, Exit, Result},
    plugin::Registry,
    run::{RunDir, events::PortableArchitecture, state::State},
};

/// Asks for every architecture metric that can be loaded.
const ALL: &str = "all";

/// Scores the structures that were trained by the architecture metrics `names`, or by every one if
/// `names` has `all`, with the metrics' own settings. The scores go into the states as if the runs had
/// recorded them. A structure has the same score in every run.
///
/// Answers what metrics failed and why, for those that were asked for by `all` alone.
///
/// # Errors
///
/// Fails if a metric that is named cannot be loaded, or fails.
pub fn score_trained(
    runs: &mut [(RunDir, State)],
    names: &[String],
    registry: &Registry,
    device: &str,
    seed: u64,
) -> Result<Vec<String>> {
    let _grad = GradGuard::save();
    let every = if names.iter().any(|name| name == ALL) {
        registry.ids(Kind::ArchitectureMetric)
    } else {
        Vec::new()
    };
    let named = names.iter().filter(|name| *name != ALL);
    let mut failures = Vec::new();
    for id in named.chain(every.iter().filter(|id| !names.contains(id))) {
        match score_by(runs, id, registry, device, seed) {
            Err(error) if !names.contains(id) => failures.push(format!("{id}: {}", error.message)),
            other => other?,
        }
    }
    Ok(failures)
}

fn score_by(
    runs: &mut [(RunDir, State)],
    id: &str,
    registry: &Registry,
    device: &str,
    seed: u64,
) -> Result<()> {
    let metric = registry.architecture_metric(id, &json!({}))?;
    let mut known: BTreeMap<String, Score> = BTreeMap::new();
    for (_, state) in runs {
        let trained: BTreeSet<&String> = state.trials.values().map(|trial| &trial.architecture).collect();
        let wanted = state.architectures.values_mut().filter(|structure| trained.contains(&structure.id));
        for structure in wanted {
            let score = match known.get(&structure.id) {
                Some(score) => score.clone(),
                None => {
                    let context = ScoreContext { geometry: structure.geometry, device: device.to_owned() };
                    metric.score(&[candidate(structure, seed)], &context)?.remove(0)
                }
            };
            known.insert(structure.id.clone(), score.clone());
            structure.scores.insert(id.to_owned(), score);
        }
    }
    Ok(())
}

fn candidate(structure: &PortableArchitecture, seed: u64) -> Candidate {
    Candidate {
        spec: structure.spec.clone(),
        // As in a search: metrics judge what is used after training.
        graph: structure.graph.without_auxiliary(),
        counters: structure.counters.clone(),
        seed: derive_seed(seed, &format!("score/{}", structure.id)),
    }
}

/// Sizes, with which every proxy is correlated besides; they come from the structures themselves.
const SIZES: [&str; 2] = ["params", "macs"];

/// What is known of one structure.
#[derive(Default)]
struct Known {
    trained: Vec<f64>,
    proxies: BTreeMap<String, Option<f64>>,
    sizes: [f64; SIZES.len()],
}

/// Gathers the structures that were trained, by their id: the mean of the test metric over trials, the
/// proxies, and `params` and `macs`. Answers the metric, too.
///
/// # Errors
///
/// E0903 if no trial has the metric, or the runs have other images: how hard those are to tell apart would
/// count as what a structure is worth.
pub fn structures(runs: &[(RunDir, State)], wanted: Option<&str>) -> Result<(String, Structures)> {
    let mut sets: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for (run, state) in runs {
        if let Some(data) = &state.data {
            sets.insert(&data.fingerprint, (&data.dataset.id, run.short_id()));
        }
    }
    if sets.len() > 1 {
        let named: Vec<String> =
            sets.values().map(|(dataset, run)| format!("`{dataset}` of run {run}")).collect();
        let message = format!("the runs have {} sets of images: {}", sets.len(), named.join(", "));
        return Err(Error::new(Exit::Usage, "E0903", message).help("name the runs of one of them at a time"));
    }
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
    let is_size = |name: &&String| SIZES.contains(&name.as_str());
    let names: BTreeSet<&String> =
        known.values().flat_map(|known| known.proxies.keys()).filter(|name| !is_size(name)).collect();
    let proxies = names.iter().map(|name| {
        let values = known.values().map(|known| known.proxies.get(*name).copied().flatten());
        ((*name).clone(), values.collect::<Vec<_>>())
    });
    let size = |index: usize| known.values().map(|known| known.sizes[index]).collect::<Vec<_>>();
    Structures {
        proxies: proxies.collect(),
        sizes: SIZES.iter().enumerate().map(|(index, name)| ((*name).to_owned(), size(index))).collect(),
        trained: known
            .values()
            .map(|known| known.trained.iter().sum::<f64>() / known.trained.len() as f64)
            .collect(),
    }
}
