//! The derived files of a study, and its table for people.

use std::collections::BTreeMap;

use comfy_table::{Cell as TextCell, CellAlignment, Table as TextTable, presets};
use nashost_report::ReportData;
use serde_json::{Map, Value, json};

use super::{
    cell::Cell,
    config::StudyConfig,
    execute::Outcome,
    folder::Folder,
    report,
    summary::{Chosen, Made, MethodResult, StudySummary, made, selecting},
};
use crate::{
    error::Result,
    run::{
        atomic,
        summary::{Aggregate, HEADLINE},
        tables::{Cell as CsvCell, Table},
    },
};

/// What a study's files say.
pub(crate) struct Written {
    /// The answer.
    pub(crate) summary: StudySummary,
    /// What the page of each dataset shows, by its name.
    pub(crate) pages: Vec<(String, ReportData)>,
}

/// Sums the runs of a study up and writes `summary.json`, the pages and the tables.
///
/// # Errors
///
/// Fails if a run cannot be read or a file cannot be written; each is then whole, old or new.
pub(crate) fn write(
    folder: &Folder,
    study: &StudyConfig,
    cells: &[Cell],
    outcome: &Outcome,
) -> Result<Written> {
    let made = made(folder, cells)?;
    let summary = StudySummary::of(study, cells, &made, outcome);
    atomic::write(&folder.file("results.csv"), &results(&summary).to_csv())?;
    atomic::write(&folder.file("trials.csv"), &trials(study, &made).to_csv())?;
    atomic::write(&folder.file("comparisons.csv"), &comparisons(&summary).to_csv())?;
    atomic::write(&folder.file("proxies.csv"), &proxies(&summary).to_csv())?;
    atomic::write_json(&folder.file("summary.json"), &summary)?;
    let pages = report::write(folder, &summary, &made)?;
    Ok(Written { summary, pages })
}

/// One row per dataset, method and metric, at the chosen points.
fn results(summary: &StudySummary) -> Table {
    let mut table = Table::new([
        "study",
        "selected_by",
        "dataset",
        "kind",
        "method",
        "settings",
        "metric",
        "n",
        "mean",
        "sd",
        "ci95_low",
        "ci95_high",
        "why",
    ]);
    for dataset in &summary.datasets {
        let methods = dataset.methods.iter().map(|m| {
            let kind = if m.control { "control" } else { "method" };
            (kind, &m.method, settings_json(m), m.runs, &m.test)
        });
        let baselines =
            dataset.baselines.iter().map(|b| ("baseline", &b.method, "{}".to_owned(), b.seeds, &b.test));
        for (kind, method, settings, n, test) in methods.chain(baselines) {
            for (metric, value) in test {
                let cells: [(&str, CsvCell); 13] = [
                    ("study", (&summary.name).into()),
                    ("selected_by", (&summary.selected_by).into()),
                    ("dataset", (&dataset.dataset).into()),
                    ("kind", kind.into()),
                    ("method", method.into()),
                    ("settings", (&settings).into()),
                    ("metric", metric.into()),
                    ("n", n.into()),
                    ("mean", value.mean.into()),
                    ("sd", value.sd.into()),
                    ("ci95_low", value.ci95.map(|[low, _]| low).into()),
                    ("ci95_high", value.ci95.map(|[_, high]| high).into()),
                    ("why", value.why.as_deref().into()),
                ];
                table.push(cells);
            }
        }
    }
    table
}

