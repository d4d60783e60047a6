//! The search on a toy space, where every rule can be checked by hand.

use nashost_plugin_api::{
    architecture::Spec,
    component::{Component as _, PluginResult},
    metric::Direction,
    seed::{derive_seed, rng},
    strategy::{Outcome, Request, SearchContext, Strategy as _},
};
use rand::Rng as _;
use serde_json::json;

use crate::search::DeepMad;

/// Whole numbers; a mutation adds up to `10 · strength` or takes it away. The budget is the distance
/// from 0.
struct Toy {
    seed: u64,
    direction: Direction,
    limit: i64,
}

impl Toy {
    fn new(seed: u64) -> Self {
        Self { seed, direction: Direction::Higher, limit: 300 }
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

/// An exact score with many local optima, the same for each structure.
fn value(spec: &Spec) -> f64 {
    let noise: f64 = rng(derive_seed(9, &spec.to_string())).random_range(-30.0..30.0);
    number(spec) as f64 + noise
}

fn score(request: &Request) -> Outcome {
    Outcome { id: request.id(), value: Some(value(request.spec())), spread: None, why: None }
}

fn search(evolution: serde_json::Value) -> DeepMad {
    let config = json!({"solver": "evolution", "evolution": evolution});
    DeepMad::create(serde_json::from_value(config).unwrap()).unwrap()
}

/// Asks and tells one by one.
fn run_sequentially(search: &mut DeepMad, context: &Toy) -> Vec<Request> {
    let mut log = Vec::new();
    while let Some(request) = search.ask(context, 1).unwrap().pop() {
        search.tell(&[score(&request)]).unwrap();
        log.push(request);
    }
    log
}

/// Keeps as many proposals open as allowed and tells a random number of outcomes at a time.
fn run_in_parallel(search: &mut DeepMad, context: &Toy, workers: u32, seed: u64) -> Vec<Request> {
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
fn lag_one_is_the_official_loop() {
    let context = Toy::new(1);
    let mut search = search(json!({"population": 12, "iterations": 400, "lag": 1}));
    let log = run_sequentially(&mut search, &context);

    // The loop of searcher.py and population.py, with our seeds in place of its generators, and
    // duplicates removed at once.
    let mut population = vec![(json!(0), value(&json!(0)))];
    let mut accepted = vec![json!(0)];
    let (mut rejected, mut duplicates) = (0, 0);
    for step in 0..400 {
        population.sort_by(|a, b| b.1.total_cmp(&a.1));
        population.truncate(12);
        let seed = derive_seed(1, &format!("step/{step}"));
        let index = rng(derive_seed(seed, "parent")).random_range(0..population.len());
        let child = context.mutate(&population[index].0, 2, derive_seed(seed, "mutation")).unwrap();
        if population.iter().any(|(spec, _)| *spec == child) {
            duplicates += 1;
        } else if number(&child).abs() > 300 {
            rejected += 1;
        } else {
            population.push((child.clone(), value(&child)));
            accepted.push(child);
        }
    }
    let best = population.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);

    assert_eq!(log.iter().map(|request| request.spec().clone()).collect::<Vec<_>>(), accepted);
    let result = search.result().unwrap();
    assert_eq!(result.steps, 400);
    assert_eq!((result.rejected["size"], result.rejected["duplicate"]), (rejected, duplicates));
    assert!(rejected > 0 && duplicates > 0, "a rule was never met");
    assert_eq!(result.ranked[0].value, best);
    assert_eq!(result.ranked.len(), 12, "the whole population is listed");
}

#[test]
fn the_result_does_not_depend_on_the_number_of_workers() {
    for config in [
        json!({"population": 11, "evaluations": 120, "lag": 8}),
        json!({"population": 1, "iterations": 90, "lag": 3}),
        json!({"population": 11, "evaluations": 5, "lag": 30}),
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
fn a_search_goes_on_from_a_checkpoint_at_every_step() {
    let context = Toy::new(3);
    let config = json!({"population": 11, "evaluations": 40, "lag": 4});
    let mut reference = search(config.clone());
    let log = run_sequentially(&mut reference, &context);
    assert_eq!(log.len() as u64, reference.describe().proposals.unwrap());
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
    assert!(search(json!({"lag": 5})).restore(&running.checkpoint().unwrap()).is_err());
    assert!(search(json!({})).restore(b"{}").is_err());
}

#[test]
fn lower_is_better_where_the_metric_says_so() {
    let context = Toy { direction: Direction::Lower, ..Toy::new(2) };
    let mut search = search(json!({"population": 11, "evaluations": 200}));
    run_sequentially(&mut search, &context);
    let ranked = search.result().unwrap().ranked;
    assert!(ranked[0].value < -100.0, "{}", ranked[0].value);
    assert!(ranked.is_sorted_by(|a, b| a.value <= b.value));
}

#[test]
fn the_initial_structure_must_keep_the_budgets() {
    let context = Toy { limit: -1, ..Toy::new(1) };
    let error = search(json!({})).ask(&context, 1).unwrap_err().to_string();
    assert!(error.starts_with("the initial structure breaks the budget `size`"), "{error}");
}

#[test]
fn a_search_that_runs_dry_ends_early() {
    // There are 41 structures.
    let mut search = search(json!({"max_rejects": 300}));
    let log = run_sequentially(&mut search, &Toy { limit: 20, ..Toy::new(1) });
    assert!((30..=41).contains(&log.len()), "{}", log.len());
    assert!(search.result().unwrap().steps < 10_000);
}

#[test]
fn undefined_scores_are_dropped_and_counted() {
    let context = Toy::new(6);
    let mut search = search(json!({"evaluations": 40, "lag": 1}));
    let mut undefined = 0;
    while let Some(request) = search.ask(&context, 1).unwrap().pop() {
        let mut outcome = score(&request);
        match request.id() % 4 {
            1 => outcome.value = None,
            2 => outcome.value = Some(f64::NAN),
            _ => {}
        }
        undefined += u64::from(matches!(request.id() % 4, 1 | 2));
        search.tell(&[outcome]).unwrap();
    }
    let result = search.result().unwrap();
    assert_eq!(result.rejected["undefined"], undefined);
    assert!(result.ranked.iter().all(|ranked| ranked.value.is_finite()));
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
    for config in [json!({"population": 0}), json!({"lag": 0}), json!({"max_rejects": 0})] {
        let config = serde_json::from_value(json!({"solver": "evolution", "evolution": config})).unwrap();
        assert!(DeepMad::create(config).is_err());
    }
    assert!(serde_json::from_value::<crate::search::Config>(json!({"solver": "magic"})).is_err());
}
