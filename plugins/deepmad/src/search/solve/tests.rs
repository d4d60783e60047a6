//! The solvers as a strategy, on a small setting: told by the real metric, stopped and resumed.

use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry, Spec},
    component::{Component as _, PluginResult},
    graph::Graph,
    metric::Direction,
    strategy::{Outcome, SearchContext, SearchResult, Strategy as _},
};
use nashost_superres::SuperRes;
use nashost_tinynas::Structure;
use serde_json::{Value, json};

use crate::{
    score::{self, Evaluator},
    search::DeepMad,
};

const SIDE: usize = 32;

struct Context {
    /// What the host refuses.
    violation: Option<&'static str>,
}

impl SearchContext for Context {
    fn initial(&self) -> PluginResult<Spec> {
        let block = |input: u32, out: u32, s: u32| json!({"class": "SuperResK1KXK1", "in": input, "out": out, "s": s, "k": 3, "L": 1, "btn": 8});
        Ok(json!([
            {"class": "ConvKXBNRELU", "in": 3, "out": 16, "s": 2, "k": 3},
            block(16, 32, 2), block(32, 32, 2), block(32, 64, 2), block(64, 64, 1), block(64, 64, 2),
        ]))
    }

    fn sample(&self, _: u64) -> PluginResult<Spec> {
        Err("not needed".into())
    }

    fn mutate(&self, _: &Spec, _: u32, _: u64) -> PluginResult<Spec> {
        Err("not needed".into())
    }

    fn violation(&self, _: &Spec) -> PluginResult<Option<String>> {
        Ok(self.violation.map(str::to_owned))
    }

    fn graph(&self, spec: &Spec) -> PluginResult<Graph> {
        let config = json!({"space": "k1kxk1", "initial": "deepmad-cifar-start"});
        let space = SuperRes::create(serde_json::from_value(config).unwrap()).unwrap();
        space.graph(spec, &Geometry { input: [3, SIDE, SIDE], outputs: 8 })
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn seed(&self) -> u64 {
        5
    }
}

fn config(solver: &str) -> Value {
    json!({
        "solver": solver,
        "program": {"params": 8e4, "flops": 3e6, "rho": 0.6},
        "anneal": {"restarts": 2, "steps": 20_000},
    })
}

fn create(config: &Value) -> DeepMad {
    DeepMad::create(serde_json::from_value(config.clone()).unwrap()).unwrap()
}

fn metric() -> Evaluator {
    Evaluator::new(score::Config::default())
}

/// Runs to the end; with `resume`, through a checkpoint after every proposal.
fn run(config: &Value, resume: bool) -> SearchResult {
    let context = Context { violation: None };
    let mut strategy = create(config);
    loop {
        let requests = strategy.ask(&context, 1).unwrap();
        let [request] = &requests[..] else { return strategy.result().unwrap() };
        if resume {
            let state = strategy.checkpoint().unwrap();
            strategy = create(config);
            strategy.restore(&state).unwrap();
        }
        let value = metric().score_spec(request.spec(), [SIDE; 2]).unwrap();
        let outcome = Outcome { id: request.id(), value: Some(value), spread: None, why: None };
        strategy.tell(&[outcome]).unwrap();
    }
}

#[test]
fn exact_ends_with_a_certificate_and_is_the_same_when_resumed() {
    let whole = run(&config("exact"), false);
    let first = &whole.ranked[0];
    let text = first.reason.strip_prefix("proven optimum, objective repaired; certificate: ").unwrap();
    let certificate: nashost_deepmad_solver::exact::Certificate = serde_json::from_str(text).unwrap();
    nashost_deepmad_solver::verify::verify(&certificate).unwrap();
    assert!(certificate.proven && certificate.gap == 0.0);
    let structure = Structure::try_from(&first.spec).unwrap();
    let value = metric().score(&structure, [SIDE; 2]).unwrap();
    assert!((value - first.value).abs() < 1e-9 * value.abs());
    let resumed = run(&config("exact"), true);
    let numbers = |result: &SearchResult| -> Vec<_> {
        result.ranked.iter().map(|r| (r.spec.clone(), r.value, r.id)).collect()
    };
    assert_eq!(numbers(&resumed), numbers(&whole));
    let annealed = run(&config("anneal"), false);
    assert!(annealed.ranked[0].value <= first.value);
    assert!(annealed.ranked[0].reason.starts_with("best of 2 annealings, without a proof"));
}

#[test]
fn what_does_not_fit_the_run_is_refused_with_what_to_do() {
    let ask = |config: &Value, violation| {
        let mut strategy = create(config);
        strategy.ask(&Context { violation }, 1).map(|_| strategy)
    };
    let refused = |config: &Value, violation| ask(config, violation).unwrap_err().to_string();
    assert!(
        refused(&config("anneal"), Some("official.params")).contains("the same budgets as `search.budget`")
    );
    assert!(refused(&json!({"solver": "anneal"}), None).contains("nothing bounds the depth"));
    let mut strategy = ask(&config("anneal"), None).unwrap();
    let outcome = Outcome { id: 0, value: Some(1.0), spread: None, why: None };
    let error = strategy.tell(&[outcome]).unwrap_err().to_string();
    assert!(error.contains("the run's metric 1"), "{error}");
}
