//! Pages of a study, one for each dataset: all methods side by side, each with all its runs.

use std::collections::BTreeMap;

use nashost_report::{
    Table,
    data::{Baseline, Comparison, Method, ReportData, Trial},
};

use super::{
    folder::Folder,
    summary::{DatasetResult, Made, MethodResult, StudySummary},
};
use crate::{
    error::Result,
    report,
    run::{
        RunDir, atomic,
        state::State,
        summary::{MethodSummary, ONE_SEED},
    },
};

/// Gathers what the page of `dataset` shows. A method stands for all runs at its chosen points, a run for the trial
/// of its best structure; what only a run has (its search, configuration and command) is shown of the first.
fn of(summary: &StudySummary, dataset: &DatasetResult, made: &[Made]) -> ReportData {
    let mut data = ReportData::default();
    for method in &dataset.methods {
        let is_of = |made: &&Made| made.key.dataset == dataset.dataset && made.is_of(method);
        add(&mut data, method, &made.iter().filter(is_of).collect::<Vec<_>>());
    }
    // Folds: together they are the whole dataset, the same for every method.
    let test_set = format!("{} as tested", dataset.dataset);
    data.methods.iter_mut().for_each(|method| method.test_set.clone_from(&test_set));
    data.baselines = dataset.baselines.iter().map(|baseline| trivial(baseline, &test_set)).collect();
    data.selected_on_test = summary.selected_on_test;
    data.comparisons = comparisons(summary, dataset);
    data.title = format!("nashost study: {}, {}", summary.name, dataset.dataset);
    data.warnings = warnings(summary, dataset);
    let here = made.iter().filter(|made| made.key.dataset == dataset.dataset);
    data.total_s = Some(here.map(|made| made.state.seconds()).sum());
    for run in &mut data.runs {
        // Each run of a study has one seed; the study tells how many there are.
        run.warnings.retain(|warning| !warning.ends_with(ONE_SEED));
    }
    data
}

/// What is said of the whole study, or of this dataset. The verdict on each pair of methods stands with their
/// comparison; what follows it is what no comparison could show.
fn warnings(summary: &StudySummary, dataset: &DatasetResult) -> Vec<String> {
    let others = summary.datasets.iter().filter(|other| other.dataset != dataset.dataset);
    let elsewhere: Vec<&String> = others.flat_map(|other| &other.unclear).collect();
    let pairs = dataset.comparison.as_ref().map_or(0, |report| report.pairs.len());
    let here = summary.warnings.iter().filter(|warning| !elsewhere.contains(warning));
    here.chain(dataset.sentences.iter().skip(pairs)).cloned().collect()
}

fn add(data: &mut ReportData, result: &MethodResult, made: &[&Made]) {
    let Some(first) = made.first() else { return };
    let runs: Vec<(&RunDir, &State)> = made.iter().map(|made| (&made.dir, &made.state)).collect();
    let mut of_runs = report::of(&runs);
    let mut trials = Vec::new();
    let mut networks: BTreeMap<String, nashost_report::data::Network> = BTreeMap::new();
    for (method, made) in of_runs.methods.iter_mut().zip(made) {
        let name = made.counterpart_name();
        trials.extend(
            std::mem::take(&mut method.trials)
                .into_iter()
                .take(1)
                .map(|trial| Trial { name: name.clone(), ..trial }),
        );
        for mut network in std::mem::take(&mut method.networks).into_iter().take(1) {
            network.trials = vec![name.clone()];
            networks
                .entry(network.id.clone())
                .and_modify(|known| known.trials.push(name.clone()))
                .or_insert(network);
        }
    }
    let (values, labels) = report::results(&result.test, &result.per_label);
    data.methods.push(Method {
        name: name(&result.method, result.control),
        run: first.dir.short_id().to_owned(),
        test_set: String::new(),
        seeds: result.runs,
        values,
        labels,
        trials,
        networks: networks.into_values().collect(),
    });
    data.headline = of_runs.headline;
    data.generator = of_runs.generator;
    for metric in of_runs.metrics {
        if data.metrics.iter().all(|known| known.name != metric.name) {
            data.metrics.push(metric);
        }
    }
    data.runs.extend(of_runs.runs.into_iter().take(1));
}

fn trivial(baseline: &MethodSummary, test_set: &str) -> Baseline {
    let (values, _) = report::results(&baseline.test, &baseline.per_label);
    Baseline { name: baseline.method.clone(), test_set: test_set.to_owned(), values }
}

/// The method's name in the page.
fn name(method: &str, control: bool) -> String {
    let control = if control { " (control)" } else { "" };
    format!("{method}{control}")
}

fn comparisons(summary: &StudySummary, dataset: &DatasetResult) -> Vec<Comparison> {
    let shown = |method: &str| {
        let control = dataset.methods.iter().any(|known| known.method == method && known.control);
        name(method, control)
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

/// Writes `report.html` with its tables in Markdown and LaTeX, or `report-DATASET.html` and so on for each of
/// several datasets. Answers what each shows, by the dataset's name.
///
/// # Errors
///
/// Fails if a file cannot be written; each is then whole, old or new.
pub(super) fn write(
    folder: &Folder,
    summary: &StudySummary,
    made: &[Made],
) -> Result<Vec<(String, ReportData)>> {
    let mut pages = Vec::new();
    for dataset in &summary.datasets {
        let name = |stem: &str, end: &str| match summary.datasets.len() {
            1 => format!("{stem}.{end}"),
            _ => format!("{stem}-{}.{end}", dataset.dataset),
        };
        let data = of(summary, dataset, made);
        let tables = nashost_report::tables(&data);
        let text = |form: fn(&Table) -> String| tables.iter().map(form).collect::<Vec<_>>().join("\n");
        for (file, content) in [
            (name("report", "html"), nashost_report::html(&data)),
            (name("tables", "md"), text(Table::markdown)),
            (name("tables", "tex"), text(Table::latex)),
        ] {
            atomic::write(&folder.file(file), content.as_bytes())?;
        }
        pages.push((dataset.dataset.clone(), data));
    }
    Ok(pages)
}
