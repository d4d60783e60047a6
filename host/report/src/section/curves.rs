//! ROC and precision-recall curves of each label.

use maud::{Markup, html};

use super::{Section, label_names, method_key};
use crate::{
    curve::{self, Points},
    data::ReportData,
    number,
    plot::{Axis, Plot, look},
};

/// Points and area of a curve, from truth and scores.
type Curve = fn(&[bool], &[f64]) -> Option<(Points, f64)>;

pub(super) fn section(data: &ReportData) -> Option<Section> {
    let labels = label_names(data);
    let has_curves = |label: &&str| data.methods.iter().any(|m| m.predictions(label).next().is_some());
    if !labels.iter().any(has_curves) {
        return None;
    }
    Some(Section {
        id: "curves",
        title: "ROC and precision–recall curves",
        lead: "Every threshold at once. ROC: findings found against false alarms; better is nearer to the upper \
               left corner, and the dashed diagonal is chance. Precision–recall: how many alarms are right, \
               against findings found; the dashed line is what alarms at random reach, which is low for rare \
               findings."
            .to_owned(),
        body: html! {
            @if data.methods.len() > 1 { (method_key(data)) }
            h3 { "ROC" }
            div.figures { @for label in labels.iter().filter(|label| has_curves(label)) { (roc(data, label)) } }
            h3 { "Precision–recall" }
            div.figures { @for label in labels.iter().filter(|label| has_curves(label)) { (precision_recall(data, label)) } }
            p.note { "One line per trained network. The areas are means over the seeds." }
        },
    })
}

fn roc(data: &ReportData, label: &str) -> Markup {
    let plot = Plot::new(
        label,
        "Sensitivity against 1 − specificity over all thresholds.",
        Axis::share("1 − specificity (false alarms)"),
        Axis::share("sensitivity (found)"),
    );
    let mut plot = plot.square();
    plot.reference((0.0, 0.0), (1.0, 1.0), "chance");
    let why = "undefined: the test part has only one class";
    let areas = draw(&mut plot, data, label, "AUROC", why, curve::roc);
    plot.figure(&html! { (support(data, label)) (areas) })
}

fn precision_recall(data: &ReportData, label: &str) -> Markup {
    let plot = Plot::new(
        label,
        "Precision against recall over all thresholds.",
        Axis::share("recall (found)"),
        Axis::share("precision (alarms that are right)"),
    );
    let mut plot = plot.square();
    if let Some((positives, images)) = size(data, label).filter(|(_, images)| *images > 0) {
        let chance = positives as f64 / images as f64;
        plot.reference((0.0, chance), (1.0, chance), "alarms at random");
    }
    let why = "undefined: no image has the finding";
    let areas = draw(&mut plot, data, label, "Average precision", why, curve::precision_recall);
    plot.figure(&html! { (support(data, label)) (areas) })
}

/// Draws the curve of each trained network, and answers the areas in words.
fn draw(plot: &mut Plot, data: &ReportData, label: &str, area_name: &str, why: &str, curve: Curve) -> String {
    let mut words = Vec::new();
    for (index, method) in data.methods.iter().enumerate() {
        let mut areas = Vec::new();
        for (trial, scores) in method.predictions(label) {
            let Some((points, area)) = curve(&scores.truth, &scores.scores) else { continue };
            let tip = format!("{}, seed {}: {area_name} {}", method.name, trial.seed, number::fixed(area, 3));
            plot.line(&look(index), &points, &tip);
            areas.push(area);
        }
        if !areas.is_empty() {
            let mean = areas.iter().sum::<f64>() / areas.len() as f64;
            words.push(format!("{} {}", method.name, number::fixed(mean, 3)));
        }
    }
    if words.is_empty() {
        plot.message(why);
        return String::new();
    }
    format!(" {area_name}: {}.", words.join(", "))
}

/// Images with the finding, and images on which it was assessed.
fn size(data: &ReportData, label: &str) -> Option<(usize, usize)> {
    let (_, scores) = data.methods.iter().find_map(|method| method.predictions(label).next())?;
    Some((scores.truth.iter().filter(|truth| **truth).count(), scores.truth.len()))
}

fn support(data: &ReportData, label: &str) -> String {
    let size = size(data, label);
    size.map(|(positives, images)| format!("{positives} of {images} test images have it."))
        .unwrap_or_default()
}
