//! The search on a toy space, where every rule can be checked by hand.

use std::collections::HashSet;

use nashost_plugin_api::{
    architecture::Spec,
    metric::Direction,
    seed::{derive_seed, rng},
};
use rand::Rng as _;
use serde_json::json;

use super::*;

/// Whole numbers; a mutation adds up to `10 · strength` or takes it away. The budget is the distance
/// from 0.
struct Toy {
    seed: u64,
    direction: Direction,
    limit: i64,
}

impl Toy {
    fn new(seed: u64) -> Self {
        Self { seed, direction: Direction::Higher, limit: 100 }
    }
}

fn number(spec: &Spec) -> i64 {
    spec.as_i64().unwrap()
}

impl SearchContext for Toy {
    fn initial(&self) -> PluginResult<Spec> {
        Ok(json!(0))
    }

    fn sample(&self, _: u64) -> PluginResult<Spec> {
        Err("not needed".into())
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        let most = 10 * i64::from(strength);
        Ok(json!(number(spec) + rng(seed).random_range(-most..=most)))
    }

    fn violation(&self, spec: &Spec) -> PluginResult<Option<String>> {
        Ok((number(spec).abs() > self.limit).then(|| "size".to_owned()))
    }

    fn direction(&self) -> Direction {
        self.direction
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}

/// A noisy score: the number itself, with noise from the proposal's id.
fn score(request: &Request) -> Outcome {
    let noise: f64 = rng(derive_seed(9, &request.id().to_string())).random_range(-0.4..0.4);
    let value = Some(number(request.spec()) as f64 + noise);
    Outcome { id: request.id(), value, spread: None, why: None }
}

/// A search of the official kind.
fn search(mut config: serde_json::Value) -> ZenNas {
    config["score"] = json!("monte-carlo");
    ZenNas::create(serde_json::from_value(config).unwrap()).unwrap()
}

/// Asks and tells one by one.
fn run_sequentially(search: &mut ZenNas, context: &Toy) -> Vec<Request> {
    let mut log = Vec::new();
    loop {
        let requests = search.ask(context, 1).unwrap();
        let Some(request) = requests.into_iter().next() else { return log };
        search.tell(&[score(&request)]).unwrap();
        log.push(request);
    }
}

/// Keeps as many proposals open as allowed and tells a random number of outcomes at a time.
fn run_in_parallel(search: &mut ZenNas, context: &Toy, workers: u32, seed: u64) -> Vec<Request> {
    let mut rng = rng(seed);
    let mut log = Vec::new();
    let mut open: Vec<Request> = Vec::new();
    let workers = workers.min(search.describe().lag);
    loop {
        let requests = search.ask(context, workers - open.len() as u32).unwrap();
        open.extend(requests.clone());
        log.extend(requests);
        if open.is_empty() {
            return log;
        }
        let done: Vec<Request> = open.drain(..rng.random_range(1..=open.len())).collect();
        search.tell(&done.iter().map(score).collect::<Vec<_>>()).unwrap();
    }
}

#[test]
fn lag_one_without_extras_is_the_official_loop() {
    let context = Toy::new(1);
    let config = json!({"population": 12, "iterations": 400, "lag": 1, "duplicates": "score", "rescore": 0});
    let mut search = search(config);
    let log = run_sequentially(&mut search, &context);

    // The loop of evolution_search.py, with our seeds in place of its global generator.
    let mut population: Vec<(Spec, f64)> = Vec::new();
    let mut accepted = Vec::new();
    let mut rejected = 0;
    for step in 0..400 {
        while population.len() > 12 {
            let least = population.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
            let first = population.iter().position(|(_, value)| *value == least).unwrap();
            population.remove(first);
        }
        let seed = derive_seed(1, &format!("step/{step}"));
        let (parent, strength) = if population.len() <= 10 {
            (json!(0), 1)
        } else {
            let index = rng(derive_seed(seed, "parent")).random_range(0..population.len());
            (population[index].0.clone(), 2)
        };
        let child = context.mutate(&parent, strength, derive_seed(seed, "mutation")).unwrap();
        if number(&child).abs() > 100 {
            rejected += 1;
            continue;
        }
        let request =
            Request::Score { id: accepted.len() as u64, spec: child.clone(), origin: String::new() };
        population.push((child.clone(), score(&request).value.unwrap()));
        accepted.push(child);
    }
    let best = population.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);

    assert_eq!(log.iter().map(|request| request.spec().clone()).collect::<Vec<_>>(), accepted);
    let result = search.result().unwrap();
    assert_eq!(result.steps, 400);
    assert_eq!(result.rejected["size"], rejected);
    assert!(rejected > 0, "the budget was never met");
    assert_eq!(result.ranked[0].value, best);
}

