//! Groups of test images: by scanner, view, age band, or what else the dataset tells.

use std::collections::{BTreeMap, BTreeSet};

use nashost_plugin_api::dataset::Part;
use nashost_report::data::{LabelScores, Subgroup};

use super::prediction;
use crate::{
    data::ImageStore,
    error::Result,
    run::{RunDir, atomic, state::State},
};

/// File with the facts that a dataset tells of the test images.
pub const ATTRIBUTES: &str = "attributes.csv";

const HEADER: [&str; 3] = ["image_id", "attribute", "value"];

/// Images of each group, by attribute and value.
type Groups = BTreeMap<(String, String), BTreeSet<String>>;

/// Writes the facts of the test images into the directory of a run, if there are any.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub(crate) fn write_attributes(run: &RunDir, store: &ImageStore) -> Result<()> {
    let path = run.file(ATTRIBUTES);
    let records = store.indices(Part::Test).into_iter().map(|index| &store.records[index]);
    let rows: Vec<[&String; 3]> = records
        .flat_map(|record| record.attributes.iter().map(move |(name, value)| [&record.id, name, value]))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER).expect("memory takes all");
    for row in rows {
        writer.write_record(row).expect("memory takes all");
    }
    atomic::write(&path, &writer.into_inner().expect("memory takes all"))
}

/// Measures every method on every group of the run's test images. What cannot be read is added to
/// `missing`, in words.
pub(super) fn of(run: &RunDir, state: &State, missing: &mut Vec<String>) -> Vec<Subgroup> {
    let groups = match read(run) {
        Ok(groups) => groups,
        Err(why) => {
            missing.push(format!("{ATTRIBUTES} cannot be read: {why}"));
            return Vec::new();
        }
    };
    if groups.is_empty() {
        return Vec::new();
    }
    let normal = state.data.as_ref().and_then(|data| data.info.normal_label.as_deref());
    let mut methods: Vec<&str> = Vec::new();
    for trial in state.trials.values() {
        if !methods.contains(&trial.request.method.as_str()) {
            methods.push(&trial.request.method);
        }
    }
    let mut answer = Vec::new();
    for method in methods {
        let trials = state.trials.values().filter(|trial| trial.request.method == method);
        // What cannot be read was told where the curves are.
        let tables: Vec<_> = trials
            .filter_map(|trial| trial.test())
            .filter_map(|test| Some((prediction::read(run, state, test).ok()?, test)))
            .collect();
        for ((attribute, value), images) in groups.iter().filter(|_| !tables.is_empty()) {
            let scores = tables.iter().map(|(table, test)| {
                let labels = prediction::by_label(table, test, |id| images.contains(id));
                labels.into_iter().filter(|label| normal != Some(&*label.label)).collect::<Vec<LabelScores>>()
            });
            answer.push(Subgroup::measure(
                attribute,
                value,
                method,
                run.short_id(),
                &scores.collect::<Vec<_>>(),
            ));
        }
    }
    answer
}

/// Reads the groups; a run whose dataset tells nothing has none.
fn read(run: &RunDir) -> std::result::Result<Groups, csv::Error> {
    let path = run.file(ATTRIBUTES);
    let mut groups = Groups::new();
    if !path.exists() {
        return Ok(groups);
    }
    for row in csv::Reader::from_path(path)?.deserialize() {
        let (image, attribute, value): (String, String, String) = row?;
        groups.entry((attribute, value)).or_default().insert(image);
    }
    Ok(groups)
}
