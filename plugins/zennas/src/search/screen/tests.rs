//! Two-stage searches on the real space; measured scores are replaced by noisy analytic ones.

use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry, Spec},
    component::Component as _,
    graph::Graph,
    seed::{derive_seed, rng},
    strategy::Strategy as _,
};
use nashost_superres::SuperRes;
use rand::Rng as _;
use serde_json::{Value, json};

use super::{super::ZenNas, *};
use crate::analytic::{self, Analytic};

const GEOMETRY: Geometry = Geometry { input: [3, 32, 32], outputs: 100 };

/// What a host does for a search.
struct Host {
    space: SuperRes,
    seed: u64,
    /// Writes specs in a way that only the space understands.
    wrapped: bool,
}

impl Host {
    fn new(seed: u64) -> Self {
        Self::with(json!({}), seed)
    }

    fn with(config: Value, seed: u64) -> Self {
        let space = SuperRes::create(serde_json::from_value(config).unwrap()).unwrap();
        Self { space, seed, wrapped: false }
    }

    fn wrap(&self, spec: Spec) -> Spec {
        if self.wrapped { json!({ "blocks": spec }) } else { spec }
    }

    fn bare<'a>(&self, spec: &'a Spec) -> &'a Spec {
        if self.wrapped { &spec["blocks"] } else { spec }
    }

    fn analytic(&self, spec: &Spec) -> f64 {
        Analytic::new(analytic::Config::default()).graph(&self.graph(spec).unwrap()).unwrap()
    }

    fn score(&self, request: &Request) -> Outcome {
        let noise: f64 = rng(derive_seed(9, &request.id().to_string())).random_range(-1.0..1.0);
        let value = Some(self.analytic(request.spec()) + noise);
        Outcome { id: request.id(), value, spread: None, why: None }
    }

    fn run(&self, search: &mut ZenNas, workers: u32) -> (Vec<(Request, Outcome)>, SearchResult) {
        let mut log = Vec::new();
        let mut open: Vec<Request> = Vec::new();
        let workers = workers.min(search.describe().lag);
        loop {
            open.extend(search.ask(self, workers - open.len() as u32).unwrap());
            if open.is_empty() {
                return (log, search.result().unwrap());
            }
            let request = open.remove(0);
            let outcome = self.score(&request);
            search.tell(std::slice::from_ref(&outcome)).unwrap();
            log.push((request, outcome));
        }
    }
}

impl SearchContext for Host {
    fn initial(&self) -> PluginResult<Spec> {
        Ok(self.wrap(self.space.initial()?))
    }

    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        Ok(self.wrap(self.space.sample(seed)?))
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        Ok(self.wrap(self.space.mutate(self.bare(spec), strength, seed)?))
    }

    fn violation(&self, spec: &Spec) -> PluginResult<Option<String>> {
        let counters = self.space.counters(self.bare(spec), &GEOMETRY)?;
        let budgets = [("official.layers", 18.0), ("official.params", 1e6)];
        Ok(budgets.into_iter().find(|(name, most)| counters[*name] > *most).map(|(name, _)| name.to_owned()))
    }

    fn graph(&self, spec: &Spec) -> PluginResult<Graph> {
        self.space.graph(self.bare(spec), &GEOMETRY)
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}

fn search(mut config: Value) -> ZenNas {
    let fields = config.as_object_mut().unwrap();
    fields.entry("iterations").or_insert(json!(1500));
    fields.entry("population").or_insert(json!(40));
    ZenNas::create(serde_json::from_value(config).unwrap()).unwrap()
}

#[test]
fn the_best_of_many_cheap_scores_are_measured_and_ranked() {
    let host = Host::new(1);
    let (log, result) = host.run(&mut search(json!({"rescore": 12, "rescore_repeats": 3})), 1);
    assert_eq!(log.len(), 36);
    assert_eq!(result.steps, 1500);
    assert!(result.rejected["official.layers"] > 0 && result.rejected["official.params"] > 0);
    assert!(result.ranked.is_sorted_by(|a, b| a.value >= b.value));
    for ranked in &result.ranked {
        let fresh: Vec<f64> = log
            .iter()
            .filter(|(request, _)| *request.spec() == ranked.spec)
            .map(|(_, outcome)| outcome.value.unwrap())
            .collect();
        assert_eq!(fresh.len(), 3, "a structure is proposed as often as it is scored");
        assert!((ranked.value - fresh.iter().sum::<f64>() / 3.0).abs() < 1e-9);
        assert_eq!(host.violation(&ranked.spec).unwrap(), None);
        // The initial structure scores about 15.
        assert!(host.analytic(&ranked.spec) > 60.0);
        assert!(ranked.reason.contains("of 3 fresh scores"), "{}", ranked.reason);
        assert!(ranked.reason.contains("of 12; rank correlation of both scores "), "{}", ranked.reason);
    }
}

#[test]
fn the_seed_decides_and_neither_workers_nor_lag() {
    let host = Host::new(2);
    let config = json!({"rescore": 5, "rescore_repeats": 4, "lag": 8});
    let (log, result) = host.run(&mut search(config.clone()), 1);
    for workers in [2, 7] {
        assert_eq!(host.run(&mut search(config.clone()), workers), (log.clone(), result.clone()));
    }
    assert_eq!(host.run(&mut search(json!({"rescore": 5, "rescore_repeats": 4, "lag": 1})), 1).1, result);
    assert_ne!(Host::new(3).run(&mut search(config), 1).1, result);
}

