//! What it takes to do it again, and what the words mean.

use maud::{Markup, html};

use super::{Section, fold};
use crate::{
    data::{Part, ReportData, Run},
    number,
    table::{Cell, Table},
};

pub(super) fn section(data: &ReportData) -> Option<Section> {
    let described: Vec<_> = data.metrics.iter().filter(|metric| !metric.description.is_empty()).collect();
    (!data.runs.is_empty()).then(|| Section {
        id: "provenance",
        title: "Provenance",
        lead: "What it takes to do it again, and to see whether it was the same.".to_owned(),
        body: html! {
            @for run in &data.runs { (one(run)) }
            @if !described.is_empty() {
                (fold("What the metrics mean", &html! { dl { @for metric in &described {
                    dt { (number::heading(&number::metric(&metric.name))) }
                    dd { (metric.description) " (" (if metric.higher_is_better { "larger" } else { "smaller" }) " is better)" }
                } } }))
            }
        },
    })
}

fn one(run: &Run) -> Markup {
    html! {
        h3 { (run.name) ", run " (run.id) }
        dl {
            dt { "Status" } dd { (run.status) }
            dt { "Data" } dd { (run.dataset) @if !run.source.is_empty() { ": " (run.source) } }
            @if !run.command.is_empty() { dt { "Command" } dd { code { (run.command) } } }
            @for fact in &run.facts { dt { (fact.name) } dd { (fact.value) } }
        }
        @if !run.parts.is_empty() { (parts(run).markup()) }
        @if !run.plugins.is_empty() { (plugins(run).markup()) }
        @if !run.config.is_empty() {
            (fold("Configuration with every default filled in", &html! { pre tabindex="0" { (run.config) } }))
        }
    }
}

fn parts(run: &Run) -> Table {
    let note =
        "Images with the finding. In brackets: images on which it was assessed, where that is not all.";
    let mut table = Table::new("parts", format!("Data of run {}", run.id), note)
        .text_column("Part")
        .column("Images")
        .column("Patients");
    for label in &run.labels {
        table = table.column(label.as_str());
    }
    for part in &run.parts {
        let positives = |index: usize, part: &Part| {
            let (positives, assessed) =
                (part.positives.get(index).copied(), part.assessed.get(index).copied());
            match (positives, assessed) {
                (Some(positives), Some(assessed)) if assessed != part.images => {
                    Cell::Text(format!("{} ({})", number::grouped(positives), number::grouped(assessed)))
                }
                (Some(positives), _) => Cell::Count(positives),
                (None, _) => Cell::Undefined(String::new()),
            }
        };
        let start = [Cell::Text(part.name.clone()), Cell::Count(part.images), Cell::Count(part.patients)];
        table.row(start.into_iter().chain((0..run.labels.len()).map(|index| positives(index, part))));
    }
    table
}

fn plugins(run: &Run) -> Table {
    let mut table = Table::new("plugins", format!("Plugins of run {}", run.id), "")
        .text_column("Plugin")
        .text_column("Version")
        .text_column("SHA-256");
    for plugin in &run.plugins {
        let cells = [&plugin.id, &plugin.version, &plugin.sha256];
        table.row(cells.map(|text| Cell::Text(text.clone())));
    }
    table
}
