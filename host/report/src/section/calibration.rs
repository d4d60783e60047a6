//! Whether scores mean what they say.

use maud::{Markup, html};

use super::{Section, fold};
use crate::{
    curve,
    data::{LabelScores, Method, ReportData, Trial},
    number,
    plot::{Axis, Plot, look},
};

/// Most groups of images in a curve.
const GROUPS: usize = 10;
/// Images that a group has at least, as far as there are that many.
const GROUP_SIZE: usize = 15;

pub(super) fn section(data: &ReportData) -> Option<Section> {
    let first = |method: &Method| method.trials.iter().position(|trial| !trial.predictions.is_empty());
    let shown: Vec<(usize, &Method, &Trial)> = data
        .methods
        .iter()
        .enumerate()
        .filter_map(|(index, method)| Some((index, method, &method.trials[first(method)?])))
        .collect();
    if shown.is_empty() {
        return None;
    }
    Some(Section {
        id: "calibration",
        title: "Calibration",
        lead: "Does a score of 0.7 mean that the finding is there in 7 of 10 images? Dots on the diagonal: yes. Below \
               it, scores are too high; training with weights for rare labels does that on purpose. Scores then \
               rank images but are no probabilities."
            .to_owned(),
        body: html! {
            div.figures {
                @for (index, method, trial) in &shown { (pooled(*index, method, trial)) }
            }
            @for (index, method, trial) in &shown {
                @let summary = format!("{}: calibration of each label", method.name);
                (fold(&summary, &html! { div.figures { @for scores in &trial.predictions {
                    (figure(*index, &scores.label, &scores.truth, &scores.scores, &format!("Seed {}.", trial.seed)))
                } } }))
            }
        },
    })
}

fn pooled(index: usize, method: &Method, trial: &Trial) -> Markup {
    let pool = |scores: &LabelScores| {
        scores.truth.iter().copied().zip(scores.scores.iter().copied()).collect::<Vec<_>>()
    };
    let (truth, scores): (Vec<bool>, Vec<f64>) = trial.predictions.iter().flat_map(pool).unzip();
    let note = format!("All labels together, seed {}.", trial.seed);
    figure(index, &method.name, &truth, &scores, &note)
}

fn figure(index: usize, title: &str, truth: &[bool], scores: &[f64], note: &str) -> Markup {
    let plot = Plot::new(
        title,
        "Share of images with the finding against the mean score, in groups of images with similar scores.",
        Axis::share("mean score of the group"),
        Axis::share("share with the finding"),
    );
    let mut plot = plot.square();
    plot.reference((0.0, 0.0), (1.0, 1.0), "perfect calibration");
    let groups = (truth.len() / GROUP_SIZE).clamp(1, GROUPS);
    let bins = curve::calibration(truth, scores, groups);
    let share = |bin: &curve::Bin| bin.positives as f64 / bin.images as f64;
    let line: Vec<_> = bins.iter().map(|bin| (bin.score, share(bin))).collect();
    plot.line(&look(index), &line, title);
    for bin in &bins {
        let interval = curve::wilson(bin.positives as f64, bin.images as f64);
        let tip = format!(
            "{} of {} images have the finding; mean score {}",
            bin.positives,
            bin.images,
            number::fixed(bin.score, 3)
        );
        plot.error_bar(&look(index), bin.score, share(bin), interval, &tip);
    }
    if bins.is_empty() {
        plot.message("no image was assessed");
    }
    let error: f64 = bins.iter().map(|bin| (share(bin) - bin.score).abs() * bin.images as f64).sum();
    plot.figure(&html! {
        (note) " " (bins.len()) " groups of equal size; bars: Wilson’s 95 % interval."
        @if !truth.is_empty() { " Mean distance from the diagonal: " (number::fixed(error / truth.len() as f64, 3)) "." }
    })
}
