//! `report.html` of a study: all methods side by side, each with all its runs.

use std::collections::BTreeMap;

use nashost_report::data::{Comparison, Method, ReportData};

use super::summary::{DatasetResult, Made, MethodResult, StudySummary};
use crate::{
    error::Result,
    report,
    run::{RunDir, state::State},
};

/// Gathers what the page of a study shows. A method stands for all runs at its chosen point; what only a
/// run has (its search, configuration and command) is shown of its first.
pub(super) fn of(summary: &StudySummary, made: &[Made]) -> ReportData {
    let mut data = ReportData::default();
    for dataset in &summary.datasets {
        for method in &dataset.methods {
            let runs: Vec<&Made> = made
                .iter()
                .filter(|made| made.key.dataset == dataset.dataset && made.is_of(method))
                .collect();
            add(&mut data, summary, dataset, method, &runs);
        }
        data.comparisons.extend(comparisons(summary, dataset));
    }
    data.title = format!("nashost study: {}", summary.name);
    if let Some(run) = data.runs.first_mut() {
        let mut warnings = summary.warnings.clone();
        warnings.extend(
            summary
                .datasets
                .iter()
                .flat_map(|d| d.sentences.iter().map(move |sentence| format!("{}: {sentence}", d.dataset))),
        );
        warnings.append(&mut run.warnings);
        run.warnings = warnings;
    }
    data
}

fn add(
    data: &mut ReportData,
    summary: &StudySummary,
    dataset: &DatasetResult,
    result: &MethodResult,
    made: &[&Made],
) {
    let Some(first) = made.first() else { return };
    let runs: Vec<(&RunDir, &State)> = made.iter().map(|made| (&made.dir, &made.state)).collect();
    let mut of_runs = report::of(&runs);
    let mut trials = Vec::new();
    let mut networks: BTreeMap<String, nashost_report::data::Network> = BTreeMap::new();
    for (method, made) in of_runs.methods.iter_mut().zip(made) {
        let name = made.counterpart_name();
        for mut trial in std::mem::take(&mut method.trials) {
            trial.name.clone_from(&name);
            trials.push(trial);
        }
        for mut network in std::mem::take(&mut method.networks) {
            network.trials = vec![name.clone()];
            networks
                .entry(network.id.clone())
                .and_modify(|known| known.trials.push(name.clone()))
                .or_insert(network);
        }
    }
    let test_sets: Vec<&String> = of_runs.methods.iter().map(|method| &method.test_set).collect();
    let test_set = match test_sets.iter().all(|set| *set == test_sets[0]) {
        true => test_sets[0].clone(),
        // Folds: together they are the whole dataset, the same for every method.
        false => format!("{} in folds", dataset.dataset),
    };
    let (values, labels) = report::results(&result.test, &result.per_label);
    data.methods.push(Method {
        name: name(summary, dataset, &result.method, result.control),
        run: first.dir.short_id().to_owned(),
        test_set: test_set.clone(),
        seeds: result.runs,
        values,
        labels,
        trials,
        networks: networks.into_values().collect(),
    });
    for mut baseline in of_runs.baselines {
        baseline.test_set.clone_from(&test_set);
        if !data.baselines.iter().any(|known| (&known.name, &known.test_set) == (&baseline.name, &test_set)) {
            data.baselines.push(baseline);
        }
    }
    data.headline = of_runs.headline;
    data.generator = of_runs.generator;
    for metric in of_runs.metrics {
        if data.metrics.iter().all(|known| known.name != metric.name) {
            data.metrics.push(metric);
        }
    }
    data.runs.extend(of_runs.runs.into_iter().take(1));
}

/// The method's name in the page.
fn name(summary: &StudySummary, dataset: &DatasetResult, method: &str, control: bool) -> String {
    let control = if control { " (control)" } else { "" };
    match summary.datasets.len() {
        1 => format!("{method}{control}"),
        _ => format!("{}: {method}{control}", dataset.dataset),
    }
}

fn comparisons(summary: &StudySummary, dataset: &DatasetResult) -> Vec<Comparison> {
    let shown = |method: &str| {
        let control = dataset.methods.iter().any(|known| known.method == method && known.control);
        name(summary, dataset, method, control)
    };
    let pairs =
        dataset.comparison.iter().flat_map(|report| report.pairs.iter().map(move |pair| (report, pair)));
    pairs
        .map(|(report, pair)| Comparison {
            a: shown(&pair.method),
            b: shown(&pair.against),
            metric: summary.metric.clone(),
            difference: Some(pair.difference),
            ci95: pair.interval,
            p: pair.p,
            p_adjusted: pair.p_holm,
            test: format!("{}, Holm over {} tests", pair.test, report.family),
            note: pair.why.clone(),
        })
        .collect()
}

/// Writes the page.
///
/// # Errors
///
/// Fails if it cannot be written; it is then whole, old or new.
pub(super) fn write(path: &std::path::Path, summary: &StudySummary, made: &[Made]) -> Result<()> {
    crate::run::atomic::write(path, nashost_report::html(&of(summary, made)).as_bytes())
}