#[test]
fn a_search_goes_on_from_a_checkpoint_at_every_step() {
    let host = Host::new(4);
    let config = json!({"iterations": 300, "rescore": 3, "rescore_repeats": 2});
    let (log, result) = host.run(&mut search(config.clone()), 1);
    let mut running = search(config.clone());
    for at in 0..=log.len() {
        let mut copy = search(config.clone());
        copy.restore(&running.checkpoint().unwrap()).unwrap();
        assert_eq!(host.run(&mut copy, 1), (log[at..].to_vec(), result.clone()));
        let Some(request) = running.ask(&host, 1).unwrap().pop() else { break };
        running.tell(&[host.score(&request)]).unwrap();
    }
    let state = running.checkpoint().unwrap();
    assert!(search(json!({"iterations": 301})).restore(&state).is_err());
    assert!(search(json!({"score": "monte-carlo"})).restore(&state).is_err());
}

#[test]
fn specs_that_only_the_space_understands_are_scored_by_their_graphs() {
    let config = json!({"iterations": 250, "rescore": 6, "rescore_repeats": 1});
    let plain = Host::new(5);
    let wrapped = Host { wrapped: true, ..Host::new(5) };
    let values = |host: &Host| -> Vec<(Spec, f64)> {
        let ranked = host.run(&mut search(config.clone()), 1).1.ranked;
        ranked.into_iter().map(|ranked| (host.bare(&ranked.spec).clone(), ranked.value)).collect()
    };
    assert_eq!(values(&plain), values(&wrapped));
}

#[test]
fn a_space_without_analytic_score_is_refused_with_the_remedy() {
    let host = Host::with(json!({"se": true}), 1);
    let error = search(json!({})).ask(&host, 1).unwrap_err().to_string();
    assert!(error.starts_with("the networks of this space have no analytic score: node `"), "{error}");
    assert!(error.ends_with("set `search.score = \"monte-carlo\"` to search by measured scores"), "{error}");
}

#[test]
fn a_start_that_only_mutation_makes_fit_is_no_obstacle() {
    let stem = "SuperConvK3BNRELU(3,32,2,1)SuperConvK1BNRELU(256,512,1,1)";
    let host = Host::with(json!({"initial": stem}), 1);
    assert!(host.graph(&host.initial().unwrap()).is_err());
    assert!(!host.run(&mut search(json!({"iterations": 50, "rescore": 2})), 1).1.ranked.is_empty());
}

#[test]
fn the_analytic_score_alone_can_rank() {
    let host = Host::new(6);
    let mut search = search(json!({"score": "analytic", "rescore": 4}));
    assert_eq!(search.describe().default_metric.as_deref(), Some("zen-score-analytic"));
    let (log, result) = host.run(&mut search, 1);
    assert_eq!(log.len(), 4);
    assert!(result.ranked.is_sorted_by(|a, b| a.value >= b.value));
    for ranked in &result.ranked {
        assert!((ranked.value - host.analytic(&ranked.spec)).abs() < 1e-9);
    }
}

#[test]
fn the_analytic_score_is_that_of_the_settings() {
    let host = Host::new(9);
    let settings = json!({"bn_term": "paper", "gamma": 0.1});
    let config = json!({"score": "analytic", "rescore": 2, "iterations": 200, "analytic": settings});
    let ranked = host.run(&mut search(config), 1).1.ranked;
    let mut told = Analytic::new(serde_json::from_value(settings).unwrap());
    for ranked in &ranked {
        let value = told.graph(&host.graph(&ranked.spec).unwrap()).unwrap();
        assert!((ranked.value - value).abs() < 1e-9);
        assert!((value - host.analytic(&ranked.spec)).abs() > 1.0, "the settings make a difference");
    }
}

#[test]
fn undefined_fresh_scores_do_not_count() {
    let host = Host::new(7);
    let mut search = search(json!({"rescore": 3, "rescore_repeats": 2}));
    while let Some(request) = search.ask(&host, 1).unwrap().pop() {
        let mut outcome = host.score(&request);
        // The first structure is never scored, the second once.
        if request.id() == 0 || request.id() == 3 || request.id() == 4 {
            outcome.value = None;
        }
        search.tell(&[outcome]).unwrap();
    }
    let ranked = search.result().unwrap().ranked;
    assert_eq!(ranked.len(), 3);
    assert!(ranked[2].reason.ends_with("not confirmed by fresh scores"), "{}", ranked[2].reason);
    assert!(ranked.iter().any(|ranked| ranked.reason.contains("of 1 fresh scores")));
}

#[test]
fn misuse_is_an_error() {
    let host = Host::new(8);
    let mut search = search(json!({"iterations": 100, "lag": 2, "rescore": 3}));
    assert!(search.result().is_err());
    assert_eq!(search.ask(&host, 5).unwrap().len(), 2);
    let error = search.ask(&host, 1).unwrap_err().to_string();
    assert_eq!(error, "asked for a proposal while 2 are open; their outcomes must be told first");
    let outcome = Outcome { id: 1, value: Some(1.0), spread: None, why: None };
    search.tell(std::slice::from_ref(&outcome)).unwrap();
    assert_eq!(search.tell(&[outcome]).unwrap_err().to_string(), "proposal 1 is not open");
    let outcome = Outcome { id: 9, value: Some(1.0), spread: None, why: None };
    assert_eq!(search.tell(&[outcome]).unwrap_err().to_string(), "proposal 9 is not open");
}

#[test]
fn a_budget_that_nothing_meets_is_an_error_that_says_so() {
    let stem = "SuperConvK3BNRELU(3,2048,1,1)SuperConvK7BNRELU(2048,2048,1,1)";
    let host = Host::with(json!({"initial": stem}), 1);
    let error = search(json!({"max_rejects": 5})).ask(&host, 1).unwrap_err().to_string();
    assert!(error.starts_with("no structure within the budgets in 5 steps (rejected by: official.params 5)"));
}
