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
    let twice = Sample { results: [b.results.clone(), b.results.clone()].concat(), ..b };
    assert!(!compare(&[a, twice], &Plan::default()).unwrap().pairs[0].paired, "a seed twice is no key");
}

#[test]
fn a_missing_run_costs_its_pair_and_not_the_pairing() {
    let a = sample("a", &[0.50, 0.61, 0.72, 0.83, 0.90, 0.99, 0.99]);
    let b = sample("b", &[0.40, 0.50, 0.60, 0.70, 0.76, 0.84]);
    let plan = Plan::default();
    let report = compare(&[a.clone(), b.clone()], &plan).unwrap();
    let pair = &report.pairs[0];
    assert_eq!((pair.test, pair.runs, pair.left_out, pair.p), ("wilcoxon", [6, 6], [1, 0], Some(2.0 / 64.0)));
    assert!((pair.difference - 0.125).abs() < 1e-12, "of the pairs alone");
    assert_eq!(pair.why.as_deref(), Some("1 run has no counterpart and is left out"));
    let text = &sentences(&report, &plan)[0];
    assert!(text.ends_with("after Holm). 1 run has no counterpart and is left out."), "{text}");
    // Half of the larger sample is enough, less is not, nor is a single pair.
    let first = |n: usize| Sample { results: a.results[..n].to_vec(), ..a.clone() };
    let paired = |n, m| {
        let of_b = Sample { results: b.results[..m].to_vec(), ..b.clone() };
        compare(&[first(n), of_b], &plan).unwrap().pairs[0].paired
    };
    assert!(paired(6, 3) && !paired(7, 3) && !paired(2, 1));
    let mut shifted = b.clone();
    shifted.results[0].0 = Some("17".to_owned());
    let report = compare(&[a, shifted], &plan).unwrap();
    assert_eq!((report.pairs[0].runs, report.pairs[0].left_out), ([5, 5], [2, 1]));
    assert_eq!(report.pairs[0].why.as_deref(), Some("3 runs have no counterpart and are left out"));
}

#[test]
fn no_method_is_better_where_ranks_and_means_disagree() {
    // One run of x collapsed. 67 of C(16, 8) arrangements have so large a rank sum: p = 134 / 12870.
    let x: Vec<f64> = (0..8).map(|i| if i == 7 { 0.0 } else { 0.302 + f64::from(i) / 1000.0 }).collect();
    let y: Vec<f64> = (0..8).map(|i| 0.292 + f64::from(i) / 1000.0).collect();
    let plan = Plan::default();
    let verdict = |a, b, plan: &Plan| {
        let report = compare(&[a, b], plan).unwrap();
        (report.pairs[0].verdict(plan), sentences(&report, plan)[0].clone(), report.pairs[0].clone())
    };
    let (found, text, pair) = verdict(bare("x", &x), bare("y", &y), &plan);
    assert!((pair.p.unwrap() - 134.0 / 12870.0).abs() < 1e-12);
    assert_eq!((pair.method.as_str(), found), ("y", Verdict::Contradictory));
    assert!(text.starts_with("y and x differ (p = 0.0104 after Holm), but neither is better"), "{text}");
    assert!(text.ends_with("the ranks favour x and the means y."), "{text}");
    assert_eq!(pair.why.as_deref(), Some("the ranks favour x and the means y"));
    let lower = Plan { higher_is_better: false, ..Plan::default() };
    let (found, text, _) = verdict(bare("x", &x), bare("y", &y), &lower);
    assert_eq!(found, Verdict::Contradictory);
    assert!(text.ends_with("the ranks favour y and the means x."), "{text}");
    // Eleven small positive differences and a large negative one: W⁻ = 12, and 70 sums of distinct ranks
    // up to 12 are no greater: 140 / 2¹².
    let base = [0.5; 12];
    let mut moved: Vec<f64> = (0..12).map(|i| 0.5 + f64::from(i + 1) / 1024.0).collect();
    moved[11] = 0.25;
    let (found, _, pair) = verdict(sample("moved", &moved), sample("base", &base), &plan);
    assert_eq!((pair.method.as_str(), found), ("base", Verdict::Contradictory));
    assert_eq!(pair.p, Some(140.0 / 4096.0));
    assert_eq!(pair.rank_biserial, Some((12.0 - 66.0) / 78.0));
    // Student's t looks at the means alone.
    let t = Plan { test: Test::T, alpha: 0.5, ..Plan::default() };
    let (found, _, pair) = verdict(sample("moved", &moved), sample("base", &base), &t);
    assert_eq!((found, pair.rank_biserial), (Verdict::Better, None));
}

