//! The author kit finds each broken rule, and no others where nothing is wrong.

use nashost_plugin_api::{
    component::Kind,
    testing::{self, Bench, Verdict, rules_of},
};
use serde_json::{Value, json};

use crate::*;

fn every_rule(kind: Kind, try_with: impl Fn(Value) -> Bench<'static>) {
    let right = try_with(json!({}));
    right.assert_passed();
    let ids: Vec<&str> = rules_of(kind).map(|(id, _)| id).collect();
    let tried: Vec<&str> = right.findings().iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(tried, ids, "rules are tried in the order of the list, each once");
    for rule in ids {
        let bench = try_with(json!({"wrong": rule}));
        let finding = bench.finding(rule).expect("every rule has a finding");
        assert_eq!(finding.verdict, Verdict::Failed, "{kind:?} {rule}: {}", finding.detail);
    }
    // A panic is a broken rule, not the end of the test.
    let bench = try_with(json!({"wrong": "panic"}));
    let failed = bench.findings().iter().find(|finding| finding.verdict == Verdict::Failed);
    assert!(failed.expect("a panic is found").detail.contains("told to panic"));
}

#[test]
fn strategies() {
    every_rule(Kind::Strategy, testing::strategy::<WrongStrategy>);
}

#[test]
fn a_structure_that_is_recommended_twice_is_found() {
    let bench = testing::strategy::<WrongStrategy>(json!({"wrong": "twice"}));
    let finding = bench.finding("result").expect("it was tried");
    assert_eq!(finding.verdict, Verdict::Failed, "{}", finding.detail);
    assert!(finding.detail.contains("one structure twice"), "{}", finding.detail);
}

#[test]
fn architectures() {
    every_rule(Kind::Architecture, testing::architecture::<WrongArchitecture>);
}

#[test]
fn datasets() {
    every_rule(Kind::Dataset, testing::dataset::<WrongDataset>);
}

#[test]
fn prediction_metrics() {
    every_rule(Kind::PredictionMetric, testing::prediction_metric::<WrongPredictionMetric>);
}

#[test]
fn architecture_metrics() {
    every_rule(Kind::ArchitectureMetric, testing::architecture_metric::<WrongArchitectureMetric>);
}