#[test]
fn the_result_does_not_depend_on_the_number_of_workers() {
    for config in [
        json!({"population": 11, "evaluations": 120, "lag": 8}),
        json!({"population": 11, "evaluations": 120, "lag": 8, "rescore": 2, "rescore_repeats": 2}),
        json!({"population": 11, "evaluations": 5, "lag": 30}),
        json!({"population": 11, "iterations": 90, "lag": 3, "duplicates": "score"}),
    ] {
        let context = Toy::new(5);
        let mut reference = search(config.clone());
        let log = run_sequentially(&mut reference, &context);
        for workers in [2, 3, 8] {
            for seed in 0..5 {
                let mut search = search(config.clone());
                assert_eq!(run_in_parallel(&mut search, &context, workers, seed), log, "{workers} workers");
                assert_eq!(search.result().unwrap(), reference.result().unwrap());
            }
        }
    }
}

#[test]
fn another_seed_or_another_lag_is_another_search() {
    let run = |lag: u32, seed| {
        run_sequentially(&mut search(json!({"evaluations": 60, "lag": lag})), &Toy::new(seed))
    };
    assert_eq!(run(4, 1), run(4, 1));
    assert_ne!(run(4, 1), run(4, 2));
    assert_ne!(run(4, 1), run(1, 1));
}

#[test]
fn a_search_goes_on_from_a_checkpoint_at_every_step() {
    let context = Toy::new(3);
    let config = json!({"population": 11, "evaluations": 40, "lag": 4, "rescore": 3, "rescore_repeats": 2});
    let mut reference = search(config.clone());
    let log = run_sequentially(&mut reference, &context);
    let mut running = search(config.clone());
    for at in 0..=log.len() {
        // Once before and once after the outcome is told.
        let restored = |state: &[u8]| {
            let mut copy = search(config.clone());
            copy.restore(state).unwrap();
            copy
        };
        let mut copy = restored(&running.checkpoint().unwrap());
        assert_eq!(run_sequentially(&mut copy, &context), log[at..]);
        assert_eq!(copy.result().unwrap(), reference.result().unwrap());
        let Some(request) = running.ask(&context, 1).unwrap().pop() else { break };
        let mut copy = restored(&running.checkpoint().unwrap());
        copy.tell(&[score(&request)]).unwrap();
        assert_eq!(run_sequentially(&mut copy, &context), log[at + 1..]);
        running.tell(&[score(&request)]).unwrap();
    }
}

#[test]
fn a_state_of_another_configuration_or_nonsense_is_refused() {
    let state = search(json!({"lag": 4})).checkpoint().unwrap();
    let error = search(json!({"lag": 5})).restore(&state).unwrap_err();
    assert_eq!(error.to_string(), "the state belongs to a search with another configuration");
    assert!(search(json!({})).restore(b"{}").is_err());
}

#[test]
fn lower_is_better_where_the_metric_says_so() {
    let context = Toy { direction: Direction::Lower, ..Toy::new(2) };
    let mut search = search(json!({"population": 11, "evaluations": 200}));
    run_sequentially(&mut search, &context);
    let ranked = search.result().unwrap().ranked;
    assert!(ranked[0].value < -90.0, "{}", ranked[0].value);
    assert!(ranked[..8].is_sorted_by(|a, b| a.value <= b.value));
}

#[test]
fn finalists_are_ranked_by_fresh_scores() {
    let mut search =
        search(json!({"population": 11, "evaluations": 150, "rescore": 5, "rescore_repeats": 3}));
    let log = run_sequentially(&mut search, &Toy::new(7));
    let fresh = log.iter().filter(|request| origin(request).starts_with("fresh score"));
    assert!(fresh.clone().count() >= 15);
    let result = search.result().unwrap();
    assert!(result.ranked[..5].is_sorted_by(|a, b| a.value >= b.value));
    for best in &result.ranked[..5] {
        let scores: Vec<f64> = fresh
            .clone()
            .filter(|request| *request.spec() == best.spec)
            .map(|request| score(request).value.unwrap())
            .collect();
        assert_eq!(scores.len(), 3);
        assert!((best.value - scores.iter().sum::<f64>() / 3.0).abs() < 1e-12);
        assert!(best.reason.contains("of 3 fresh scores"), "{}", best.reason);
    }
    assert!(result.ranked[5].reason.contains("single draw"));
    let ranked: HashSet<String> = result.ranked.iter().map(|ranked| ranked.spec.to_string()).collect();
    assert_eq!((result.ranked.len(), ranked.len()), (10, 10), "a structure is ranked once");
}

