//! Decisions at the thresholds of the labels.

use maud::{Markup, html};

use super::{Section, fold};
use crate::{
    curve::{self, Confusion},
    data::{Method, ReportData},
    number,
    plot::{Axis, Plot, look, short},
    table::{Cell, Table},
};

/// Bars of a histogram.
const BARS: usize = 20;

pub(super) fn section(data: &ReportData) -> Option<Section> {
    let table = table(data);
    let shown =
        data.methods.iter().enumerate().filter(|(_, m)| m.trials.iter().any(|t| !t.predictions.is_empty()));
    let shown: Vec<_> = shown.collect();
    (!table.rows.is_empty()).then(|| Section {
        id: "decisions",
        title: "Decisions and thresholds",
        lead: "A finding is reported where its score is above the threshold of its label. No threshold was chosen on the \
               test part."
            .to_owned(),
        body: html! {
            @for (_, method) in &shown { @for rule in method.threshold_rules() {
                p.verdict { "Thresholds of " (method.name) ": " (rule) "." }
            } }
            (table.markup())
            @for (index, method) in &shown {
                @if shown.len() == 1 { (figures(*index, method)) }
                @else { (fold(&method.name, &figures(*index, method))) }
            }
        },
    })
}

fn figures(index: usize, method: &Method) -> Markup {
    html! {
        h3 { "Right and wrong, label by label" }
        div.figures.small { @for result in &method.labels { (matrix(method, &result.label)) } }
        h3 { "Where the thresholds lie" }
        p { "Up: images with the finding. Down: images without. A good network has the upper bars right of the "
            "dashed threshold and the lower bars left of it." }
        div.figures.small { @for result in &method.labels { (histogram(index, method, &result.label)) } }
    }
}

/// Decisions of a method on a label, averaged over its trials, and the thresholds.
fn decisions(method: &Method, label: &str) -> Option<(Confusion, Vec<f64>)> {
    let each = method.predictions(label);
    let (counts, thresholds): (Vec<_>, Vec<_>) =
        each.map(|(_, s)| (Confusion::of(&s.truth, &s.scores, s.threshold), s.threshold)).unzip();
    Some((Confusion::mean(&counts)?, thresholds))
}

pub(super) fn table(data: &ReportData) -> Table {
    let mut table = Table::new(
        "confusion",
        "Decisions on the test part",
        "Counts are means over the seeds. Beside the rates: Wilson’s 95 % interval, as if every image were of another \
         patient. Sensitivity is the share of findings that is found, specificity the share of images without the \
         finding that is left alone.",
    )
    .text_column("Label")
    .text_column("Method")
    .column("Threshold")
    .column("Found (TP)")
    .column("Missed (FN)")
    .column("False alarms (FP)")
    .column("Rightly quiet (TN)")
    .column("Sensitivity")
    .column("Specificity");
    for label in super::label_names(data) {
        for method in &data.methods {
            let Some((counts, thresholds)) = decisions(method, label) else { continue };
            let Confusion { tp, fp, fn_, tn } = counts;
            let digits = usize::from(thresholds.len() > 1);
            let rate = |share: Option<f64>, part: f64, whole: f64, why: &str| {
                let value = crate::data::Value {
                    mean: share,
                    ci95: curve::wilson(part, whole),
                    ..Default::default()
                };
                if share.is_some() { Cell::Interval(value) } else { Cell::Undefined(why.to_owned()) }
            };
            table.row([
                Cell::Text(label.to_owned()),
                Cell::Text(method.name.clone()),
                Cell::Text(thresholds_text(&thresholds)),
                Cell::Number(tp, digits),
                Cell::Number(fn_, digits),
                Cell::Number(fp, digits),
                Cell::Number(tn, digits),
                rate(counts.sensitivity(), tp, tp + fn_, "no image has the finding"),
                rate(counts.specificity(), tn, tn + fp, "every image has the finding"),
            ]);
        }
    }
    table
}