#[test]
fn ties_of_few_runs_are_counted() {
    let of = |x: &[f64], y: &[f64]| compare(&[bare("x", x), bare("y", y)], &Plan::default()).unwrap();
    let constant = of(&[0.2; 3], &[0.3; 3]);
    assert_eq!(constant.pairs[0].p, Some(0.1));
    assert_eq!(of(&[38.0, 38.0, 39.0], &[30.0, 30.0, 31.0, 31.0]).pairs[0].p, Some(2.0 / 35.0));
    assert!(sentences(&constant, &Plan::default())[0].contains("are not distinguishable (p = 0.1000"));
    let thirds = of(&[36.0 / 94.0; 3], &[35.0 / 94.0; 3]);
    let pair = &thirds.pairs[0];
    assert_eq!((pair.interval, pair.detectable), (None, None), "rounding is no spread");
    assert!(pair.why.as_ref().unwrap().contains("no spread"), "{pair:?}");
    let long: Vec<f64> = (0..26).map(|i| f64::from(i % 13)).collect();
    let p = mann_whitney(&long, &long, Alternative::TwoSided, Method::Auto, true).unwrap().p;
    assert_eq!(of(&long, &long).pairs[0].p, Some(p), "of many, the approximation is taken");
}

#[test]
fn what_is_out_of_reach_is_what_holm_cannot_reach() {
    // Six pairs have a least p of 1/32, which 0.05 allows as the second of two tests, not as the first.
    let low = |seed: u32| f64::from(seed * seed) / 100.0;
    let values =
        |n: u32, shift: f64| (0..n).map(|seed| low(seed) + shift * (1.0 + low(seed))).collect::<Vec<_>>();
    let base = sample("base", &values(10, 0.0));
    let plan = Plan { baseline: Some("base".to_owned()), ..Plan::default() };
    let (ten, six) = (sample("ten", &values(10, 0.1)), sample("six", &values(6, 0.1)));
    let report = compare(&[base.clone(), ten, six.clone()], &plan).unwrap();
    let of = |report: &Report, name: &str| report.pairs.iter().find(|p| p.method == name).unwrap().clone();
    assert_eq!((of(&report, "six").p_holm, of(&report, "six").least_p_holm), (Some(0.03125), Some(0.03125)));
    let text = sentences(&report, &plan);
    assert_eq!(text.len(), 2, "both are significant, and nothing else is said: {text:?}");
    // Four pairs have 1/8, whatever the step; that says nothing of the other.
    let four = Sample { results: base.results[..4].to_vec(), ..base.clone() };
    let plan_of_four = Plan { baseline: Some("four".to_owned()), ..Plan::default() };
    let four = Sample { method: "four".to_owned(), ..four };
    let unmatched = bare("ten", &values(10, 2.0));
    let report = compare(&[four, unmatched, sample("six", &values(6, 0.1))], &plan_of_four).unwrap();
    let text = sentences(&report, &plan_of_four);
    assert!(text.iter().any(|line| line.starts_with("ten is better than four")), "{text:?}");
    assert!(text[2].starts_with("six and four could not have been told apart at 0.05: 4 pairs"), "{text:?}");
    assert!(text[2].contains("below 0.1250 after Holm") && text.len() == 3, "{text:?}");
    // As the first of two, 2/64 is not enough: none is within reach.
    let other = sample("other", &values(6, 0.2));
    let report = compare(&[base, six, other], &plan).unwrap();
    let text = sentences(&report, &plan);
    assert!(text[2].contains("after Holm over 2 tests none below 0.0625: no result could"), "{text:?}");
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
fn equivalence_and_what_is_detectable_know_the_family() {
    let a = sample("a", &[0.50, 0.51, 0.49, 0.50, 0.52, 0.48]);
    let b = sample("b", &[0.51, 0.50, 0.50, 0.49, 0.51, 0.49]);
    let of = |family| {
        let plan = Plan { margin: Some(0.02), family, ..Plan::default() };
        let report = compare(&[a.clone(), b.clone()], &plan).unwrap();
        (report.pairs[0].clone(), sentences(&report, &plan)[0].clone())
    };
    let ((alone, said), (of_many, not_said)) = (of(None), of(Some(100)));
    let p = alone.equivalence.unwrap().p;
    assert_eq!((alone.equivalence_p_holm, of_many.equivalence.unwrap().p), (Some(p), p));
    assert!((of_many.equivalence_p_holm.unwrap() - 100.0 * p).abs() < 1e-12);
    assert!(said.contains("equivalent") && not_said.contains("not distinguishable"), "{said} {not_said}");
    let spread = alone.detectable.unwrap() / Design::Paired(6).detectable(1.0, 0.05, 0.8).unwrap();
    let first_step = Design::Paired(6).detectable(spread, 0.05 / 100.0, 0.8).unwrap();
    assert!((of_many.detectable.unwrap() / first_step - 1.0).abs() < 1e-9);
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
