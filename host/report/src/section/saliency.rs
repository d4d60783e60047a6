//! Where networks look, and whether that is what they have learnt.

use maud::{Markup, html};

use super::Section;
use crate::{
    data::{Method, RandomisedResult, ReportData, Saliency, SaliencyExample, Trial},
    number,
    plot::{WIDTH, short},
    raster,
    table::{Cell, Table},
};

/// Side of a picture in a figure.
const PICTURE: f64 = 194.0;

pub(super) fn section(data: &ReportData) -> Option<Section> {
    let seen: Vec<(&Method, &Trial, &Saliency)> = trials(data).collect();
    (!seen.is_empty()).then(|| Section {
        id: "saliency",
        title: "Where the network looks",
        lead: "Grad-CAM marks the places that raised the score of a finding. Where the dataset knows the place of a \
               finding, the largest mark either lies on it or not: the pointing game. A mark on the finding is no \
               proof that the network decides as a reader would."
            .to_owned(),
        body: html! {
            @for (method, trial, saliency) in &seen {
                @if let Some(sentence) = verdict(&saliency.randomised) {
                    p.verdict { b { (method.name) ", " (trial.name) ": " } (sentence) }
                }
            }
            (pointing(data).markup())
            (randomised(data).markup())
            @for method in &data.methods {
                // One network of each method: the others are alike, and pictures are large.
                @if let Some(saliency) = method.trials.iter().find_map(|trial| trial.saliency.as_ref()) {
                    h3 { (method.name) }
                    div.figures { @for example in &saliency.examples { (figure(saliency, example)) } }
                }
            }
        },
    })
}

fn trials(data: &ReportData) -> impl Iterator<Item = (&Method, &Trial, &Saliency)> {
    data.methods
        .iter()
        .flat_map(|method| method.trials.iter().map(move |trial| (method, trial)))
        .filter_map(|(method, trial)| Some((method, trial, trial.saliency.as_ref()?)))
}