/// One row per dataset and pair of methods.
fn comparisons(summary: &StudySummary) -> Table {
    let mut table = Table::new([
        "study",
        "selected_by",
        "dataset",
        "metric",
        "method",
        "against",
        "runs",
        "paired",
        "difference",
        "ci95_low",
        "ci95_high",
        "test",
        "p",
        "p_holm",
        "p_bh",
        "family",
        "cliffs_delta",
        "detectable",
        "why",
    ]);
    for dataset in &summary.datasets {
        let pairs =
            dataset.comparison.iter().flat_map(|report| report.pairs.iter().map(move |p| (report, p)));
        for (report, pair) in pairs {
            let cells: [(&str, CsvCell); 19] = [
                ("study", (&summary.name).into()),
                ("selected_by", (&summary.selected_by).into()),
                ("dataset", (&dataset.dataset).into()),
                ("metric", (&summary.metric).into()),
                ("method", (&pair.method).into()),
                ("against", (&pair.against).into()),
                ("runs", (pair.runs[0] as u64).into()),
                ("paired", if pair.paired { "true" } else { "false" }.into()),
                ("difference", pair.difference.into()),
                ("ci95_low", pair.interval.map(|[low, _]| low).into()),
                ("ci95_high", pair.interval.map(|[_, high]| high).into()),
                ("test", pair.test.into()),
                ("p", pair.p.into()),
                ("p_holm", pair.p_holm.into()),
                ("p_bh", pair.p_bh.into()),
                ("family", (report.family as u64).into()),
                ("cliffs_delta", pair.dominance.cliffs_delta.into()),
                ("detectable", pair.detectable.into()),
                ("why", pair.why.as_deref().into()),
            ];
            table.push(cells);
        }
    }
    table
}

/// One row per dataset and proxy or size: Spearman's ρ with the trained result, and with size.
fn proxies(summary: &StudySummary) -> Table {
    let mut table = Table::new([
        "study",
        "dataset",
        "metric",
        "proxy",
        "structures",
        "rho",
        "ci95_low",
        "ci95_high",
        "p",
        "tau",
        "rho_params",
        "rho_macs",
        "why",
    ]);
    for dataset in &summary.datasets {
        for worth in &dataset.proxies {
            let trained = worth.trained.as_ref();
            let interval = trained.and_then(|found| found.bootstrap.or(found.interval));
            let with =
                |size: &str| worth.sizes.get(size).and_then(|found| found.as_ref()).map(|found| found.rho);
            let cells: [(&str, CsvCell); 13] = [
                ("study", (&summary.name).into()),
                ("dataset", (&dataset.dataset).into()),
                ("metric", (&summary.metric).into()),
                ("proxy", (&worth.proxy).into()),
                ("structures", (worth.structures as u64).into()),
                ("rho", trained.map(|found| found.rho).into()),
                ("ci95_low", interval.map(|[low, _]| low).into()),
                ("ci95_high", interval.map(|[_, high]| high).into()),
                ("p", trained.and_then(|found| found.p).into()),
                ("tau", trained.map(|found| found.tau).into()),
                ("rho_params", with("params").into()),
                ("rho_macs", with("macs").into()),
                ("why", worth.why.as_deref().into()),
            ];
            table.push(cells);
        }
    }
    table
}

/// One row per finished run, with every point of the grid.
fn trials(study: &StudyConfig, made: &[Made]) -> Table {
    let mut table = Table::new([
        "study",
        "dataset",
        "kind",
        "method",
        "settings",
        "fold",
        "seed",
        "run",
        "arch_id",
        "params",
        "macs",
        "search_s",
        "train_s",
        "selected_by",
        "selecting",
    ]);
    for made in made {
        let key = &made.key;
        let kind = if key.control { "control" } else { "method" };
        let Some(trial) = made.trial() else { continue };
        let architecture = made.state.architectures.get(&trial.architecture);
        let search = made.state.search.as_ref().and_then(|search| search.finished.as_ref());
        let mut cells: Vec<(String, CsvCell)> = [
            ("study", CsvCell::from(&study.name)),
            ("dataset", (&key.dataset).into()),
            ("kind", kind.into()),
            ("method", (&key.method).into()),
            ("settings", Value::Object(key.settings.clone()).to_string().into()),
            ("fold", key.fold.into()),
            ("seed", key.seed.into()),
            ("run", made.dir.id().into()),
            ("arch_id", (&trial.architecture).into()),
            ("params", architecture.map(|a| a.params).into()),
            ("macs", architecture.map(|a| a.macs).into()),
            ("search_s", search.map(|(_, seconds)| *seconds).into()),
            ("train_s", trial.train_seconds().into()),
            ("selected_by", study.select.text().into()),
            ("selecting", selecting(study, made).into()),
        ]
        .map(|(name, cell)| (name.to_owned(), cell))
        .into();
        let scores = architecture.into_iter().flat_map(|a| &a.scores);
        cells.extend(scores.map(|(name, score)| (format!("score.{name}"), score.value.into())));
        let test = trial.test();
        let val = test.and_then(|test| trial.epochs.get(&test.checkpoint.epoch)).map(|epoch| &epoch.val);
        for (part, report) in [("val", val), ("test", test.map(|test| &test.test))] {
            let values = report.into_iter().flat_map(|report| &report.overall);
            cells.extend(values.map(|(name, value)| (format!("{part}.{name}"), value.value.into())));
        }
        table.push(cells);
    }
    table
}

