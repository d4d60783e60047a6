//! What came out, beside what needs no network at all; and what to mind.

use maud::html;

use super::{Section, count};
use crate::{
    data::{Baseline, Method, ReportData},
    number,
    plot::{Axis, extent, forest, look},
    table::{Cell, Table, interval},
};

pub(super) fn section(data: &ReportData) -> Option<Section> {
    if data.methods.is_empty() && data.baselines.is_empty() {
        return None;
    }
    let several = !data.is_one_test_set();
    Some(Section {
        id: "result",
        title: "Result",
        lead: format!(
            "How well the trained networks do on {}, beside trivial predictors that look at no image. A method is \
             worth something where its whole interval is better than all of these.",
            if data.selected_on_test {
                "the test images that their settings were chosen on, so that all values are too good"
            } else {
                "test images that nothing was chosen on"
            }
        ),
        body: html! {
            (tiles(data))
            ul.verdicts { @for (class, sentence) in data.methods.iter().flat_map(|method| verdicts(data, method)) {
                li class=(class) { (sentence) }
            } }
            @if several {
                p.warning { "These methods were tested on different images. Their numbers do not compare." }
            }
            (table(data).markup())
            div.figures { @for metric in data.headline_metrics() { (figure(data, metric)) } }
        },
    })
}

/// Warnings of the runs, each once.
pub(super) fn warnings(data: &ReportData) -> Option<Section> {
    let mut warnings: Vec<(&str, &str)> = Vec::new();
    for run in &data.runs {
        for warning in &run.warnings {
            if warnings.iter().all(|(_, known)| known != warning) {
                warnings.push((&run.id, warning));
            }
        }
    }
    let failures = data.methods.iter().flat_map(|method| {
        method.trials.iter().filter_map(move |trial| {
            let why = trial.failure.as_ref()?;
            Some((&*method.run, format!("{}, {} ({}): {why}", method.name, trial.name, trial.state)))
        })
    });
    let failures: Vec<_> = failures.collect();
    let several = data.runs.len() > 1;
    let all = data.warnings.len() + warnings.len() + failures.len();
    (all > 0).then(|| Section {
        id: "warnings",
        title: "Before you believe it",
        lead: "What limits these results, as far as nashost can see it.".to_owned(),
        body: html! {
            ul.warnings {
                @for warning in &data.warnings {
                    li { (warning) }
                }
                @for (run, warning) in &warnings {
                    li { (warning) @if several { " " span.run { "run " (run) } } }
                }
                @for (run, failure) in &failures {
                    li { "A training failed: " (failure) @if several { " " span.run { "run " (run) } } }
                }
            }
        },
    })
}

fn tiles(data: &ReportData) -> maud::Markup {
    let test = data.runs.iter().flat_map(|run| run.parts.iter().filter(|part| part.name == "test")).next();
    let networks: u64 = data.methods.iter().map(|method| method.seeds).sum();
    let shown = || data.runs.iter().map(|run| run.times.total_s).sum();
    let seconds: f64 = data.total_s.unwrap_or_else(shown);
    let dataset = data.runs.first().map(|run| run.dataset.as_str());
    html! {
        ul.tiles {
            @if let Some(dataset) = dataset { li { b { (dataset) } "dataset" } }
            @if let Some(test) = test {
                li { b { (number::grouped(test.images)) } "test images of " (count(test.patients, "patient")) }
            }
            li { b { (networks) } (if networks == 1 { "trained network" } else { "trained networks" }) }
            @if seconds > 0.0 { li { b { (number::duration(seconds)) } "in all" } }
        }
    }
}

