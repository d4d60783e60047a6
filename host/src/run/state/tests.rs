use super::*;
use crate::run::testing;

fn records(events: Vec<RunEvent>) -> Vec<Record> {
    events.into_iter().zip(1..).map(|(event, seq)| testing::record(seq, event)).collect()
}

#[test]
fn the_events_of_a_run_add_up() {
    let state = State::fold(&records(testing::run())).unwrap();
    assert_eq!(state.run_id(), testing::RUN_ID);
    let search = state.search.as_ref().unwrap();
    assert_eq!((search.candidates, search.best), (3, Some(2.5)));
    assert!(search.finished.is_some());
    let phases: Vec<_> = state.trials.values().map(TrialState::phase).collect();
    assert_eq!(phases, ["done", "failed"]);
    assert_eq!(state.trials[&1].epochs.len(), 2);
    assert_eq!(state.trials[&1].train_seconds(), 3.0);
    assert_eq!(state.trials[&2].failure().unwrap().failure.code, "E0601");
    assert!(state.finished.is_some());
}

#[test]
fn steps_of_a_one_shot_search_come_in_their_order() {
    let state = State::fold(&records(testing::one_shot())).unwrap();
    let search = state.search.as_ref().unwrap();
    assert_eq!((search.steps.len(), search.candidates), (2, 0));
    assert!(search.plan.as_ref().is_some_and(|plan| plan.roles.contains("folds")));
    assert_eq!(search.details.as_ref().unwrap()["alphas"][0], 0.5);
    for step in [0, 2, 4] {
        let event = testing::one_shot_step(step);
        assert_eq!(state.check(&event).unwrap_err().code, "E0710", "step {step}");
    }
    assert!(state.check(&testing::one_shot_step(3)).is_ok());
}

#[test]
fn folding_in_two_parts_is_folding_at_once() {
    let records = records(testing::run());
    let whole = State::fold(&records).unwrap();
    for cut in 0..records.len() {
        let mut state = State::fold(&records[..cut]).unwrap();
        for record in &records[cut..] {
            state.apply(record);
        }
        assert_eq!(state, whole, "cut after {cut} events");
    }
}

#[test]
fn trials_keep_the_normalisation_that_they_were_queued_with() {
    let mut events = testing::run();
    let ready =
        |events: &[RunEvent]| match events.iter().find(|event| matches!(event, RunEvent::DataReady(_))) {
            Some(RunEvent::DataReady(ready)) => ready.clone(),
            _ => panic!("a run has data"),
        };
    let before = ready(&events);
    let after = DataReady {
        normalisation: Some(Normalisation { mean: vec![0.5], std: vec![0.3] }),
        ..before.clone()
    };
    assert!(before.is_same(&DataReady { cached: !before.cached, seconds: 9.0, ..before.clone() }));
    assert!(!before.is_same(&after));
    events.extend([RunEvent::DataReady(after.clone()), testing::queued(2, 2)]);
    let state = State::fold(&records(events)).unwrap();
    assert_eq!(state.trials[&1].normalisation, before.normalisation);
    assert_eq!(state.trials[&2].normalisation, after.normalisation);
}

#[test]
fn a_second_attempt_goes_on_from_the_epochs_of_the_first() {
    let mut events = testing::run();
    let again = testing::queued(2, 2);
    let epoch = |n, loss| testing::trial(2, 2, TrialEvent::Epoch(testing::epoch(n, loss)));
    events.extend([again, epoch(1, 0.5), epoch(2, 0.4), epoch(1, 0.3)]);
    let state = State::fold(&records(events)).unwrap();
    let trial = &state.trials[&2];
    assert_eq!((trial.phase(), trial.request.attempt), ("queued", 2));
    assert_eq!(trial.epochs.keys().collect::<Vec<_>>(), [&1], "training again from the start drops epoch 2");
    assert_eq!(trial.epochs[&1].train_loss, 0.3);
    assert!(state.finished.is_none(), "the run goes on");
}

#[test]
fn a_run_is_complete_when_it_is_done_and_no_trial_is_open() {
    let mut events = testing::run();
    let state = State::fold(&records(events.clone())).unwrap();
    assert!(state.is_complete(3));
    assert_eq!(state.given_up(3).map(|trial| trial.request.trial).collect::<Vec<_>>(), [2]);
    let done = events.last().unwrap().clone();
    assert!(matches!(done, RunEvent::RunFinished { ending: Ending::Done, .. }), "{done:?}");
    events.extend([testing::queued(2, 2), done]);
    let state = State::fold(&records(events)).unwrap();
    assert!(!state.is_complete(3), "trial 2 waits");
    assert_eq!(state.given_up(3).count(), 0);
}

#[test]
fn events_that_cannot_follow_are_refused() {
    let state = State::fold(&records(testing::run())).unwrap();
    let events = [
        testing::run().remove(0),
        RunEvent::Candidate(testing::candidate(2, 1.0)),
        testing::queued(1, 3),
        testing::queued(3, 2),
        testing::trial(1, 2, TrialEvent::Started { params: 1, macs: 1 }),
        testing::trial(9, 1, TrialEvent::Started { params: 1, macs: 1 }),
    ];
    for event in events {
        assert_eq!(state.check(&event).unwrap_err().code, "E0710", "{event:?}");
    }
    for event in testing::run().into_iter().skip(1) {
        let error = State::default().check(&event).unwrap_err();
        assert!(error.message.contains("has not begun"), "{event:?}");
    }
}
