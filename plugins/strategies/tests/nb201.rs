//! Both searches on the table of NAS-Bench-201, against an independent reference and random draws.

use nashost_nb201::{Dataset, Space, Table, cell_of};
use nashost_plugin_api::{
    abi::foreign::{CallError, ForeignStrategy},
    architecture::Spec,
    metric::Direction,
    strategy::{SearchContext, Strategy},
    testing::{Bench, Manner, Search, local_strategy, strategy_rules},
};
use nashost_strategies::{LocalSearch, RegularizedEvolution};
use serde_json::{Value, json};

const DATASETS: [(Dataset, &str); 2] =
    [(Dataset::Cifar10, "cifar10"), (Dataset::Imagenet16, "imagenet16-120")];
/// Standard errors that a mean may be off. Chance goes further once in 150,000 times; seeds are fixed.
const ERRORS: f64 = 4.5;
const SEEDS: u64 = 60;

/// Searches by accuracy and returns the best one found.
fn best(
    make: &dyn Fn() -> Result<ForeignStrategy, CallError>,
    dataset: Dataset,
    context: &dyn SearchContext,
) -> f64 {
    let table = Table::shipped().expect("the table is whole");
    let value = |_: u64, spec: &Spec| Some(table.accuracy(dataset, cell_of(spec).ok()?));
    let search = Search { make, context, value: &value, limit: 10_000 };
    search.run(Manner::Full).expect("the search ends well").result.ranked[0].value
}

/// Mean, and standard error of the mean.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// Compares 60 searches of each length with the reference, and those of 200 proposals with draws.
fn is_as_the_reference<S: Strategy>(name: &str, settings: &Value) {
    let oracle = include_str!("../../../tests/fixtures/nb201/oracle.json");
    let oracle: Value = serde_json::from_str(oracle).expect("JSON");
    let number = |value: &Value| value.as_f64().expect("a number");
    for (dataset, key) in DATASETS {
        for evaluations in [50_u64, 200] {
            let mut settings = settings.clone();
            settings["evaluations"] = evaluations.into();
            let make = || local_strategy::<S>(&settings);
            let found: Vec<f64> = (0..SEEDS).map(|seed| best(&make, dataset, &Space::new(seed))).collect();
            let (mean, error) = moments(&found);
            let what = format!("{name} on {key}, {evaluations} proposals: {mean:.3} ± {error:.3}");
            let reference = &oracle[key][name][evaluations.to_string()];
            let (expected, deviation) = (number(&reference["mean"]), number(&reference["deviation"]));
            let tolerance = ERRORS * error.hypot(deviation / number(&oracle["repeats"]).sqrt());
            assert!((mean - expected).abs() < tolerance, "{what}, the reference has {expected}");
            // The mean of the best of as many draws is exact.
            let drawn = number(&oracle[key]["random"][evaluations.to_string()]);
            assert!(evaluations < 200 || mean > drawn + ERRORS * error, "{what}, random draws {drawn}");
        }
    }
}

fn keeps_the_rules<S: Strategy>(settings: &Value) {
    let mut bench = Bench::default();
    let space = |direction| -> Box<dyn SearchContext> { Box::new(Space::new(7).direction(direction)) };
    strategy_rules(&mut bench, &|| local_strategy::<S>(settings), &space);
    bench.assert_passed();
}

#[test]
fn the_rules_of_the_contract_are_kept() {
    keeps_the_rules::<RegularizedEvolution>(&json!({"population": 8, "sample": 3}));
    keeps_the_rules::<LocalSearch>(&json!({}));
}

#[test]
fn regularized_evolution_reaches_what_the_reference_does_and_beats_random_draws() {
    // `parallel = 1` is the published algorithm.
    is_as_the_reference::<RegularizedEvolution>("regularized-evolution", &json!({"parallel": 1}));
}

#[test]
fn local_search_reaches_what_the_reference_does_and_beats_random_draws() {
    is_as_the_reference::<LocalSearch>("local-search", &json!({}));
}

#[test]
fn a_search_for_the_least_value_finds_one() {
    let make = || local_strategy::<LocalSearch>(&json!({}));
    let context = Space::new(1).direction(Direction::Lower);
    let table = Table::shipped().expect("the table is whole");
    let found = best(&make, Dataset::Cifar10, &context);
    let worse = table.cells().iter().filter(|&&cell| table.accuracy(Dataset::Cifar10, cell) < found);
    // 200 proposals at random would leave about 47 networks below the worst of them.
    assert!(worse.clone().count() < 20, "{} networks are worse than {found}", worse.count());
}