/// One sentence per metric of the headline, with its class: how `method` stands against the best trivial predictor.
fn verdicts(data: &ReportData, method: &Method) -> Vec<(&'static str, String)> {
    let sentence = |metric: &&str| {
        let value = method.values.get(*metric)?;
        let mean = value.mean?;
        let sign = if data.higher_is_better(metric) { 1.0 } else { -1.0 };
        let (trivial, best) = best_baseline(data, method, metric, sign)?;
        let bounds = value.ci95.map_or_else(
            || " (no interval)".to_owned(),
            |[low, high]| format!(" (95 % interval {} to {})", number::fixed(low, 3), number::fixed(high, 3)),
        );
        let weak_end = value.ci95.map(|[low, high]| if sign > 0.0 { low } else { high });
        let (class, verdict) = if sign * mean <= sign * best {
            ("bad", "is not better than")
        } else if weak_end.is_some_and(|end| sign * end > sign * best) {
            ("good", "is clearly better than")
        } else {
            ("unclear", "cannot be told from")
        };
        let sentence = format!(
            "{}: {} {}{bounds} {verdict} the best trivial predictor, {} ({}).",
            method.name,
            number::metric(metric),
            number::fixed(mean, 3),
            trivial.name,
            number::fixed(best, 3)
        );
        Some((class, sentence))
    };
    data.headline_metrics().iter().filter_map(sentence).collect()
}

fn best_baseline<'a>(
    data: &'a ReportData,
    method: &Method,
    metric: &str,
    sign: f64,
) -> Option<(&'a Baseline, f64)> {
    let same = data.baselines.iter().filter(|baseline| baseline.test_set == method.test_set);
    let values = same.filter_map(|baseline| Some((baseline, baseline.values.get(metric)?.mean?)));
    values.max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))
}

pub(super) fn table(data: &ReportData) -> Table {
    let metrics = data.headline_metrics();
    let mut table = Table::new(
        "headline",
        "Test results",
        "Mean over the seeds, then the 95 % interval: how much a test part of this size can tell (patients \
         are resampled). ± is the standard deviation over seeds: how much training varies. – is undefined.",
    )
    .text_column("Method")
    .text_column("Kind")
    .column("Seeds");
    for metric in &metrics {
        table = table.column(number::metric(metric));
    }
    for method in &data.methods {
        let values = metrics.iter().map(|metric| Cell::value(method.values.get(*metric)));
        let start =
            [Cell::Text(method.name.clone()), Cell::Text("method".to_owned()), Cell::Count(method.seeds)];
        table.row(start.into_iter().chain(values));
    }
    for baseline in &data.baselines {
        let values = metrics.iter().map(|metric| Cell::value(baseline.values.get(*metric)));
        let start = [
            Cell::Text(baseline.name.clone()),
            Cell::Text("trivial".to_owned()),
            Cell::Undefined("it has no seeds".to_owned()),
        ];
        table.row(start.into_iter().chain(values));
    }
    table
}

fn figure(data: &ReportData, metric: &str) -> maud::Markup {
    let methods =
        data.methods.iter().enumerate().map(|(index, m)| (&m.name, look(index), m.values.get(metric)));
    let trivial = data.baselines.iter().map(|b| (&b.name, "base".to_owned(), b.values.get(metric)));
    let rows: Vec<forest::Row> = methods
        .chain(trivial)
        .map(|(name, class, value)| forest::Row {
            name: name.clone(),
            text: value.map_or_else(|| "–".to_owned(), interval),
            class,
            value: value.and_then(|value| value.mean),
            interval: value.and_then(|value| value.ci95),
            seeds: value.map(|value| value.per_seed.clone()).unwrap_or_default(),
        })
        .collect();
    let ends = || rows.iter().flat_map(|r| r.interval.into_iter().flatten().chain(r.value));
    let title = number::metric(metric);
    let axis = match extent(ends()) {
        Some((low, high)) if low < 0.0 || high > 1.0 => Axis::around(title.as_str(), ends()),
        _ => Axis::share(title.as_str()),
    };
    let known = data.metrics.iter().find(|known| known.name == metric);
    let meaning = known.map(|known| known.description.trim_end_matches('.')).unwrap_or_default();
    let better = if data.higher_is_better(metric) { "right" } else { "left" };
    forest::figure(
        &number::heading(&title),
        &format!(
            "Value and 95 % interval of each method and trivial predictor; better is further to the {better}."
        ),
        &axis,
        None,
        &rows,
        &html! {
            @if !meaning.is_empty() { (meaning) ". " }
            "Better is further to the " (better) ". Dot: mean over seeds; ticks: single seeds; bar: 95 % interval. Grey: \
             trivial predictors."
        },
    )
}
