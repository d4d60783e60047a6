//! The evolution on the table of NAS-Bench-201, against an independent reference.

use nashost_nb201::{Dataset, Space, Table, cell_of};
use nashost_plugin_api::{
    architecture::Spec,
    strategy::SearchContext,
    testing::{Bench, Manner, Search, local_strategy, strategy_rules},
};
use nashost_zennas::search::ZenNas;
use serde_json::{Value, json};

/// Standard errors that a mean may be off. Chance goes further once in 150,000 times; seeds are fixed.
const ERRORS: f64 = 4.5;
const SEEDS: u64 = 60;

/// Searches of the official kind by accuracy, and returns the best one found by each.
fn best(dataset: Dataset, evaluations: u64) -> Vec<f64> {
    let table = Table::shipped().expect("the table is whole");
    let settings = json!({"score": "monte-carlo", "evaluations": evaluations, "lag": 1, "rescore": 0});
    let value = |_: u64, spec: &Spec| Some(table.accuracy(dataset, cell_of(spec).ok()?));
    let one = |seed| {
        let make = || local_strategy::<ZenNas>(&settings);
        let search = Search { make: &make, context: &Space::new(seed), value: &value, limit: 10_000 };
        search.run(Manner::Full).expect("the search ends well").result.ranked[0].value
    };
    (0..SEEDS).map(one).collect()
}

#[test]
fn the_rules_of_the_contract_are_kept() {
    let mut bench = Bench::default();
    let make = || local_strategy::<ZenNas>(&json!({"score": "monte-carlo", "evaluations": 30}));
    let space = |direction| -> Box<dyn SearchContext> { Box::new(Space::new(7).direction(direction)) };
    strategy_rules(&mut bench, &make, &space);
    bench.assert_passed();
}

#[test]
fn the_official_loop_reaches_what_the_reference_does() {
    let oracle = include_str!("../../../tests/fixtures/nb201/oracle.json");
    let oracle: Value = serde_json::from_str(oracle).expect("JSON");
    let number = |value: &Value| value.as_f64().expect("a number");
    for (dataset, key) in [(Dataset::Cifar10, "cifar10"), (Dataset::Imagenet16, "imagenet16-120")] {
        for evaluations in [50_u64, 200] {
            let found = best(dataset, evaluations);
            let mean = found.iter().sum::<f64>() / SEEDS as f64;
            let squares = found.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            let error = (squares / (SEEDS - 1) as f64 / SEEDS as f64).sqrt();
            let what = format!("{key}, {evaluations} proposals: {mean:.3} ± {error:.3}");
            let reference = &oracle[key]["zennas"][evaluations.to_string()];
            let (expected, deviation) = (number(&reference["mean"]), number(&reference["deviation"]));
            let tolerance = ERRORS * error.hypot(deviation / number(&oracle["repeats"]).sqrt());
            assert!((mean - expected).abs() < tolerance, "{what}, the reference has {expected}");
            // The mean of the best of as many random draws is exact.
            let drawn = number(&oracle[key]["random"][evaluations.to_string()]);
            assert!(evaluations < 200 || mean > drawn + ERRORS * error, "{what}, random draws {drawn}");
        }
    }
}