fn origin(request: &Request) -> &str {
    let Request::Score { origin, .. } = request;
    origin
}

#[test]
fn duplicates_are_skipped_or_scored() {
    let run = |duplicates: &str| {
        let mut search = search(json!({"evaluations": 50, "duplicates": duplicates, "rescore": 0}));
        let log = run_sequentially(&mut search, &Toy::new(4));
        let specs: HashSet<i64> = log.iter().map(|request| number(request.spec())).collect();
        (log.len(), specs.len(), search.result().unwrap())
    };
    let (proposals, distinct, result) = run("skip");
    assert_eq!((proposals, distinct), (50, 50));
    assert_eq!(result.steps, 50 + result.rejected.values().sum::<u64>());
    assert!(result.rejected["duplicate"] > 0);
    let (proposals, distinct, result) = run("score");
    assert!(proposals == 50 && distinct < 50);
    assert!(!result.rejected.contains_key("duplicate"));
}

#[test]
fn undefined_scores_are_dropped_and_counted() {
    let context = Toy::new(6);
    let mut search = search(json!({"evaluations": 40, "lag": 1, "rescore": 2, "rescore_repeats": 2}));
    let mut undefined = 0;
    while let Some(request) = search.ask(&context, 1).unwrap().pop() {
        let fresh = origin(&request).starts_with("fresh");
        let mut outcome = score(&request);
        match request.id() % 4 {
            0 => outcome.value = None,
            1 => outcome.value = Some(f64::NAN),
            _ => {}
        }
        undefined += u64::from(!fresh && request.id() % 4 < 2);
        search.tell(&[outcome]).unwrap();
    }
    let result = search.result().unwrap();
    assert_eq!(result.rejected["undefined"], undefined);
    assert!(result.ranked.iter().all(|ranked| ranked.value.is_finite()));
}

#[test]
fn a_budget_that_nothing_meets_is_an_error_that_says_so() {
    let context = Toy { limit: -1, ..Toy::new(1) };
    let error = search(json!({"max_rejects": 50})).ask(&context, 1).unwrap_err().to_string();
    assert_eq!(
        error,
        "no structure within the budgets in 50 steps (rejected by: size 50); \
         raise the budgets or start from a smaller structure"
    );
}

#[test]
fn a_search_that_runs_dry_ends_early() {
    // There are 41 structures.
    let mut search = search(json!({"evaluations": 500, "max_rejects": 300, "rescore": 2}));
    let log = run_sequentially(&mut search, &Toy { limit: 20, ..Toy::new(1) });
    let children = log.iter().filter(|request| origin(request).starts_with("mutation")).count();
    assert!((30..=41).contains(&children), "{children}");
    assert!(search.result().unwrap().ranked[0].reason.contains("fresh"));
}

#[test]
fn misuse_is_an_error() {
    let context = Toy::new(1);
    let mut search = search(json!({"lag": 2}));
    assert!(search.result().is_err());
    assert_eq!(search.ask(&context, 10).unwrap().len(), 2);
    let error = search.ask(&context, 1).unwrap_err().to_string();
    assert_eq!(error, "asked for a proposal while 2 are open; their outcomes must be told first");
    let outcome = Outcome { id: 1, value: Some(1.0), spread: None, why: None };
    search.tell(std::slice::from_ref(&outcome)).unwrap();
    assert_eq!(search.tell(&[outcome]).unwrap_err().to_string(), "proposal 1 is not open");
    let outcome = Outcome { id: 2, value: Some(1.0), spread: None, why: None };
    assert_eq!(search.tell(&[outcome]).unwrap_err().to_string(), "proposal 2 is not open");
}

#[test]
fn wrong_configurations_are_refused() {
    let error = |config| ZenNas::create(serde_json::from_value(config).unwrap()).unwrap_err().to_string();
    assert!(error(json!({"population": 10})).starts_with("`population` is 10, must be at least 11"));
    assert!(error(json!({"lag": 0})).starts_with("`lag`"));
    assert!(error(json!({"analytic": {"gamma": -1.0}})).starts_with("`gamma`"));
    let no_use = json!({"score": "monte-carlo", "analytic": {"bn_term": "paper"}});
    assert!(error(no_use).starts_with("`analytic` has no use"));
    assert!(error(json!({"rescore": 0})).starts_with("`rescore` must be at least 1, unless"));
    assert!(
        ZenNas::create(serde_json::from_value(json!({"rescore": 0, "score": "monte-carlo"})).unwrap())
            .is_ok()
    );
    assert!(serde_json::from_value::<Config>(json!({"evaluations": 0})).is_err());
    assert!(serde_json::from_value::<Config>(json!({"popluation": 20})).is_err());
}
