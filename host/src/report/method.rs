//! Methods, trivial predictors and trials.

use std::{collections::BTreeMap, fs, io};

use nashost_report::data::{Baseline, Epoch, LabelResult, Method, Saliency, Trial, Value};

use super::{in_short, network, prediction};
use crate::{
    config::train::Threshold,
    pipeline::saliency_file,
    run::{
        RunDir,
        state::{State, TrialState},
        summary::{Aggregate, HEADLINE, LabelSummary, Summary},
        trial::EpochReport,
    },
};

/// Methods and trivial predictors of a run. What cannot be read is added to `missing`, in words.
pub(super) fn of(run: &RunDir, state: &State, missing: &mut Vec<String>) -> (Vec<Method>, Vec<Baseline>) {
    let summary = Summary::of(state);
    let test_set = summary.data.as_ref().map_or_else(String::new, |data| {
        format!("{} {}", data.fingerprint, data.split_hash.as_deref().unwrap_or_default())
    });
    let methods = summary.methods.iter().map(|method| {
        let trials = || state.trials.values().filter(|trial| trial.request.method == method.method);
        Method {
            name: method.method.clone(),
            run: run.short_id().to_owned(),
            test_set: test_set.clone(),
            seeds: method.seeds,
            values: values(&method.test),
            labels: labels(&method.per_label),
            trials: trials().map(|trial| one(run, state, trial, missing)).collect(),
            networks: network::of(state, trials()),
        }
    });
    let methods = methods.collect();
    let baselines = summary.baselines.iter().map(|baseline| Baseline {
        name: baseline.method.clone(),
        test_set: test_set.clone(),
        values: values(&baseline.test),
    });
    (methods, baselines.collect())
}

/// Results as the page takes them: single values by metric, and those of each label.
pub(crate) fn results(
    test: &BTreeMap<String, Aggregate>,
    per_label: &[LabelSummary],
) -> (BTreeMap<String, Value>, Vec<LabelResult>) {
    (values(test), labels(per_label))
}

fn values(aggregates: &BTreeMap<String, Aggregate>) -> BTreeMap<String, Value> {
    aggregates.iter().map(|(name, aggregate)| (name.clone(), value(aggregate))).collect()
}

fn value(aggregate: &Aggregate) -> Value {
    let Aggregate { mean, sd, ci95, per_seed, support, why, .. } = aggregate;
    let per_seed = per_seed.iter().copied().flatten().collect();
    Value { mean: *mean, sd: *sd, ci95: *ci95, per_seed, support: *support, why: why.clone() }
}

fn labels(labels: &[LabelSummary]) -> Vec<LabelResult> {
    let labels = labels.iter().map(|label| LabelResult {
        label: label.label.clone(),
        support: label.support,
        values: values(&label.metrics),
    });
    labels.collect()
}

fn one(run: &RunDir, state: &State, trial: &TrialState, missing: &mut Vec<String>) -> Trial {
    let test = trial.test();
    let mut predictions = Vec::new();
    if let Some(test) = test {
        match prediction::read(run, state, test) {
            Ok(table) => predictions = prediction::by_label(&table, test, |_| true),
            Err(why) => {
                missing.push(format!("{}: no curves and decisions, because {why}", trial.request.name()));
            }
        }
    }
    let saliency = saliency(run, trial, missing);
    Trial {
        name: trial.request.name(),
        seed: trial.request.seed,
        state: trial.phase().to_owned(),
        failure: trial
            .failure()
            .map(|failed| format!("{}; `nashost show` tells more", in_short(&failed.failure.code))),
        epochs: trial.epochs.values().map(epoch).collect(),
        best_epoch: test.map(|test| test.checkpoint.epoch),
        thresholds: match trial.request.eval.threshold {
            Threshold::Half => "0.5 for every label".to_owned(),
            Threshold::ValF1 => "the best F1 on the validation part, label by label".to_owned(),
        },
        train_s: trial.train_seconds(),
        predictions,
        saliency,
    }
}

/// Where the network looks, as far as it was looked.
fn saliency(run: &RunDir, trial: &TrialState, missing: &mut Vec<String>) -> Option<Saliency> {
    let name = trial.request.name();
    let file = saliency_file(&name);
    let text = match fs::read(run.file(&file)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        read => read.map_err(|why| why.to_string()),
    };
    let read = text.and_then(|text| serde_json::from_slice::<Saliency>(&text).map_err(|why| why.to_string()));
    let why = match read {
        Ok(found @ Saliency { problem: None, .. }) => return Some(found),
        // The reason may hold the id of an image.
        Ok(_) => format!("as {} tells", file.display()),
        Err(why) => format!("because {} cannot be read: {why}", file.display()),
    };
    missing.push(format!("{name}: no saliency maps, {why}"));
    None
}

fn epoch(report: &EpochReport) -> Epoch {
    let val = HEADLINE.iter().filter_map(|name| {
        let value = report.val.overall.get(*name)?;
        Some(((*name).to_owned(), value.value))
    });
    Epoch {
        epoch: report.epoch,
        train_loss: report.train_loss,
        val_loss: report.val_loss,
        val: val.collect(),
        seconds: report.train_seconds + report.val_seconds,
    }
}
