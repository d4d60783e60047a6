use super::*;

fn sample(method: &str, values: &[f64]) -> Sample {
    let results = values.iter().enumerate().map(|(seed, value)| (Some(format!("{}", seed + 1)), *value));
    Sample { method: method.to_owned(), results: results.collect() }
}

fn bare(method: &str, values: &[f64]) -> Sample {
    Sample { method: method.to_owned(), results: values.iter().map(|value| (None, *value)).collect() }
}

#[test]
fn seeds_that_match_are_paired_and_others_are_not() {
    let a = sample("a", &[0.50, 0.61, 0.72, 0.83, 0.90, 0.99]);
    let b = sample("b", &[0.40, 0.50, 0.60, 0.70, 0.76, 0.84]);
    let report = compare(&[a.clone(), b.clone()], &Plan::default()).unwrap();
    let pair = &report.pairs[0];
    assert!(pair.paired && pair.test == "wilcoxon");
    assert_eq!(pair.p, Some(2.0 / 64.0));
    assert_eq!(pair.p_holm, pair.p);
    let unequal = Sample { results: b.results[..5].to_vec(), ..b.clone() };
    let report = compare(&[a.clone(), unequal], &Plan::default()).unwrap();
    assert!(!report.pairs[0].paired && report.pairs[0].test == "mann-whitney");
    let twice = Sample { results: [b.results.clone(), b.results.clone()].concat(), ..b };
    assert!(!compare(&[a, twice], &Plan::default()).unwrap().pairs[0].paired, "a seed twice is no key");
}

#[test]
fn the_best_comes_first_and_the_baseline_is_compared_with_all() {
    let samples =
        [bare("low", &[0.1, 0.2, 0.3]), bare("high", &[0.8, 0.9, 0.7]), bare("base", &[0.4, 0.5, 0.6])];
    let names = |report: &Report| report.methods.iter().map(|row| row.method.clone()).collect::<Vec<_>>();
    let plan = Plan { baseline: Some("base".to_owned()), ..Plan::default() };
    let report = compare(&samples, &plan).unwrap();
    assert_eq!(names(&report), ["high", "base", "low"]);
    let pairs: Vec<_> =
        report.pairs.iter().map(|pair| (pair.method.as_str(), pair.against.as_str())).collect();
    assert_eq!(pairs, [("high", "base"), ("low", "base")]);
    assert!((report.pairs[1].difference + 0.3).abs() < 1e-12);
    let each = compare(&samples, &Plan { higher_is_better: false, ..Plan::default() }).unwrap();
    assert_eq!((names(&each)[0].as_str(), each.pairs.len(), each.family), ("low", 3, 3));
    let wrong = compare(&samples, &Plan { baseline: Some("bsae".to_owned()), ..Plan::default() });
    assert!(matches!(wrong, Err(CompareError::Baseline { known, .. }) if known.len() == 3));
    assert!(matches!(compare(&samples[..1], &Plan::default()), Err(CompareError::Methods(1))));
}

#[test]
fn a_declared_family_counts_even_where_only_a_part_is_compared() {
    let samples = [bare("a", &[1.0, 2.0, 3.0, 4.0, 5.0]), bare("b", &[6.0, 7.0, 8.0, 9.0, 10.0])];
    let report = compare(&samples, &Plan { family: Some(36), ..Plan::default() }).unwrap();
    assert!((report.pairs[0].p_holm.unwrap() - 36.0 * 2.0 / 252.0).abs() < 1e-12);
    let sentences = sentences(&report, &Plan::default());
    assert!(sentences.last().unwrap().contains("none below 0.2857"), "{sentences:?}");
    let small = compare(&samples, &Plan { family: Some(0), ..Plan::default() });
    assert!(matches!(small, Err(CompareError::Family { family: 0, tests: 1 })));
}

#[test]
fn too_few_runs_are_told_and_equal_ones_are_not_called_equal() {
    let (a, b) = (sample("a", &[0.5, 0.6, 0.7]), sample("b", &[0.1, 0.15, 0.3]));
    let report = compare(&[a.clone(), b.clone()], &Plan::default()).unwrap();
    let text = sentences(&report, &Plan::default()).join("\n");
    assert!(text.contains("a and b are not distinguishable (p = 0.2500"), "{text}");
    assert!(text.contains("does not mean that they are equal"), "{text}");
    assert!(text.contains("3 pairs of runs cannot give a p below 0.2500"), "{text}");
    assert!(!text.contains("sees a true difference"), "no difference would have been seen: {text}");
    let noisy = [sample("a", &[0.5, 0.1, 0.7, 0.2, 0.6, 0.3]), sample("b", &[0.4, 0.3, 0.5, 0.5, 0.3, 0.4])];
    let text = sentences(&compare(&noisy, &Plan::default()).unwrap(), &Plan::default()).join("\n");
    assert!(text.contains("a t test of 6 pairs of runs sees a true difference of 0."), "{text}");
    let t = Plan { test: Test::T, ..Plan::default() };
    let report = compare(&[a, b], &t).unwrap();
    assert!(report.pairs[0].p.unwrap() < 0.05 && report.pairs[0].least_p.is_none());
    assert!(sentences(&report, &t)[0].starts_with("a is better than b by 0.4167"));
}

#[test]
fn equivalence_needs_a_margin() {
    let a = sample("a", &[0.50, 0.51, 0.49, 0.50, 0.52, 0.48]);
    let b = sample("b", &[0.51, 0.50, 0.50, 0.49, 0.51, 0.49]);
    let plan = Plan { margin: Some(0.05), ..Plan::default() };
    let report = compare(&[a.clone(), b.clone()], &plan).unwrap();
    let text = sentences(&report, &plan)[0].clone();
    assert!(text.contains("are equivalent within ±0.05"), "{text}");
    assert_eq!(compare(&[a, b], &Plan::default()).unwrap().pairs[0].equivalence, None);
}

#[test]
fn a_missing_number_has_its_reason() {
    let report = compare(&[bare("a", &[0.5]), bare("b", &[0.4])], &Plan::default()).unwrap();
    let pair = &report.pairs[0];
    assert_eq!((pair.interval, pair.detectable, pair.p), (None, None, Some(1.0)));
    assert!(pair.why.as_ref().unwrap().contains("at least 2 are needed"), "{pair:?}");
    let same = compare(&[sample("a", &[0.5; 4]), sample("b", &[0.5; 4])], &Plan::default()).unwrap();
    assert_eq!(same.pairs[0].p, Some(1.0));
    assert!(same.pairs[0].why.as_ref().unwrap().contains("no spread"));
    let nan = compare(&[bare("a", &[f64::NAN]), bare("b", &[0.4])], &Plan::default());
    assert!(matches!(nan, Err(CompareError::Method { .. })));
}