/// The thresholds of the trials, once if they are all the same.
fn thresholds_text(thresholds: &[f64]) -> String {
    let mut texts: Vec<String> = thresholds.iter().map(|t| number::fixed(*t, 3)).collect();
    if texts.iter().all(|text| *text == texts[0]) {
        texts.truncate(1);
    }
    texts.join(", ")
}

/// Four fields: what is true by what was said, shaded by the share of their row.
fn matrix(method: &Method, label: &str) -> Markup {
    let Some((counts, thresholds)) = decisions(method, label) else { return html! {} };
    let Confusion { tp, fp, fn_, tn } = counts;
    let digits = usize::from(thresholds.len() > 1);
    let cells = [
        (0.0, 0.0, tp, tp + fn_, "found", true),
        (1.0, 0.0, fn_, tp + fn_, "missed", false),
        (0.0, 1.0, fp, fp + tn, "false alarm", false),
        (1.0, 1.0, tn, fp + tn, "rightly quiet", true),
    ];
    let title = format!("{label}: decisions");
    html! {
        figure {
            h4 { (label) }
            svg role="img" aria-label=(title) viewBox="0 0 260 150" {
                desc { "Two rows, finding there and not there, by two columns, reported and not reported." }
                text x="118" y="14" text-anchor="middle" { "reported" }
                text x="208" y="14" text-anchor="middle" { "not reported" }
                text x="68" y="56" text-anchor="end" { "there" }
                text x="68" y="116" text-anchor="end" { "not there" }
                @for (column, row, value, whole, name, is_right) in cells {
                    @let share = if whole > 0.0 { value / whole } else { 0.0 };
                    @let (x, y) = (74.0 + 90.0 * column, 22.0 + 60.0 * row);
                    g {
                        title { (name) ": " (number::fixed(value, digits)) " of " (number::fixed(whole, digits)) }
                        rect.frame x=(short(x)) y=(short(y)) width="88" height="58" {}
                        rect class=(if is_right { "right" } else { "wrong" }) x=(short(x)) y=(short(y)) width="88" height="58"
                            fill-opacity=(format!("{:.2}", share * 0.55)) {}
                        text.number x=(short(x + 44.0)) y=(short(y + 26.0)) text-anchor="middle" { (number::fixed(value, digits)) }
                        text x=(short(x + 44.0)) y=(short(y + 43.0)) text-anchor="middle" { (name) }
                    }
                }
            }
        }
    }
}

fn histogram(index: usize, method: &Method, label: &str) -> Markup {
    let Some((trial, scores)) = method.predictions(label).next() else { return html! {} };
    let of = |truth: bool| {
        let pairs = scores.truth.iter().zip(&scores.scores).filter(move |(t, _)| **t == truth);
        curve::histogram(pairs.map(|(_, score)| *score), BARS)
    };
    let (there, absent) = (of(true), of(false));
    let top = there.iter().chain(&absent).copied().fold(0.0, f64::max).max(0.05) * 1.05;
    let mut plot = Plot::new(
        label,
        "Distribution of scores of images with the finding, upward, and without it, downward.",
        Axis::share("score"),
        Axis::linear("share of images", -top, top).magnitude(),
    )
    .height(210.0);
    let width = 1.0 / BARS as f64;
    for bar in 0..BARS {
        let x = (bar as f64 * width, (bar + 1) as f64 * width);
        plot.bar(&look(index), x, 0.0, there[bar]);
        plot.bar("base", x, 0.0, -absent[bar]);
    }
    plot.reference((scores.threshold, -top), (scores.threshold, top), "threshold");
    let positives = scores.truth.iter().filter(|truth| **truth).count();
    plot.figure(&html! {
        "Threshold " (number::fixed(scores.threshold, 3)) ", seed " (trial.seed) "; " (positives) " images with, "
        (scores.truth.len() - positives) " without."
    })
}
