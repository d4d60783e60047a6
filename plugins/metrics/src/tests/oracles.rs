//! The values against scikit-learn's and against the matrices that the 2023 study recorded.
//!
//! Tolerance 1e-12: both sides add the same terms in different orders.

use nashost_plugin_api::metric::MetricValue;
use serde_json::Value;

use super::*;

const TOLERANCE: f64 = 1e-12;

#[track_caller]
fn same(what: &str, got: &MetricValue, expected: &Value) {
    match (got.value, expected.as_f64()) {
        (None, None) => assert!(got.why.is_some(), "{what}: undefined without a reason"),
        (Some(a), Some(b)) => assert!((a - b).abs() <= TOLERANCE, "{what}: {a}, expected {b}"),
        _ => panic!("{what}: {got:?}, expected {expected}"),
    }
}

/// As [`same`], where the oracle says 0 for what is undefined.
#[track_caller]
fn same_or_zero(what: &str, got: &MetricValue, expected: &Value) {
    let zero = MetricValue::new(0.0, got.support);
    same(what, if got.value.is_none() { &zero } else { got }, expected);
}

#[test]
fn equals_scikit_learn_on_our_own_cases() {
    let cases = json("sklearn.json");
    for (number, case) in cases.as_array().unwrap().iter().enumerate() {
        let thresholds: Vec<f64> =
            case["thresholds"].as_array().unwrap().iter().map(|t| t.as_f64().unwrap()).collect();
        let table = Table {
            labels: thresholds.len(),
            scores: numbers(&case["scores"]),
            targets: targets(&case["truth"]),
            thresholds,
        };
        let report = evaluate_all(&table);
        let place = |name: &str| format!("case {number} ({}), {name}", case["kind"]);
        let expected = &case["expected"];
        for (name, value) in expected["overall"].as_object().unwrap() {
            same(&place(name), &report.overall[name], value);
        }
        for (label, values) in expected["per_label"].as_array().unwrap().iter().enumerate() {
            for (name, value) in values.as_object().unwrap() {
                same(&place(&format!("{name}[{label}]")), &report.per_label[name][label], value);
            }
        }
        // Nothing that a component answers escapes the comparison.
        let ours = |name: &&String| !name.starts_with("study_");
        assert_eq!(
            report.overall.keys().filter(ours).count(),
            expected["overall"].as_object().unwrap().len()
        );
        let first = &expected["per_label"][0];
        assert_eq!(report.per_label.keys().filter(ours).count(), first.as_object().unwrap().len());
    }
}

/// Checks what depends on decisions only.
fn check_decisions(place: &str, table: &Table, expected: &Value) {
    let report = evaluate_all(table);
    let (n, labels) = ((table.scores.len() / table.labels) as f64, table.labels as f64);
    let overall = |name: &str| &report.overall[name];
    same(place, overall("subset_accuracy"), &expected["subset_accuracy"]);
    same(place, overall("study_subset_accuracy"), &expected["subset_accuracy"]);
    same(place, overall("hamming_loss"), &expected["hamming_loss"]);
    same(place, overall("macro_label_accuracy"), &expected["label_accuracy_mean"]);
    same(place, overall("study_macro_accuracy"), &expected["label_accuracy_mean"]);
    same(place, overall("study_macro_f1"), &expected["macro_f1"]);
    same(place, overall("study_macro_precision"), &expected["macro_precision"]);
    same(place, overall("study_macro_sensitivity"), &expected["macro_recall"]);
    same(place, overall("study_macro_specificity"), &expected["macro_specificity"]);
    same_or_zero(place, overall("micro_f1"), &expected["micro_f1"]);
    // With zero_division=0 the undefined terms of a mean are 0, so only its denominator differs.
    let with_zeros = |name: &str, all: f64| {
        let value = overall(name);
        MetricValue::new(value.value.unwrap_or(0.0) * value.support as f64 / all, value.support)
    };
    same(place, &with_zeros("macro_f1", labels), &expected["macro_f1"]);
    same(place, &with_zeros("macro_precision", labels), &expected["macro_precision"]);
    same(place, &with_zeros("macro_recall", labels), &expected["macro_recall"]);
    same(place, &with_zeros("macro_specificity", labels), &expected["macro_specificity"]);
    for name in ["samples_f1", "samples_jaccard"] {
        let one_label = table.labels == 1;
        same(place, &if one_label { overall(name).clone() } else { with_zeros(name, n) }, &expected[name]);
    }

    for (label, values) in expected["per_label"].as_array().unwrap().iter().enumerate() {
        let place = format!("{place}, label {label}");
        let per_label = |name: &str| &report.per_label[name][label];
        for (ours, theirs) in [
            ("study_accuracy", "accuracy"),
            ("study_precision", "precision"),
            ("study_sensitivity", "recall"),
            ("study_specificity", "specificity"),
            ("study_f1", "f1_paper"),
            ("study_fpr", "fpr_paper"),
            ("study_fnr", "fnr_paper"),
            ("study_weighted", "weighted_tpr_fpr_paper"),
            ("label_accuracy", "accuracy"),
            ("balanced_accuracy", "balanced_accuracy"),
        ] {
            same(&format!("{place}, {ours}"), per_label(ours), &values[theirs]);
        }
        for name in ["f1", "precision", "recall", "specificity", "mcc"] {
            same_or_zero(&format!("{place}, {name}"), per_label(name), &values[name]);
        }
        assert_eq!(per_label("f1").support, values["n_pos"].as_u64().unwrap(), "{place}");
    }
}

