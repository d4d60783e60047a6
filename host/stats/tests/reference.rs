//! Every statistic against SciPy, statsmodels, scikit-learn and definitions: see
//! `tests/fixtures/stats/README.md`.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read fails the test")]

use std::{fs, path::Path};

use nashost_stats::{
    Alternative, Method, Result, Undefined,
    bootstrap::Bootstrap,
    correlation::{Correlation, kendall, spearman},
    delong::{Auroc, AurocDifference},
    effect::dominance,
    interval::wilson,
    mann_whitney::mann_whitney,
    mcnemar::sign_test,
    mean::MeanDifference,
    multiple::{benjamini_hochberg, holm},
    power::Design,
    wilcoxon::{Settings, Zeros, wilcoxon},
};
use serde_json::Value;

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/stats").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn cases(topic: &str) -> Vec<Value> {
    fixture("reference.json")[topic].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn alternative(case: &Value) -> Alternative {
    match case["alternative"].as_str().unwrap() {
        "two-sided" => Alternative::TwoSided,
        "less" => Alternative::Less,
        "greater" => Alternative::Greater,
        other => panic!("{other}"),
    }
}

fn method(case: &Value) -> Method {
    match case["method"].as_str().unwrap() {
        "auto" => Method::Auto,
        "exact" => Method::Exact,
        "asymptotic" => Method::Asymptotic,
        other => panic!("{other}"),
    }
}

/// Absolute for numbers up to 1, and relative for tiny and large ones, where `relative` allows more.
#[track_caller]
fn near(found: f64, expected: f64, absolute: f64, relative: f64, case: &dyn std::fmt::Debug) {
    let error = (found - expected).abs();
    assert!(
        error <= absolute && error <= relative * expected.abs().max(1e-300) || error == 0.0,
        "{found} instead of {expected}: {case:?}"
    );
}

/// Compares with a p that is null where SciPy answers NaN.
#[track_caller]
fn same_p(found: Result<f64>, expected: &Value, relative: f64, case: &dyn std::fmt::Debug) {
    match (found, expected.as_f64()) {
        (Ok(p), Some(expected)) => near(p, expected, 1e-12, relative, case),
        (Err(Undefined::NoSpread { .. } | Undefined::TooFew { .. }), None) => {}
        (found, expected) => panic!("{found:?} instead of {expected:?}: {case:?}"),
    }
}

#[test]
fn mann_whitney_is_scipy_s_for_every_public_case() {
    let public = fixture("mann_whitney.json");
    let public = public["cases"].as_array().unwrap();
    assert_eq!(public.len(), 100);
    for case in public {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let continuity = case["use_continuity"].as_bool().unwrap();
        let found = mann_whitney(&x, &y, alternative(case), method(case), continuity);
        same_p(found.clone().map(|test| test.p), &case["p"], 1e-9, &case["id"]);
        if let Ok(test) = found {
            assert_eq!((test.u1, test.u2), (number(&case["U1"]), number(&case["U2"])));
            assert_eq!(test.ties, case["ties"].as_bool().unwrap());
            let effective =
                if case["effective_method"] == "exact" { Method::Exact } else { Method::Asymptotic };
            assert_eq!(test.method, effective, "{}", case["id"]);
        }
        let found = dominance(&x, &y, 0.95).unwrap();
        near(found.cliffs_delta, number(&case["cliffs_delta"]), 1e-13, 1e-12, &case["id"]);
        near(found.a12, number(&case["a12"]), 1e-13, 1e-12, &case["id"]);
    }
}

#[test]
fn mann_whitney_is_scipy_s_in_the_corners() {
    for case in cases("mann_whitney") {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let continuity = case["continuity"].as_bool().unwrap();
        let found = mann_whitney(&x, &y, alternative(&case), method(&case), continuity);
        let about = (x.len(), y.len(), &case["method"], &case["alternative"], continuity);
        // SciPy subtracts the other tail from 1 when it counts, so that tiny p lose digits.
        same_p(found.clone().map(|test| test.p), &case["p"], 1e-7, &about);
        if let Ok(test) = found {
            assert_eq!(test.u1, number(&case["u1"]), "{about:?}");
        }
    }
}

