use std::{fs, path::Path};

use nashost_plugin_api::dataset::Part;

use super::*;
use crate::run::{Ending, Recorder, events::RunEvent, testing, trial::TrialEvent};

/// A finished run in `out`, with predictions of its first trial.
fn finished(out: &Path) -> RunDir {
    recorded(out, |_| {})
}

/// The same with events as `change` makes them.
fn recorded(out: &Path, change: impl Fn(&mut RunEvent)) -> RunDir {
    let claim = RunDir::create(out, "neck").unwrap();
    let run = claim.dir().clone();
    fs::create_dir_all(run.file("predictions")).unwrap();
    let mut csv = "image_id,label,y,p\n".to_owned();
    for (image, y, p) in [("a", "1", 0.9), ("b", "0", 0.2), ("c", "", 0.3), ("d", "0", 0.95)] {
        csv += &format!("{image},Fracture,{y},{p}\n{image},\"Dislocation, \"\"old\"\"\",1,0.1\n");
    }
    fs::write(run.file("predictions/T0001_test.csv"), csv).unwrap();
    let mut recorder = Recorder::create(claim).unwrap();
    for mut event in testing::run() {
        if let RunEvent::DataReady(data) = &mut event {
            data.info.normal_label = data.info.labels.pop();
            data.info.labels.extend(data.info.normal_label.clone());
        }
        change(&mut event);
        if !matches!(event, RunEvent::RunFinished { .. }) {
            recorder.record(event).unwrap();
        }
    }
    recorder.finish(Ending::Done, None).unwrap();
    run
}

#[test]
fn a_run_that_ends_has_a_page_and_rebuild_makes_the_same_again() {
    let out = tempfile::tempdir().unwrap();
    let run = finished(out.path());
    let page = fs::read_to_string(run.file(REPORT)).unwrap();
    assert!(page.contains("<section id=\"curves\"") && page.contains("Dislocation, &quot;old&quot;"));
    fs::remove_file(run.file(REPORT)).unwrap();
    tables::rebuild(&run).unwrap();
    assert_eq!(fs::read_to_string(run.file(REPORT)).unwrap(), page);
}

#[test]
fn the_data_is_that_of_the_record() {
    let out = tempfile::tempdir().unwrap();
    let data = read(&[finished(out.path())]).unwrap();
    let [method] = &data.methods[..] else { panic!("one method: {:?}", data.methods) };
    assert_eq!(
        (method.name.as_str(), method.seeds, method.values["macro_f1"].mean),
        ("zennas", 1, Some(0.25))
    );
    assert_eq!(data.baselines[0].values["macro_f1"].mean, Some(0.5));
    let fracture = &method.trials[0].predictions[0];
    assert_eq!((fracture.label.as_str(), fracture.threshold), ("Fracture", 0.5));
    assert_eq!(fracture.truth, [true, false, false], "what was not assessed is left out");
    assert_eq!(fracture.scores, [0.9, 0.2, 0.95]);
    assert_eq!(
        method.trials[1].failure.as_deref(),
        Some("E0601: predictions do not fit together; `nashost show` tells more")
    );
    let network = &method.networks[0];
    let ops: Vec<_> = network.nodes.iter().map(|node| node.op.as_str()).collect();
    assert_eq!(ops, ["global average", "", "linear"]);
    assert_eq!((network.params, network.nodes[2].inputs.as_slice()), (4, &["flat".to_owned()][..]));
    let search = data.runs[0].search.as_ref().unwrap();
    assert_eq!((search.values.len(), search.cost.as_str(), search.costs[0]), (3, "params", Some(1000.0)));
    assert!(search.chosen.is_some(), "the structure that was chosen is one of the candidates");
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_shown() {
    let out = tempfile::tempdir().unwrap();
    let run = finished(out.path());
    fs::remove_file(run.file("predictions/T0001_test.csv")).unwrap();
    fs::write(run.file(ATTRIBUTES), "image_id,attribute\nbroken").unwrap();
    let data = read(std::slice::from_ref(&run)).unwrap();
    let warnings = &data.runs[0].warnings;
    for part in
        ["T0001: no curves", "provenance.json cannot be read", "run.toml cannot be read", "attributes.csv"]
    {
        assert!(warnings.iter().any(|warning| warning.contains(part)), "{part} is missing in {warnings:#?}");
    }
    assert!(data.methods[0].trials[0].predictions.is_empty());
    assert_eq!(data.methods[0].values["macro_f1"].mean, Some(0.25));
}

#[test]
fn a_page_with_problems_names_no_image() {
    const ID: &str = "doe-jane-1970";
    let out = tempfile::tempdir().unwrap();
    let run = recorded(out.path(), |event| {
        if let RunEvent::Trial { report: TrialEvent::Failed { code, message, .. }, .. } = event {
            *code = "E0302".to_owned();
            *message = format!("1 image cannot be used:\nimage \"{ID}\": is truncated");
        }
    });
    let state = tables::read(&run).unwrap();
    let problem = serde_json::json!({"problem": format!("mask of Fracture, image `{ID}`: 3 bytes")});
    fs::write(run.file("predictions/T0001_saliency.json"), problem.to_string()).unwrap();
    let page = || {
        write(&run, &state).unwrap();
        fs::read_to_string(run.file(REPORT)).unwrap()
    };
    let first = page();
    fs::write(run.file("predictions/T0001_test.csv"), format!("image_id,label,y,p\n{ID},Fracture,x,2\n"))
        .unwrap();
    let second = page();
    for (page, told) in [
        (&first, "E0302: images that cannot be used; `nashost show` tells more"),
        (&first, "T0001: no saliency maps, as predictions/T0001_saliency.json tells"),
        (&second, "T0001: no curves and decisions, because E060"),
    ] {
        assert!(page.contains(told), "{told} is missing");
        assert!(!page.contains(ID), "the page names an image");
    }
}

#[test]
fn groups_are_measured_without_the_normal_label() {
    let out = tempfile::tempdir().unwrap();
    let run = finished(out.path());
    fs::write(run.file(ATTRIBUTES), "image_id,attribute,value\na,scanner,X\nb,scanner,X\nd,scanner,Y\n")
        .unwrap();
    let data = read(&[run]).unwrap();
    let groups: Vec<_> = data
        .subgroups
        .iter()
        .map(|g| (g.group.as_str(), g.images, g.positives, g.values["macro_auroc"].mean))
        .collect();
    assert_eq!(groups, [("X", 2, 1, Some(1.0)), ("Y", 1, 0, None)]);
}

#[test]
fn two_runs_of_a_method_are_told_apart_and_share_their_trivial_predictors() {
    let out = tempfile::tempdir().unwrap();
    let (first, second) = (finished(out.path()), finished(out.path()));
    let data = read(&[first.clone(), second.clone()]).unwrap();
    let names: Vec<_> = data.methods.iter().map(|method| method.name.clone()).collect();
    assert_eq!(names, [first, second].map(|run| format!("zennas ({})", run.short_id())));
    assert_eq!(data.baselines.len(), 1);
    assert_eq!(
        data.runs[0].parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(),
        ["train", "val", "test"]
    );
    assert_eq!(data.runs[0].parts.len(), [Part::Train, Part::Val, Part::Test].len());
}