#[test]
fn equals_the_public_oracle() {
    for case in json("oracle_metrics_public.json")["cases"].as_array().unwrap() {
        let place = format!("case {} ({})", case["id"], case["kind"]);
        let expected = &case["expected"];
        let labels = case["L"].as_u64().unwrap() as usize;
        let targets = targets(&case["y_true"]);
        let decided = Table {
            labels,
            scores: numbers(&case["y_pred"]),
            targets: targets.clone(),
            thresholds: vec![0.5; labels],
        };
        check_decisions(&place, &decided, expected);

        let scored = Table { scores: numbers(&case["y_score"]), ..decided };
        if case["pred_is_score_gt_0_5"].as_bool().unwrap() {
            check_decisions(&place, &scored, expected);
        }
        let report = evaluate_all(&scored);
        for (ours, theirs) in [("auroc", "roc_auc"), ("average_precision", "average_precision")] {
            let (mean, number) = (format!("macro_{theirs}_defined"), format!("n_{theirs}_defined"));
            same(&place, &report.overall[&format!("macro_{ours}")], &expected[&mean]);
            assert_eq!(
                report.overall[&format!("macro_{ours}")].support,
                expected[&number].as_u64().unwrap(),
                "{place}"
            );
        }
        for (label, values) in expected["per_label"].as_array().unwrap().iter().enumerate() {
            let place = format!("{place}, label {label}");
            same(&place, &report.per_label["auroc"][label], &values["roc_auc"]);
            same(&place, &report.per_label["average_precision"][label], &values["average_precision"]);
            same(&place, &report.per_label["brier"][label], &values["brier"]);
        }
    }
}

#[test]
fn reproduces_the_matrices_the_study_recorded() {
    for case in json("oracle_real_predictions_public.json")["cases"].as_array().unwrap() {
        let place = format!("recorded matrix {}", case["id"]);
        let labels = case["labels"].as_array().unwrap().len();
        let table = Table {
            labels,
            scores: numbers(&case["y_pred"]),
            targets: targets(&case["y_true"]),
            thresholds: vec![0.5; labels],
        };
        check_decisions(&place, &table, &case["expected"]);

        // Whole numbers leave no room for a tolerance: the same quotients, bit by bit.
        let report = evaluate_all(&table);
        let bits = |value: &MetricValue| value.value.unwrap().to_bits();
        let expected_bits = |value: &Value| value.as_f64().unwrap().to_bits();
        assert_eq!(
            bits(&report.overall["study_subset_accuracy"]),
            expected_bits(&case["expected"]["subset_accuracy"])
        );
        for (label, values) in case["expected"]["per_label"].as_array().unwrap().iter().enumerate() {
            for (ours, theirs) in [
                ("study_accuracy", "accuracy"),
                ("study_precision", "precision"),
                ("study_sensitivity", "recall"),
                ("study_specificity", "specificity"),
                ("study_f1", "f1_paper"),
                ("study_fpr", "fpr_paper"),
                ("study_fnr", "fnr_paper"),
            ] {
                let got = &report.per_label[ours][label];
                assert_eq!(bits(got), expected_bits(&values[theirs]), "{place}, {ours}[{label}]");
            }
        }

        // And what the notebook printed, in percent with four digits.
        for (ours, theirs) in [
            ("study_subset_accuracy", "printed_subset_accuracy_pct"),
            ("study_macro_f1", "printed_macro_f1_pct"),
        ] {
            if let Some(percent) = case[theirs].as_f64() {
                let got = 100.0 * report.overall[ours].value.unwrap();
                assert!((got - percent).abs() <= 0.5e-4 + 1e-9, "{place}, {ours}: {got}, printed {percent}");
            }
        }
    }
}

/// The study's trivial predictors on its own test labels (percent, three digits).
#[test]
fn trivial_predictors_on_the_study_s_test_labels() {
    for (set, finding, subset_accuracy, finding_f1, all_f1) in
        [("neck", "Alignment", 37.234, 8.904, 30.414), ("elbow", "supracondylar", 27.811, 5.036, 17.707)]
    {
        let text = std::fs::read_to_string(fixture(&format!("phantom_{set}_test.csv"))).unwrap();
        let mut lines = text.lines().map(|line| line.split(',').skip(2));
        let names: Vec<&str> = lines.next().unwrap().collect();
        let targets: Vec<_> =
            lines.flatten().map(|cell| Target::from_code(cell.parse().unwrap()).unwrap()).collect();
        let labels = names.len();
        let predict = |score: &dyn Fn(usize) -> f64| {
            let scores = (0..targets.len()).map(|at| score(at % labels)).collect();
            evaluate_all(&Table { labels, scores, targets: targets.clone(), thresholds: vec![0.5; labels] })
        };
        let percent = |value: &MetricValue| (value.value.unwrap() * 100_000.0).round() / 1000.0;

        let only_finding = predict(&|label| f64::from(u8::from(names[label] == finding)));
        assert_eq!(percent(&only_finding.overall["subset_accuracy"]), subset_accuracy, "{set}");
        assert_eq!(percent(&only_finding.overall["study_macro_f1"]), finding_f1, "{set}");
        let all = predict(&|_| 1.0);
        assert_eq!(percent(&all.overall["macro_f1"]), all_f1, "{set}");
        assert_eq!(percent(&all.overall["study_macro_f1"]), all_f1, "{set}");
        // Constant scores rank nothing.
        assert_eq!(all.overall["macro_auroc"].value, Some(0.5), "{set}");
    }
}
