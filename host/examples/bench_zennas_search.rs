//! Times the two stages of a search by the analytic Zen-Score, through the plugins, and checks what
//! they find.

mod bench;

use anyhow::ensure;
use bench::{Bench, Moment, Times};
use clap::Parser;
use nashost::{
    plugin::Registry,
    search::{Budget, Space},
};
use nashost_plugin_api::{
    architecture::{Geometry, Spec},
    metric::Direction,
    strategy::{Outcome, Request},
};
use serde_json::json;

/// Steps of the official CIFAR search.
const STEPS: u64 = 480_000;

/// Fresh Monte-Carlo scores of a winner.
const SCORES: u64 = 16;

/// Mean Zen-Score of the published ZenNet-1M in this mode (10 classes, batch 16), and the most that
/// its standard error may hide.
const PUBLISHED: (f64, f64) = (121.3, 0.5);

const GEOMETRY: Geometry = Geometry { input: [3, 32, 32], outputs: 100 };

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    bench: Bench,
}

fn main() -> anyhow::Result<()> {
    let bench = Options::parse().bench;
    let registry = bench.start()?;
    let official = vec![("official.params", 1e6), ("official.layers", 18.0)];
    time_search(&bench, &registry, "official CIFAR-1M", official.clone())?;
    let mut limited = official;
    limited.push(("official.flops", 155e6));
    time_search(&bench, &registry, "official CIFAR-1M, 155 M FLOPs", limited)?;
    time_metric(&bench, &registry)
}

/// Evolves by the analytic score, once, and measures the winner.
fn time_search(
    bench: &Bench,
    registry: &Registry,
    name: &str,
    budgets: Vec<(&str, f64)>,
) -> anyhow::Result<()> {
    let architecture = registry.architecture("superres", &json!({}))?;
    let budgets = budgets.into_iter().map(|(kind, max)| Budget { kind: kind.to_owned(), max, metric: None });
    let space = Space::new(&architecture, GEOMETRY, budgets.collect(), Direction::Higher, "cpu", 1)?;
    let config = json!({"score": "analytic", "iterations": STEPS, "rescore": 1});
    let mut strategy = registry.strategy("zennas", &config)?;
    let begin = Moment::now();
    let requests = strategy.ask(&space, 1)?;
    let mut times = Times::default();
    times.add(begin, 1);
    bench.report(&format!("search {name}, {STEPS} steps"), "ours", &times)?;

    let Request::Score { id, spec, .. } = &requests[0];
    let (mean, error) = measure(registry, &space, spec)?;
    strategy.tell(&[Outcome { id: *id, value: Some(mean), spread: None, why: None }])?;
    let result = strategy.result()?;
    ensure!(result.steps == STEPS, "{} steps were made", result.steps);
    say(&format!(
        "{name}: {} of {STEPS} children were scored; the winner scores {mean:.2} ± {error:.2}, by theory \
         {:.2}: {}",
        STEPS - result.rejected.values().sum::<u64>(),
        result.ranked[0].value,
        architecture.export("plainnet", spec)?
    ));
    let (published, margin) = PUBLISHED;
    ensure!(mean - 2.0 * error > published + 2.0 * margin, "{name}: {mean:.2} ± {error:.2} is no success");
    Ok(())
}

/// Answers the mean of fresh Monte-Carlo scores, and its standard error.
fn measure(registry: &Registry, space: &Space<'_>, spec: &Spec) -> anyhow::Result<(f64, f64)> {
    let metric = registry.architecture_metric("zen-score", &json!({ "repeats": SCORES }))?;
    let score = metric.score(&[space.candidate(spec, 1)?], &space.score_context())?.remove(0);
    let (Some(mean), Some(spread)) = (score.value, score.spread) else {
        anyhow::bail!("no score: {:?}", score.why)
    };
    Ok((mean, spread / (SCORES as f64 - 1.0).sqrt()))
}

/// Times the metric on the published network, as the host calls it: with its graph.
fn time_metric(bench: &Bench, registry: &Registry) -> anyhow::Result<()> {
    let architecture = registry.architecture("superres", &json!({"initial": "zennet-cifar-1m"}))?;
    let space = Space::new(&architecture, GEOMETRY, Vec::new(), Direction::Higher, "cpu", 1)?;
    let metric = registry.architecture_metric("zen-score-analytic", &json!({}))?;
    let candidates = vec![space.candidate(&architecture.initial()?, 1)?; 64];
    let context = space.score_context();
    bench.measure("metric on the graph of ZenNet CIFAR 1M", 64, || {
        let scores = metric.score(&candidates, &context)?;
        ensure!(scores.iter().all(|score| score.value.is_some()), "no score");
        Ok(())
    })
}

#[expect(clippy::print_stderr, reason = "findings stand beside the measurements, not among them")]
fn say(line: &str) {
    eprintln!("{line}");
}
