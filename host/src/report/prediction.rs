//! Test predictions of trials.

use nashost_plugin_api::dataset::Target;
use nashost_report::data::LabelScores;

use super::in_short;
use crate::{
    evaluate::PredictionTable,
    run::{RunDir, state::State, trial::TestReport},
};

/// Reads the test predictions of a trial; an error says why not.
pub(super) fn read(
    run: &RunDir,
    state: &State,
    test: &TestReport,
) -> std::result::Result<PredictionTable, String> {
    // Who the patients are does not matter for curves, and the file does not say it.
    let table = PredictionTable::read(&run.file(&test.predictions), |id| Some(id.to_owned()))
        .map_err(|error| in_short(error.code))?;
    let labels = state.labels();
    if table.truth().labels() != labels || test.thresholds.len() != labels.len() {
        return Err(format!("{} has other labels than the run", test.predictions.display()));
    }
    Ok(table)
}

/// The predictions label by label, of the images whose id `keep` accepts, without those on which the
/// label was not assessed.
pub(super) fn by_label(
    table: &PredictionTable,
    test: &TestReport,
    keep: impl Fn(&str) -> bool,
) -> Vec<LabelScores> {
    let truth = table.truth();
    let mut labels: Vec<LabelScores> = truth
        .labels()
        .iter()
        .zip(&test.thresholds)
        .map(|(label, threshold)| LabelScores {
            label: label.clone(),
            threshold: *threshold,
            ..LabelScores::default()
        })
        .collect();
    let rows = truth.rows().zip(table.scores().chunks_exact(truth.labels().len()));
    for (_, (targets, scores)) in truth.ids().iter().zip(rows).filter(|(id, _)| keep(id)) {
        for ((label, target), score) in labels.iter_mut().zip(targets).zip(scores) {
            if *target != Target::NotAssessed {
                label.truth.push(*target == Target::Positive);
                label.scores.push(*score);
            }
        }
    }
    labels
}
