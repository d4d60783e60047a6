//! The search with the Zen-Score on the CIFAR space, under a budget of a million parameters.

use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry, Spec},
    component::{Component as _, PluginResult},
    metric::{ArchitectureMetric as _, Candidate, Direction, ScoreContext},
    seed::derive_seed,
    strategy::{Outcome, Request, SearchContext, SearchResult, Strategy as _},
};
use nashost_superres::SuperRes;
use serde_json::json;

use super::ZenNas;
use crate::score::{self, ZenScore};

const GEOMETRY: Geometry = Geometry { input: [3, 32, 32], outputs: 100 };

/// What a host does for a search: the space, its budgets, and the scores.
struct Host {
    space: SuperRes,
    metric: ZenScore,
    seed: u64,
}

impl Host {
    fn new(seed: u64) -> Self {
        // A batch of two: the noise of the score comes from the weights, not from the images.
        let config = score::Config { batch: 2, ..Default::default() };
        Self {
            space: SuperRes::create(Default::default()).expect("the default space"),
            metric: ZenScore::create(config).expect("a valid configuration"),
            seed,
        }
    }

    fn score(&self, request: &Request) -> Outcome {
        let candidate = Candidate {
            spec: request.spec().clone(),
            graph: self.space.graph(request.spec(), &GEOMETRY).expect("children fit"),
            counters: Default::default(),
            seed: derive_seed(self.seed, &format!("score/{}", request.id())),
        };
        let context = ScoreContext { geometry: GEOMETRY, device: "cpu".into() };
        let score = self.metric.score(&[candidate], &context).expect("the CPU can be used").remove(0);
        Outcome::from((request.id(), &score))
    }

    fn run(&self, search: &mut ZenNas, workers: u32) -> (Vec<(Request, Outcome)>, SearchResult) {
        let mut log = Vec::new();
        let mut open: Vec<Request> = Vec::new();
        loop {
            open.extend(search.ask(self, workers - open.len() as u32).expect("the search goes on"));
            if open.is_empty() {
                return (log, search.result().expect("something was found"));
            }
            let request = open.remove(0);
            let outcome = self.score(&request);
            search.tell(std::slice::from_ref(&outcome)).expect("the proposal is open");
            log.push((request, outcome));
        }
    }
}

impl SearchContext for Host {
    fn initial(&self) -> PluginResult<Spec> {
        self.space.initial()
    }

    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        self.space.sample(seed)
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        self.space.mutate(spec, strength, seed)
    }

    fn violation(&self, spec: &Spec) -> PluginResult<Option<String>> {
        let counters = self.space.counters(spec, &GEOMETRY)?;
        let budgets = [("official.layers", 18.0), ("official.params", 1e6)];
        Ok(budgets.into_iter().find(|(name, most)| counters[*name] > *most).map(|(name, _)| name.to_owned()))
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}

fn search(evaluations: u32) -> ZenNas {
    let config = json!({
        "score": "monte-carlo", "population": 16, "evaluations": evaluations, "lag": 4, "rescore": 3,
        "rescore_repeats": 2,
    });
    ZenNas::create(serde_json::from_value(config).expect("a configuration")).expect("a valid one")
}

#[test]
fn the_best_score_grows_within_the_budgets() {
    let host = Host::new(1);
    let (log, result) = host.run(&mut search(150), 1);
    let children: Vec<_> = log.iter().take(150).collect();
    let value = |outcome: &Outcome| outcome.value.expect("every child has a score");
    let best = |range: std::ops::Range<usize>| {
        children[range].iter().map(|(_, outcome)| value(outcome)).fold(f64::NEG_INFINITY, f64::max)
    };
    // The initial structure scores about 15, its mutations not much more.
    let (first, middle, last) = (best(0..10), best(0..75), best(0..150));
    assert!(first < 40.0 && middle > first + 15.0 && last > middle + 5.0, "{first} {middle} {last}");
    // Later children are better as a whole: the population moves, not only its best.
    let mean = |range: std::ops::Range<usize>| {
        let n = range.len() as f64;
        children[range].iter().map(|(_, outcome)| value(outcome)).sum::<f64>() / n
    };
    assert!(mean(100..150) > mean(0..50) + 10.0);
    for (request, _) in &log {
        assert_eq!(host.violation(request.spec()).unwrap(), None);
    }
    assert!(result.rejected.contains_key("official.layers"));
    assert_eq!(result.steps, 150 + result.rejected.values().sum::<u64>());
    assert!(result.ranked[0].reason.contains("of 2 fresh scores"), "{}", result.ranked[0].reason);
}

#[test]
fn the_same_seed_gives_the_same_search_whatever_the_workers() {
    let host = Host::new(2);
    let (log, result) = host.run(&mut search(40), 1);
    for workers in [2, 4] {
        assert_eq!(host.run(&mut search(40), workers), (log.clone(), result.clone()));
    }
    assert_ne!(Host::new(3).run(&mut search(40), 1).0, log);
}

#[test]
fn a_search_goes_on_from_a_checkpoint() {
    let host = Host::new(4);
    let (_, result) = host.run(&mut search(30), 1);
    let mut running = search(30);
    for _ in 0..17 {
        let request = running.ask(&host, 1).unwrap().remove(0);
        running.tell(&[host.score(&request)]).unwrap();
    }
    let mut resumed = search(30);
    resumed.restore(&running.checkpoint().unwrap()).unwrap();
    assert_eq!(host.run(&mut resumed, 3).1, result);
}
