//! Learning curves.

use maud::{Markup, html};

use super::Section;
use crate::{
    data::{Epoch, Method, ReportData, Trial},
    number,
    plot::{self, Axis, Plot, look},
};

pub(super) fn section(data: &ReportData) -> Option<Section> {
    let trained = |method: &&Method| method.trials.iter().any(|trial| !trial.epochs.is_empty());
    let methods: Vec<&Method> = data.methods.iter().filter(trained).collect();
    if methods.is_empty() {
        return None;
    }
    let metrics = metrics(data, &methods);
    let names: Vec<String> = metrics.iter().map(|metric| number::metric(metric)).collect();
    let key = names.iter().enumerate().map(|(index, name)| (look(index), name.as_str()));
    Some(Section {
        id: "training",
        title: "Training",
        lead: "One line per trained network. Where the loss on the validation part rises while the training loss \
               falls, the network learns its training images by heart; the weights that were tested are those of \
               the epoch with the star."
            .to_owned(),
        body: html! {
            div.figures { @for method in &methods { (loss(method)) } }
            @if !metrics.is_empty() {
                (plot::key(key))
                div.figures { @for method in &methods { (validation(method, &metrics)) } }
            }
        },
    })
}

/// Metrics of the headline that were computed on the validation part.
fn metrics<'a>(data: &'a ReportData, methods: &[&Method]) -> Vec<&'a str> {
    let epochs = || methods.iter().flat_map(|method| &method.trials).flat_map(|trial| &trial.epochs);
    let known = data.headline.iter().filter(|name| epochs().any(|epoch| epoch.val.contains_key(*name)));
    known.map(String::as_str).collect()
}

fn epochs(method: &Method) -> Axis {
    let last = method.trials.iter().flat_map(|trial| &trial.epochs).map(|epoch| epoch.epoch).max();
    Axis::whole("epoch", 1.0, f64::from(last.unwrap_or(1)))
}

fn points(trial: &Trial, value: impl Fn(&Epoch) -> Option<f64>) -> Vec<(f64, f64)> {
    trial.epochs.iter().filter_map(|epoch| Some((f64::from(epoch.epoch), value(epoch)?))).collect()
}

fn loss(method: &Method) -> Markup {
    let all = method.trials.iter().flat_map(|trial| &trial.epochs);
    let losses = all.flat_map(|epoch| [epoch.train_loss, epoch.val_loss]);
    let mut plot = Plot::new(
        format!("{}: loss", method.name),
        "Loss on training and validation part by epoch.",
        epochs(method),
        Axis::around("loss", losses),
    );
    for trial in &method.trials {
        plot.line("s0", &points(trial, |e| Some(e.train_loss)), &format!("training, seed {}", trial.seed));
        let validation = points(trial, |epoch| Some(epoch.val_loss));
        plot.line("s1", &validation, &format!("validation, seed {}", trial.seed));
        star(&mut plot, trial, &validation);
    }
    let key = [(look(0), "training"), (look(1), "validation")];
    plot.figure(&plot::key(key))
}

fn validation(method: &Method, metrics: &[&str]) -> Markup {
    let mut plot = Plot::new(
        format!("{}: validation", method.name),
        "Metrics on the validation part by epoch.",
        epochs(method),
        Axis::share("value"),
    );
    for trial in &method.trials {
        for (index, metric) in metrics.iter().enumerate() {
            let line = points(trial, |epoch| epoch.val.get(*metric).copied().flatten());
            plot.line(&look(index), &line, &format!("{}, seed {}", number::metric(metric), trial.seed));
            star(&mut plot, trial, &line);
        }
    }
    plot.figure(&html! { "Stars: the epoch whose weights were tested." })
}

fn star(plot: &mut Plot, trial: &Trial, line: &[(f64, f64)]) {
    let best = line.iter().find(|(epoch, _)| trial.best_epoch.is_some_and(|best| f64::from(best) == *epoch));
    if let Some((x, y)) = best {
        plot.star(*x, *y, &format!("tested: epoch {x}, seed {}", trial.seed));
    }
}