/// Whether the page holds pictures.
pub(crate) fn has_pictures(data: &ReportData) -> bool {
    trials(data).any(|(_, _, saliency)| !saliency.examples.is_empty())
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What the check with layers drawn anew says, in a sentence.
fn verdict(stages: &[RandomisedResult]) -> Option<String> {
    let (trained, last) = (stages.first()?, stages.last()?);
    let (hits, drawn) = (share(trained.hits, trained.findings)?, share(last.hits, last.findings)?);
    // Both look at the same findings; that is not used, so the test is rather too careful.
    let spread = [hits, drawn].iter().map(|p| p * (1.0 - p) / trained.findings as f64).sum::<f64>().sqrt();
    let told = format!(
        "{} of {} findings are hit, and {} with all weights drawn at random",
        trained.hits, trained.findings, last.hits
    );
    Some(if hits - drawn > 1.96 * spread && hits > drawn {
        format!("{told}: the maps show something that was learnt.")
    } else {
        format!("{told}: the maps point no better than those of a network that has learnt nothing.")
    })
}

/// The pointing game by label, for each trained network.
pub(super) fn pointing(data: &ReportData) -> Table {
    let mut table = Table::new(
        "pointing-game",
        "The pointing game with Grad-CAM",
        "Hits: the largest value of the map lies on the finding. By chance: a random place does. Middle: the middle of \
         the image does, which beats chance where findings lie in the middle. On the finding: share of the map's sum \
         there, over maps that are not blank.",
    )
    .text_column("Label")
    .text_column("Method")
    .text_column("Trial");
    for title in ["Findings", "Hits", "By chance", "Middle", "On the finding", "Blank maps"] {
        table = table.column(title);
    }
    for (method, trial, saliency) in trials(data) {
        for label in &saliency.labels {
            table.row([
                Cell::Text(label.label.clone()),
                Cell::Text(method.name.clone()),
                Cell::Text(trial.name.clone()),
                Cell::Count(label.findings),
                Cell::number(share(label.hits, label.findings), 3),
                Cell::number(label.area, 3),
                Cell::number(share(label.centre_hits, label.findings), 3),
                Cell::number(label.mass, 3),
                Cell::Count(label.blank),
            ]);
        }
    }
    table
}

/// The same with layers drawn anew.
pub(super) fn randomised(data: &ReportData) -> Table {
    let mut table = Table::new(
        "randomisation",
        "The same findings with layers drawn anew",
        "Layers are replaced by random ones from the output downwards (Adebayo et al. 2018). If hits stay as they were, \
         the maps show the image and not what was learnt. Likeness: mean rank correlation with the maps of the trained \
         network.",
    )
    .text_column("Method")
    .text_column("Trial")
    .text_column("Layers drawn anew")
    .column("Findings")
    .column("Hits")
    .column("On the finding")
    .column("Likeness");
    for (method, trial, saliency) in trials(data) {
        for stage in &saliency.randomised {
            table.row([
                Cell::Text(method.name.clone()),
                Cell::Text(trial.name.clone()),
                Cell::Text(layers(stage)),
                Cell::Count(stage.findings),
                Cell::number(share(stage.hits, stage.findings), 3),
                Cell::number(stage.mass, 3),
                Cell::number(stage.similarity, 3),
            ]);
        }
    }
    table
}

fn layers(stage: &RandomisedResult) -> String {
    match stage.layers {
        0 => "none: as trained".to_owned(),
        all if all == stage.of => format!("all {all}"),
        1 => format!("the last of {}", stage.of),
        some => format!("the last {some} of {}", stage.of),
    }
}

/// The image with the border of the finding, and with the map over it.
fn figure(saliency: &Saliency, example: &SaliencyExample) -> Markup {
    let side = saliency.side;
    let [rows, columns] = saliency.map;
    let image = raster::bytes(&example.image, side * side);
    let finding = raster::bytes(&example.finding, side * side);
    let map = raster::bytes(&example.map, rows * columns);
    let image = image.and_then(|values| raster::url(&raster::grey(&values), side, side));
    let outline = finding.and_then(|values| raster::url(&raster::outline(&values, side), side, side));
    let heat = map.and_then(|values| raster::url(&raster::heat(&values), rows, columns));
    let right = WIDTH - PICTURE;
    let place = |value: usize| (value as f64 + 0.5) / side.max(1) as f64 * PICTURE;
    let [row, column] = example.peak.map(place);
    let score = example.score.map(|score| format!("score {}, ", number::fixed(score, 2))).unwrap_or_default();
    let word = if example.hit { "a hit" } else { "a miss" };
    let picture = |left: f64, url: &Option<String>| {
        html! { @if let Some(url) = url {
            image x=(short(left)) y="0" width=(short(PICTURE)) height=(short(PICTURE)) preserveAspectRatio="none" href=(url) {}
        } }
    };
    html! {
        figure {
            h4 { (example.label) ": " (score) (word) }
            svg role="img" aria-label=(format!("{}: {score}{word}. Left: the image and the border of the finding; right: \
                the map over the image", example.label)) viewBox=(format!("0 0 {WIDTH} {}", short(PICTURE))) {
                desc { "Test image with the border of the finding, and with the Grad-CAM map." }
                (picture(0.0, &image)) (picture(0.0, &outline))
                (picture(right, &image)) (picture(right, &heat))
                @for left in [0.0, right] {
                    rect.frame x=(short(left)) y="0" width=(short(PICTURE)) height=(short(PICTURE)) {}
                }
                path.peak d={ "M" (short(right + column - 7.0)) " " (short(row)) "h14M" (short(right + column)) " " (short(row - 7.0)) "v14" } {}
            }
            figcaption { "Left: border of the finding. Right: the map; the cross is its largest value." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn pictures_lie_in_the_page_and_both_tables_have_their_rows() {
        let data = testing::report();
        let body = section(&data).unwrap().body.into_string();
        assert_eq!(
            body.matches("data:image/png;base64,").count(),
            2 * 4,
            "image twice, border, map; two methods"
        );
        assert!(
            body.contains("the last of 4") && body.contains("all 4") && body.contains("none: as trained")
        );
        assert_eq!((pointing(&data).rows.len(), randomised(&data).rows.len()), (2, 2 * 3));
        assert!(has_pictures(&data) && !has_pictures(&ReportData::default()));
    }

    #[test]
    fn a_map_that_does_not_fit_is_left_out() {
        let saliency = Saliency { side: 4, map: [2, 2], ..Saliency::default() };
        let svg =
            figure(&saliency, &SaliencyExample { image: "AAAA".to_owned(), ..SaliencyExample::default() });
        assert!(!svg.into_string().contains("<image"));
    }

    #[test]
    fn the_check_says_whether_maps_show_what_was_learnt() {
        let stage =
            |layers, hits| RandomisedResult { layers, of: 4, findings: 100, hits, ..Default::default() };
        let of = |trained, drawn| verdict(&[stage(0, trained), stage(1, 50), stage(4, drawn)]).unwrap();
        assert!(of(60, 20).contains("something that was learnt"));
        assert!(of(24, 20).contains("no better than"));
        assert!(of(0, 0).contains("no better than"));
        assert_eq!(verdict(&[]), None);
    }
}
