//! Random search on the table of NAS-Bench-201, against published and exact numbers.

use nashost_controls::RandomStrategy;
use nashost_nb201::{Dataset, Proxy, Space, Table, cell_of};
use nashost_plugin_api::{
    architecture::Spec,
    strategy::{SearchContext, SearchResult},
    testing::{Bench, Manner, Search, local_strategy, strategy_rules},
};
use serde_json::{Value, json};

/// Standard errors that a mean may be off. Chance goes further once in 150,000 times; seeds are fixed.
const ERRORS: f64 = 4.5;

fn oracle() -> Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/nb201/oracle.json")).expect("JSON")
}

/// Draws structures and ranks them by `value`.
fn search(evaluations: u64, seed: u64, value: &dyn Fn(&Spec) -> Option<f64>) -> SearchResult {
    let settings = json!({"evaluations": evaluations});
    let search = Search {
        make: &|| local_strategy::<RandomStrategy>(&settings),
        context: &Space::new(seed),
        value: &|_, spec| value(spec),
        limit: evaluations + 1,
    };
    search.run(Manner::Full).expect("the search ends well").result
}

fn accuracy(dataset: Dataset, spec: &Spec) -> f64 {
    let cell = cell_of(spec).expect("a structure of nb201");
    Table::shipped().expect("the table is whole").accuracy(dataset, cell)
}

/// Mean, and standard error of the mean.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[test]
fn the_rules_of_the_contract_are_kept() {
    let mut bench = Bench::default();
    let make = || local_strategy::<RandomStrategy>(&json!({"evaluations": 40}));
    let space = |direction| -> Box<dyn SearchContext> { Box::new(Space::new(7).direction(direction)) };
    strategy_rules(&mut bench, &make, &space);
    bench.assert_passed();
}

#[test]
fn the_best_of_ten_draws_is_as_published() {
    let best = |seed| {
        let value = |spec: &Spec| Some(accuracy(Dataset::Cifar10, spec));
        search(10, seed, &value).ranked[0].value
    };
    let (mean, error) = moments(&(0..1000).map(best).collect::<Vec<_>>());
    assert!((mean - 89.9).abs() < 0.1, "{mean}");
    // The mean of the best of ten can be computed exactly.
    let exact = oracle()["cifar10"]["random"]["10"].as_f64().expect("a number");
    assert!((mean - exact).abs() < ERRORS * error, "{mean:.3} ± {error:.3} instead of {exact:.3}");
}

#[test]
fn the_best_of_ten_that_a_score_chooses_is_as_published() {
    // A thousand draws are ranked by a score, the first ten are trained.
    let table = Table::shipped().expect("the table is whole");
    let oracle = oracle();
    for (proxy, name, published) in [(Proxy::Params, "params", 90.7), (Proxy::Synflow, "synflow", 91.0)] {
        let value = |spec: &Spec| table.score(Dataset::Cifar10, proxy, cell_of(spec).ok()?);
        let best = |seed| {
            let ranked = search(1000, seed, &value).ranked;
            ranked[..10].iter().map(|ranked| accuracy(Dataset::Cifar10, &ranked.spec)).fold(0.0, f64::max)
        };
        let (mean, error) = moments(&(0..40).map(best).collect::<Vec<_>>());
        let reference = &oracle["cifar10"]["trained"][name];
        let [expected, deviation] =
            ["mean", "deviation"].map(|key| reference[key].as_f64().expect("a number"));
        let reference_error = deviation / oracle["pools"].as_f64().expect("a number").sqrt();
        let tolerance = ERRORS * error.hypot(reference_error);
        assert!((mean - expected).abs() < tolerance, "{name}: {mean:.3}, not {expected:.3} ± {tolerance:.3}");
        // Of the reference itself one digit is published, of a mean over 300 pools.
        let tolerance = 0.05 + ERRORS * reference_error.hypot(deviation / 300_f64.sqrt());
        assert!(
            (expected - published).abs() < tolerance,
            "{name}: {expected}, not {published} ± {tolerance:.3}"
        );
    }
}