#[test]
fn wilcoxon_is_scipy_s() {
    for case in cases("wilcoxon") {
        let zeros = match case["zeros"].as_str().unwrap() {
            "wilcox" => Zeros::Wilcox,
            "pratt" => Zeros::Pratt,
            _ => Zeros::Split,
        };
        let settings = Settings {
            alternative: alternative(&case),
            method: method(&case),
            zeros,
            correction: case["correction"].as_bool().unwrap(),
        };
        let d = numbers(&case["d"]);
        let found = wilcoxon(&d, settings);
        let about = (d.len(), &settings);
        same_p(found.clone().map(|test| test.p), &case["p"], 1e-7, &about);
        if let Ok(test) = found {
            let two_sided = settings.alternative == Alternative::TwoSided;
            let statistic = if two_sided { test.plus.min(test.minus) } else { test.plus };
            assert_eq!(statistic, number(&case["statistic"]), "{about:?}");
        }
    }
}

#[test]
fn mcnemar_is_statsmodels_s() {
    for case in cases("mcnemar") {
        let (b, c) = (case["b"].as_u64().unwrap(), case["c"].as_u64().unwrap());
        // statsmodels' binomial is good to some 1e-12.
        near(sign_test(b, c), number(&case["p"]), 1e-12, 1e-10, &(b, c));
    }
}

#[test]
fn wilson_is_scipy_s() {
    for case in cases("wilson") {
        let (k, n) = (case["k"].as_u64().unwrap(), case["n"].as_u64().unwrap());
        let [low, high] = wilson(k, n, number(&case["level"])).unwrap();
        near(low, number(&case["low"]), 1e-12, 1e-9, &(k, n));
        near(high, number(&case["high"]), 1e-12, 1e-9, &(k, n));
    }
}

#[test]
fn delong_is_its_definition() {
    for case in cases("delong") {
        let (first, second) = (numbers(&case["first"]), numbers(&case["second"]));
        let positive: Vec<bool> =
            case["positive"].as_array().unwrap().iter().map(|v| v.as_bool().unwrap()).collect();
        let found = AurocDifference::of(&first, &second, &positive).unwrap();
        let (areas, variances) = (numbers(&case["auroc"]), numbers(&case["variance"]));
        for (of, (area, variance)) in [found.first, found.second].iter().zip(areas.iter().zip(&variances)) {
            near(of.auroc, *area, 1e-12, 1e-11, &first.len());
            near(of.variance, *variance, 1e-12, 1e-10, &first.len());
        }
        // Three terms cancel.
        near(found.variance, number(&case["difference_variance"]), 1e-12, 1e-9, &first.len());
        near(found.p(Alternative::TwoSided), number(&case["p"]), 1e-10, 1e-8, &first.len());
        let interval = Auroc::of(&first, &positive).unwrap().interval(0.95).unwrap();
        for (end, expected) in interval.iter().zip(numbers(&case["interval"])) {
            near(*end, expected, 1e-10, 1e-9, &first.len());
        }
    }
}

#[test]
fn corrections_are_statsmodels_s() {
    for case in cases("multiple") {
        let p = numbers(&case["p"]);
        for (found, expected) in [(holm(&p), &case["holm"]), (benjamini_hochberg(&p), &case["bh"])] {
            for (found, expected) in found.unwrap().iter().zip(numbers(expected)) {
                near(*found, expected, 1e-14, 1e-12, &p);
            }
        }
    }
}

#[test]
fn dominance_has_cliff_s_interval() {
    for case in cases("dominance") {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let found = dominance(&x, &y, 0.95).unwrap();
        near(found.cliffs_delta, number(&case["delta"]), 1e-12, 1e-11, &(&x, &y));
        near(found.a12, number(&case["a12"]), 1e-12, 1e-11, &(&x, &y));
        if !case["interval"].is_null() {
            for (end, expected) in found.delta_interval.unwrap().iter().zip(numbers(&case["interval"])) {
                near(*end, expected, 1e-9, 1e-8, &(&x, &y));
            }
        }
    }
}