/// The results for people, dataset by dataset.
pub(crate) fn results_text(summary: &StudySummary) -> String {
    let mut text = String::new();
    for dataset in &summary.datasets {
        let known = |name: &&str| {
            dataset.methods.iter().any(|method| method.test.contains_key(*name))
                || dataset.baselines.iter().any(|baseline| baseline.test.contains_key(*name))
        };
        let names: Vec<&str> = HEADLINE.into_iter().filter(known).collect();
        let mut table = TextTable::new();
        let title = format!("{} (test)", dataset.dataset);
        let head =
            [title.as_str(), "runs", "params"].into_iter().chain(names.iter().copied()).chain(["chosen"]);
        table.load_style(presets::NOTHING).set_header(head);
        for method in &dataset.methods {
            table.add_row(method_row(method, &names));
        }
        for baseline in &dataset.baselines {
            let values = names.iter().map(|name| value(baseline.test.get(*name)));
            let fixed = [baseline.method.clone(), String::new(), String::new()];
            table.add_row(fixed.into_iter().chain(values).map(TextCell::new));
        }
        for index in 1..names.len() + 3 {
            if let Some(column) = table.column_mut(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        text.push_str(&table.to_string());
        text.push('\n');
        for sentence in &dataset.sentences {
            text.push_str(&format!("→ {sentence}\n"));
        }
        text.push('\n');
    }
    text
}

fn method_row(method: &MethodResult, names: &[&str]) -> Vec<TextCell> {
    let name = if method.control { format!("{} (control)", method.method) } else { method.method.clone() };
    let params = method.params.map(|params| format!("{:.2} M", params / 1e6)).unwrap_or_default();
    let values = names.iter().map(|name| value(method.test.get(*name)));
    [name, method.runs.to_string(), params]
        .into_iter()
        .chain(values)
        .chain([settings_text(method)])
        .map(TextCell::new)
        .collect()
}

/// The chosen settings as a JSON object, or what each fold chose where that differs.
fn settings_json(method: &MethodResult) -> String {
    match one_choice(method) {
        Some(settings) => Value::Object(settings.clone()),
        None => {
            let of_fold = |chosen: &Chosen| json!({"fold": chosen.fold, "settings": chosen.settings});
            method.chosen.iter().map(of_fold).collect()
        }
    }
    .to_string()
}

/// `train.lr=0.002`, or `train.lr=0.002 (fold 1, 3), train.lr=0.001 (fold 2)`.
fn settings_text(method: &MethodResult) -> String {
    let text = |settings: &Map<String, Value>| {
        settings.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    };
    if let Some(settings) = one_choice(method) {
        return text(settings);
    }
    let mut folds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for chosen in &method.chosen {
        folds.entry(text(&chosen.settings)).or_default().extend(chosen.fold.map(|fold| fold.to_string()));
    }
    let told = folds.into_iter().map(|(settings, folds)| format!("{settings} (fold {})", folds.join(", ")));
    told.collect::<Vec<_>>().join(", ")
}

/// The settings, if all folds chose the same.
fn one_choice(method: &MethodResult) -> Option<&Map<String, Value>> {
    let (first, others) = method.chosen.split_first()?;
    others.iter().all(|other| other.settings == first.settings).then_some(&first.settings)
}

/// `0.211 ± 0.030`, or `undefined`.
fn value(aggregate: Option<&Aggregate>) -> String {
    let Some(aggregate) = aggregate else { return String::new() };
    let Some(mean) = aggregate.mean else { return "undefined".to_owned() };
    let sd = aggregate.sd.map(|sd| format!(" ± {sd:.3}")).unwrap_or_default();
    format!("{mean:.3}{sd}")
}
