//! What holds for any predictions.

use nashost_plugin_api::{
    dataset::Target::{Negative, NotAssessed, Positive},
    metric::{Direction, MetricValue},
};
use proptest::prelude::*;

use super::*;

/// Tables with ties, labels not assessed, and any thresholds.
fn tables() -> impl Strategy<Value = Table> {
    (1..5_usize, 0..25_usize).prop_flat_map(|(labels, images)| {
        let score = prop_oneof![0.0..=1.0, (0..=4_u8).prop_map(|quarter| f64::from(quarter) / 4.0)];
        let target = prop_oneof![4 => Just(Negative), 3 => Just(Positive), 1 => Just(NotAssessed)];
        (
            prop::collection::vec(score, labels * images),
            prop::collection::vec(target, labels * images),
            prop::collection::vec(0.0..=1.0, labels),
        )
            .prop_map(move |(scores, targets, thresholds)| Table {
                labels,
                scores,
                targets,
                thresholds,
            })
    })
}

fn values(report: &MetricReport) -> impl Iterator<Item = (&str, &MetricValue)> {
    let overall = report.overall.iter().map(|(name, value)| (name.as_str(), value));
    overall.chain(
        report.per_label.iter().flat_map(|(name, all)| all.iter().map(move |value| (name.as_str(), value))),
    )
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-12,
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// The definition: every pair of a positive and a negative.
fn auroc_by_pairs(table: &Table, label: usize) -> Option<f64> {
    let of = |wanted: Target| {
        let all = table.targets.iter().zip(&table.scores).skip(label).step_by(table.labels);
        all.filter(move |(target, _)| **target == wanted).map(|(_, score)| *score).collect::<Vec<f64>>()
    };
    let (positives, negatives) = (of(Positive), of(Negative));
    let wins: f64 = positives
        .iter()
        .flat_map(|p| {
            negatives.iter().map(move |n| {
                if p > n {
                    1.0
                } else if p == n {
                    0.5
                } else {
                    0.0
                }
            })
        })
        .sum();
    let pairs = positives.len() * negatives.len();
    (pairs > 0).then(|| wins / pairs as f64)
}

proptest! {
    #[test]
    fn values_lie_in_their_range_and_have_a_reason_when_undefined(table in tables()) {
        for (name, value) in values(&evaluate_all(&table)) {
            let low = if name.ends_with("mcc") { -1.0 } else { 0.0 };
            match value.value {
                Some(v) => prop_assert!((low..=1.0 + 1e-12).contains(&v), "{name} = {v}"),
                None => prop_assert!(value.why.is_some(), "{name}"),
            }
        }
    }

    #[test]
    fn the_order_of_images_does_not_matter(
        (table, order) in tables().prop_flat_map(|table| {
            let images = table.scores.len() / table.labels;
            (Just(table), Just((0..images).collect::<Vec<_>>()).prop_shuffle())
        })
    ) {
        let (a, b) = (evaluate_all(&table), evaluate_all(&table.reordered(&order)));
        for ((name, a), (_, b)) in values(&a).zip(values(&b)) {
            prop_assert!(close(a.value, b.value), "{name}: {a:?} and {b:?}");
            prop_assert_eq!((a.support, &a.why), (b.support, &b.why));
        }
    }

    #[test]
    fn auroc_is_the_share_of_pairs_in_order(table in tables()) {
        let report = evaluate_all(&table);
        for label in 0..table.labels {
            let got = report.per_label["auroc"][label].value;
            prop_assert!(close(got, auroc_by_pairs(&table, label)), "{got:?}");
        }
    }

    #[test]
    fn reversed_scores_turn_auroc_around(table in tables()) {
        // Multiples of 2⁻²⁰, so that 1 − s is exact and keeps the order.
        let scores: Vec<f64> =
            table.scores.iter().map(|s| (s * f64::from(1 << 20)).round() / f64::from(1 << 20)).collect();
        let table = Table { scores, ..table };
        let reversed = Table { scores: table.scores.iter().map(|s| 1.0 - s).collect(), ..table.clone() };
        let (a, b) = (evaluate_all(&table), evaluate_all(&reversed));
        for label in 0..table.labels {
            let (a, b) = (a.per_label["auroc"][label].value, b.per_label["auroc"][label].value);
            prop_assert!(close(a.map(|a| 1.0 - a), b), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn labels_not_assessed_may_have_any_score(table in tables(), score in 0.0..=1.0) {
        let mut other = table.clone();
        for (slot, target) in other.scores.iter_mut().zip(&table.targets) {
            if *target == NotAssessed {
                *slot = score;
            }
        }
        prop_assert_eq!(evaluate_all(&table), evaluate_all(&other));
    }

    #[test]
    fn perfect_predictions_are_perfect(table in tables()) {
        let table = Table {
            scores: table.targets.iter().map(|t| f64::from(u8::from(*t == Positive))).collect(),
            thresholds: vec![0.5; table.labels],
            ..table
        };
        let report = evaluate_all(&table);
        let directions: std::collections::BTreeMap<String, Direction> = components()
            .iter()
            .flat_map(|(_, component)| component.outputs())
            .map(|output| (output.name, output.direction))
            .collect();
        for (name, value) in values(&report).filter(|(name, _)| !name.starts_with("study_")) {
            let best = if directions[name] == Direction::Higher { 1.0 } else { 0.0 };
            prop_assert!(value.value.is_none_or(|v| v == best), "{name}: {value:?}");
        }
    }
}

#[test]
fn components_answer_what_they_declare() {
    let table = Table {
        labels: 2,
        scores: vec![0.2, 0.7, 0.6, 0.1],
        targets: vec![Negative, Positive, Positive, Negative],
        thresholds: vec![0.5, 0.5],
    };
    let mut seen = std::collections::BTreeSet::new();
    for (id, component) in components() {
        let report = component.evaluate(&table.view()).unwrap();
        let declared = |per_label: bool| -> Vec<String> {
            let mut names: Vec<String> = component
                .outputs()
                .into_iter()
                .filter(|output| output.per_label == per_label)
                .map(|output| output.name)
                .collect();
            names.sort();
            names
        };
        assert_eq!(declared(false), report.overall.keys().cloned().collect::<Vec<_>>(), "{id}");
        assert_eq!(declared(true), report.per_label.keys().cloned().collect::<Vec<_>>(), "{id}");
        for output in component.outputs() {
            assert!(!output.description.is_empty(), "{id}");
            assert!(seen.insert(output.name.clone()), "{} comes from two components", output.name);
        }
    }
}

#[test]
fn every_component_refuses_scores_that_are_no_probabilities() {
    let table = Table {
        labels: 2,
        scores: vec![0.2, 0.7, 0.6, f64::NAN],
        targets: vec![Negative, Positive, Positive, Negative],
        thresholds: vec![0.5, 0.5],
    };
    for (id, component) in components() {
        let error = component.evaluate(&table.view()).unwrap_err();
        assert!(error.contains("image 1, label 1 is NaN"), "{id}: {error}");
    }
}