#[test]
fn mean_differences_are_scipy_s_and_equivalence_is_statsmodels_s() {
    for case in cases("mean") {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let found = if case["paired"] == true {
            MeanDifference::of_pairs(&x, &y).unwrap()
        } else {
            MeanDifference::of_samples(&x, &y).unwrap()
        };
        near(found.freedom, number(&case["df"]), 1e-9, 1e-12, &x.len());
        near(found.p(0.0, Alternative::TwoSided), number(&case["p"]), 1e-12, 1e-9, &x.len());
        near(found.p(0.0, Alternative::Less), number(&case["less"]), 1e-12, 1e-9, &x.len());
        let margin = number(&case["margin"]);
        near(found.equivalence(margin).unwrap().p, number(&case["tost"]), 1e-12, 1e-9, &x.len());
        for (end, expected) in found.interval(0.95).unwrap().iter().zip(numbers(&case["interval"])) {
            near(*end, expected, 1e-9, 1e-9, &x.len());
        }
    }
}

#[test]
fn detectable_differences_are_statsmodels_s() {
    for case in cases("power") {
        let n1 = case["n1"].as_u64().unwrap() as usize;
        let design = match case["n2"].as_u64() {
            None => Design::Paired(n1),
            Some(n2) => Design::Independent(n1, n2 as usize),
        };
        let found = design.detectable(1.0, number(&case["alpha"]), number(&case["power"])).unwrap();
        // statsmodels searches to some 1e-8.
        near(found, number(&case["effect"]), 1e-3, 1e-6, &(design, &case["alpha"]));
    }
}

#[test]
fn correlations_are_scipy_s() {
    for case in cases("correlation") {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let compare = |found: Result<Correlation>, coefficient: &str, p: &str, relative: f64| {
            let about = (coefficient, x.len(), &case["alternative"]);
            let Some(expected) = case[coefficient].as_f64() else {
                assert!(found.is_err(), "{about:?}");
                return;
            };
            let found = found.unwrap();
            near(found.coefficient, expected, 1e-12, 1e-9, &about);
            match (found.p, case[p].as_f64()) {
                (Some(found), Some(expected)) => near(found, expected, 1e-12, relative, &about),
                (found, expected) => assert_eq!(found, expected, "{about:?}"),
            }
        };
        // At ρ near ±1 the last digit of ρ decides t.
        compare(spearman(&x, &y, alternative(&case)), "rho", "rho_p", 1e-7);
        compare(kendall(&x, &y, alternative(&case)), "tau", "tau_p", 1e-7);
    }
}

#[test]
fn bootstrap_intervals_are_the_textbook_s() {
    for case in cases("bca") {
        let found = Bootstrap::from_values(
            number(&case["estimate"]),
            numbers(&case["replicates"]),
            numbers(&case["jackknife"]),
        );
        let found = found.unwrap();
        for (interval, expected) in
            [(found.percentile(0.95), &case["percentile"]), (found.bca(0.95), &case["bca"])]
        {
            for (end, expected) in interval.unwrap().iter().zip(numbers(expected)) {
                near(*end, expected, 1e-9, 1e-9, &case["estimate"]);
            }
        }
    }
}

#[test]
fn the_study_s_tests_come_out_as_scipy_says() {
    let file = fixture("study_tests.json");
    let mut compared = 0;
    for test in file["tests"].as_array().unwrap() {
        let (Some(_), Some(_)) = (test["sample_A"].as_array(), test["sample_B"].as_array()) else { continue };
        let (x, y) = (numbers(&test["sample_A"]), numbers(&test["sample_B"]));
        for variant in test["variants"].as_array().into_iter().flatten() {
            let continuity = variant["use_continuity"].as_bool().unwrap();
            let found = mann_whitney(&x, &y, alternative(variant), method(variant), continuity);
            same_p(found.map(|test| test.p), &variant["p"], 1e-9, &(&test["id"], variant));
            compared += 1;
        }
    }
    assert!(compared > 80, "{compared}");
}
