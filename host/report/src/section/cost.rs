//! What it cost: time, memory, size.

use maud::{Markup, html};

use super::Section;
use crate::{
    data::{ReportData, Run, Times},
    number,
    plot::{self, look},
    table::{Cell, Table},
};

pub(super) fn section(data: &ReportData) -> Option<Section> {
    let table = table(data);
    let timed: Vec<&Run> = data.runs.iter().filter(|run| run.times.total_s > 0.0).collect();
    (!table.rows.is_empty() || !timed.is_empty()).then(|| Section {
        id: "cost",
        title: "Cost",
        lead: "Numbers of one image. Multiply-adds are those of convolutions and linear layers. Memory is the most \
               that values of inner layers take at once, in 32 bit; weights come on top."
            .to_owned(),
        body: html! {
            @if !table.rows.is_empty() { (table.markup()) }
            @if !timed.is_empty() {
                (plot::key(parts(&Times::default()).into_iter().enumerate().map(|(i, (name, _))| (look(i), name))))
                div.figures { @for run in timed { (times(run)) } }
            }
        },
    })
}

pub(super) fn table(data: &ReportData) -> Table {
    let mut table = Table::new("cost", "Size and training time of each network", "")
        .text_column("Method")
        .text_column("Trials")
        .column("Parameters")
        .column("Multiply-adds")
        .column("Activations (MB)")
        .column("Training per seed (s)");
    for method in &data.methods {
        for network in &method.networks {
            let trained = method.trials.iter().filter(|trial| network.trials.contains(&trial.name));
            let seconds: Vec<f64> = trained.map(|trial| trial.train_s).collect();
            let mean = (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / seconds.len() as f64);
            table.row([
                Cell::Text(method.name.clone()),
                Cell::Text(network.trials.join(", ")),
                Cell::Scaled(network.params as f64),
                Cell::Scaled(network.macs as f64),
                Cell::Number(network.peak_activations as f64 * 4.0 / 1e6, 2),
                Cell::number(mean, 1),
            ]);
        }
    }
    table
}

fn parts(times: &Times) -> [(&'static str, f64); 5] {
    [
        ("data", times.data_s),
        ("search", times.search_s),
        ("training steps", times.train_s),
        ("validation", times.val_s),
        ("other work of trials", times.other_s),
    ]
}

fn times(run: &Run) -> Markup {
    let title = format!("{}, run {}: {}", run.name, run.id, number::duration(run.times.total_s));
    let note = html! {
        @if run.times.gpu_h > 0.0 { " GPU: " (number::fixed(run.times.gpu_h, 2)) " h." }
        " Trainings side by side add up to more than the clock shows."
    };
    plot::stacked(&title, &parts(&run.times), &note)
}
