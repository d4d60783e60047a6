//! Times Zen-Scores and steps of the search, through the plugins.

mod bench;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, ensure};
use bench::{Bench, Moment, Times};
use clap::Parser;
use nashost::{
    plugin::Registry,
    run::trial::Control,
    search::{Budget, SearchSetup, Space, search},
    worker::{FromWorker, SearchTask},
};
use nashost_plugin_api::{architecture::Geometry, metric::Direction, strategy::SearchResult};
use serde::Deserialize;
use serde_json::json;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    bench: Bench,
    /// What to score, one JSON object a line.
    #[arg(long)]
    structures: PathBuf,
}

/// A structure to score, or to search from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// PlainNet string.
    structure: String,
    classes: usize,
    resolution: usize,
    batch: usize,
    /// Settings of our score, where it gets the precision of the official one at less cost.
    ours: Option<serde_json::Value>,
    search: Option<Search>,
}

/// The settings of a search, as the official code has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    /// Rejected ones included.
    steps: usize,
    params: f64,
    layers: f64,
    population: usize,
}

fn main() -> anyhow::Result<()> {
    let Options { bench, structures } = Options::parse();
    let registry = bench.start()?;
    let text = fs::read_to_string(&structures).with_context(|| format!("read {}", structures.display()))?;
    for line in text.lines() {
        let case: Case = serde_json::from_str(line).with_context(|| format!("read the case `{line}`"))?;
        match &case.search {
            None => time_score(&bench, &registry, &case)?,
            Some(search) => time_search(&bench, &registry, &case, search)?,
        }
    }
    Ok(())
}

/// Times what a search does with a candidate: build its network, draw its weights, two forward passes.
fn time_score(bench: &Bench, registry: &Registry, case: &Case) -> anyhow::Result<()> {
    let architecture = registry.architecture("superres", &json!({ "initial": case.structure }))?;
    let (name, config) = match &case.ours {
        Some(ours) => (format!("equal precision, {}", case.name), ours.clone()),
        None => (format!("score {}", case.name), json!({ "batch": case.batch })),
    };
    let metric = registry.architecture_metric("zen-score", &config)?;
    let space = Space::new(&architecture, case.geometry(), Vec::new(), Direction::Higher, "cpu", 0)?;
    let (spec, context) = (architecture.initial()?, space.score_context());
    let mut seed = 0;
    bench.measure(&name, 1, || {
        seed += 1;
        let scores = metric.score(&[space.candidate(&spec, seed)?], &context)?;
        ensure!(scores[0].value.is_some(), "no score: {:?}", scores[0].why);
        Ok(())
    })
}

/// Times the official loop: one structure at a time, duplicates scored again, no final scores.
fn time_search(bench: &Bench, registry: &Registry, case: &Case, settings: &Search) -> anyhow::Result<()> {
    let architecture = registry.architecture("superres", &json!({ "initial": case.structure }))?;
    let score = case.ours.clone().unwrap_or_else(|| json!({ "batch": case.batch }));
    let metric = registry.architecture_metric("zen-score", &score)?;
    let official = json!({
        "score": "monte-carlo",
        "population": settings.population,
        "iterations": settings.steps,
        "lag": 1,
        "duplicates": "score",
        "rescore": 0,
    });
    let mut times = Times::default();
    for seed in 0..bench.repeats as u64 {
        let begin = Moment::now();
        let mut strategy = registry.strategy("zennas", &official)?;
        let budgets = [("official.params", settings.params), ("official.layers", settings.layers)];
        let budgets = budgets.map(|(kind, max)| Budget { kind: kind.to_owned(), max, metric: None });
        let space =
            Space::new(&architecture, case.geometry(), budgets.into(), Direction::Higher, "cpu", seed)?;
        let setup = SearchSetup { strategy: &mut strategy, space: &space, metric: &metric, jobs: 1 };
        let mut result = SearchResult::default();
        search(setup, SearchTask::default(), &mut |message| {
            if let FromWorker::SearchDone { result: found, .. } = message {
                result = found;
            }
            Control::Continue
        })?;
        times.add(begin, settings.steps);
        ensure!(result.steps == settings.steps as u64, "{} steps were made", result.steps);
    }
    bench.report(&format!("search step, {}", case.name), "ours", &times)
}

impl Case {
    fn geometry(&self) -> Geometry {
        Geometry { input: [3, self.resolution, self.resolution], outputs: self.classes }
    }
}
