use super::*;
use crate::run::{
    events::{Baseline, RunEvent},
    testing,
    trial::TrialEvent,
};

fn state(events: Vec<RunEvent>) -> State {
    let records: Vec<_> =
        events.into_iter().zip(1..).map(|(event, seq)| testing::record(seq, event)).collect();
    State::fold(&records).unwrap()
}

fn summary() -> Summary {
    Summary::of(&state(testing::run()))
}

#[test]
fn the_answer_holds_what_was_measured() {
    let summary = summary();
    assert_eq!((summary.schema_version, summary.status.as_str()), (1, "done"));
    assert_eq!(summary.n, BTreeMap::from([(Part::Train, 100), (Part::Val, 20), (Part::Test, 20)]));
    let [method] = &summary.methods[..] else { panic!("one method: {:?}", summary.methods) };
    assert_eq!((method.method.as_str(), method.seeds), ("zennas", 1));
    assert_eq!(method.trials, BTreeMap::from([("done".to_owned(), 1), ("failed".to_owned(), 1)]));
    let f1 = &method.test["macro_f1"];
    assert_eq!(
        (f1.mean, f1.sd, f1.ci95, &f1.per_seed[..]),
        (Some(0.25), None, Some([0.125, 0.375]), &[Some(0.25)][..])
    );
    assert_eq!(method.test["macro_auroc"].mean, None);
    let label = &method.per_label[1];
    assert_eq!((label.support, label.metrics["auroc"].mean), (Some(0), None));
    assert_eq!(label.metrics["auroc"].why.as_deref(), Some("no positive"));
    assert_eq!(method.archs.len(), 1, "both trials have the same structure");
    let [baseline] = &summary.baselines[..] else { panic!("one baseline") };
    assert_eq!((baseline.method.as_str(), baseline.test["macro_f1"].mean), ("all-positive", Some(0.5)));
    let search = summary.search.as_ref().unwrap();
    assert_eq!((search.candidates, search.rejected["params"]), (3, 1));
}

#[test]
fn the_answer_reads_back_and_fits_its_schema() {
    let summary = summary();
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(serde_json::from_value::<Summary>(json.clone()).unwrap(), summary);
    let schema = serde_json::to_value(schemars::schema_for!(Summary)).unwrap();
    jsonschema::validate(&schema, &json).unwrap();
}

#[test]
fn every_event_fits_the_schema_of_events() {
    let schema = serde_json::to_value(schemars::schema_for!(crate::run::events::Record)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (event, seq) in testing::run().into_iter().zip(1..) {
        let json = serde_json::to_value(testing::record(seq, event)).unwrap();
        validator.validate(&json).unwrap();
    }
}

#[test]
fn readers_are_warned() {
    let warnings = summary().warnings;
    for expected in [
        "this plugin reads no images",
        "test set has 20 images: differences under ~0.22 cannot be resolved",
        "fewer than 10 positives in the test set: Fracture (9), Dislocation, \"old\" (0)",
        "zennas: one seed only",
        "macro_f1 0.250 is not better than the trivial predictor all-positive (0.500)",
    ] {
        assert!(warnings.iter().any(|w| w.contains(expected)), "{expected} is missing in {warnings:#?}");
    }
    assert_eq!(warnings.len(), 5, "{warnings:#?}");
}

#[test]
fn a_trivial_predictor_within_the_interval_is_named_and_one_below_is_not() {
    let with = |baseline: f64| {
        let mut events = testing::run();
        for event in &mut events {
            if let RunEvent::Baseline(Baseline { test, .. }) = event {
                *test = testing::metrics(baseline);
            }
        }
        Summary::of(&state(events)).warnings.iter().any(|w| w.contains("trivial predictor"))
    };
    // The method has 0.25 with an interval from 0.125 to 0.375.
    assert!(with(0.25) && with(0.2) && with(0.125));
    assert!(!with(0.12));
}

#[test]
fn a_run_without_any_event_has_an_answer() {
    let summary = Summary::of(&State::default());
    assert_eq!((summary.status.as_str(), summary.methods.len(), summary.warnings.len()), ("running", 0, 0));
}

#[test]
fn seeds_are_listed_in_the_order_of_the_trials() {
    let mut events = testing::run();
    events.pop();
    events.extend([
        testing::queued(2, 2),
        testing::trial(2, 2, TrialEvent::Started { params: 4, macs: 2 }),
        testing::trial(2, 2, testing::finished(0.75)),
    ]);
    let summary = Summary::of(&state(events));
    let f1 = &summary.methods[0].test["macro_f1"];
    assert_eq!(f1.per_seed, [Some(0.25), Some(0.75)]);
    assert_eq!((f1.mean, f1.ci95), (Some(0.5), Some([0.375, 0.625])));
    assert_eq!(summary.methods[0].trials["failed"], 0);
}
