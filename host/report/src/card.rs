//! Forms that journals and users of models ask for, filled in as far as a run knows.

use std::collections::BTreeSet;

use crate::{
    data::{Method, ReportData, Run},
    number, section,
};

/// What only people can fill in.
const OPEN: &str = "_to be filled in by the authors_";

/// Writes a model card (Mitchell et al., *Model Cards for Model Reporting*, FAT* 2019) in Markdown.
///
/// What a run cannot know is marked as open.
pub fn model_card(data: &ReportData) -> String {
    let mut card = format!("# Model card: {}\n\n", line(&data.title));
    card +=
        "Made by nashost from the record of the run. Passages in italics are open.\n\n## Model details\n\n";
    for method in &data.methods {
        card += &details(method);
    }
    for run in &data.runs {
        card += &format!("- run {} ({}), by {}\n", line(&run.id), line(&run.status), line(&data.generator));
    }
    card += &format!(
        "- people, licence, contact, citation: {OPEN}\n\n## Intended use\n\n\
         Research. Not a medical device; not for decisions about patients. Further limits: {OPEN}\n\n\
         ## Factors\n\nGroups of patients and devices for which results may differ: {}\n\n",
        if data.subgroups.is_empty() { OPEN } else { "see the table of groups below" }
    );
    card += &format!(
        "## Metrics\n\n{}\n\
         Checkpoints were chosen on the validation part{}. Intervals of 95 % resample the patients \
         of the test part.\n\n",
        data.headline_list(),
        thresholds(data)
    );
    for (title, part) in [("Evaluation data", "test"), ("Training data", "train")] {
        card += &format!("## {title}\n\n");
        for run in &data.runs {
            card += &images(run, part);
        }
        card += &format!("- how and where images and labels were collected: {OPEN}\n\n");
    }
    card += "## Quantitative analyses\n\n";
    for table in section::tables(data).iter().filter(|table| !section::is_appendix(table)) {
        card += &table.markdown();
        card.push('\n');
    }
    card += &format!("## Ethical considerations\n\n{OPEN}\n\n## Caveats and recommendations\n\n");
    for warning in data.warnings.iter().chain(data.runs.iter().flat_map(|run| &run.warnings)) {
        card += &format!("- {}\n", line(warning));
    }
    card + &format!("- {OPEN}\n")
}

/// Writes a checklist for a paper in Markdown: items of CLAIM (2024 update) and TRIPOD+AI (2024) that a
/// run can answer, each with the answer or marked as open. The wording is ours; the statements
/// themselves decide.
pub fn checklist(data: &ReportData) -> String {
    let answer = |has: bool, text: String| if has { text } else { OPEN.to_owned() };
    let run = data.runs.first();
    let part = |name: &str| run.and_then(|run| run.parts.iter().find(|part| part.name == name));
    let sizes: Vec<String> = ["train", "val", "test"]
        .iter()
        .filter_map(|name| part(name))
        .map(|part| format!("{}: {} images of {} patients", part.name, part.images, part.patients))
        .collect();
    let networks = data.methods.iter().flat_map(|method| &method.networks);
    let networks: Vec<String> = networks
        .map(|n| {
            format!(
                "{} parameters, {} multiply-adds",
                number::scaled(n.params as f64),
                number::scaled(n.macs as f64)
            )
        })
        .collect();
    let seeds: Vec<String> =
        data.methods.iter().map(|m| format!("{}: {} seeds", line(&m.name), m.seeds)).collect();
    let items = [
        ("Study design, objective, intended role", OPEN.to_owned()),
        ("Source of the data", answer(run.is_some(), run.map(|run| line(&run.source)).unwrap_or_default())),
        ("Eligibility of patients, dates, setting", OPEN.to_owned()),
        ("Reference standard and annotators", OPEN.to_owned()),
        (
            "Labels that were not assessed",
            "left out of loss and metrics, never counted as negative".to_owned(),
        ),
        (
            "Parts of the data, and the level at which they are disjoint",
            answer(!sizes.is_empty(), sizes.join("; ")),
        ),
        ("Sample size and its justification", OPEN.to_owned()),
        ("Structure of the model", answer(!networks.is_empty(), networks.join("; "))),
        (
            "Software, versions, hyper-parameters",
            answer(run.is_some(), "run.toml, run.lock.toml, provenance.json".to_owned()),
        ),
        ("Initialisation, seeds", answer(!seeds.is_empty(), seeds.join("; "))),
        (
            "Selection of the final model",
            "on the validation part; the test part is read once per trained network".to_owned(),
        ),
        ("Metrics with intervals", answer(!data.headline.is_empty(), data.headline_list())),
        (
            "Trivial predictors as comparison",
            answer(!data.baselines.is_empty(), format!("{} in the table of results", data.baselines.len())),
        ),
        ("Calibration", "curves in report.html".to_owned()),
        (
            "Performance in groups of patients",
            answer(!data.subgroups.is_empty(), "table of groups in report.html".to_owned()),
        ),
        ("External validation", OPEN.to_owned()),
        ("Failures and their analysis", OPEN.to_owned()),
        (
            "Limitations",
            answer(
                run.is_some_and(|run| !run.warnings.is_empty()),
                "warnings in report.html; more: ".to_owned() + OPEN,
            ),
        ),
        ("Registration, protocol, ethics approval, funding", OPEN.to_owned()),
        ("Availability of code, model and data", OPEN.to_owned()),
    ];
    let mut text = format!(
        "# Reporting checklist: {}\n\nItems of CLAIM and TRIPOD+AI that matter for a study of this kind, in our words. \
         Check the statements themselves before you submit.\n\n| Item | Answer |\n| --- | --- |\n",
        line(&data.title)
    );
    for (item, answer) in items {
        text += &format!("| {item} | {} |\n", answer.replace('|', "\\|"));
    }
    text
}

impl ReportData {
    fn headline_list(&self) -> String {
        self.headline.iter().map(|name| number::metric(name)).collect::<Vec<_>>().join(", ")
    }
}

/// How thresholds were found, each way once.
fn thresholds(data: &ReportData) -> String {
    let rules: BTreeSet<&str> = data.methods.iter().flat_map(Method::threshold_rules).collect();
    rules.into_iter().map(|rule| format!("; thresholds: {}", line(rule))).collect()
}

fn details(method: &Method) -> String {
    let networks = method.networks.iter().map(|network| {
        format!(
            "; network {} with {} parameters and {} multiply-adds per image of {:?}",
            line(&network.id),
            number::scaled(network.params as f64),
            number::scaled(network.macs as f64),
            network.input
        )
    });
    format!("- {}, {} trained networks{}\n", line(&method.name), method.seeds, networks.collect::<String>())
}

fn images(run: &Run, part: &str) -> String {
    let parts = run.parts.iter().filter(|known| known.name == part);
    let sentence = |part: &crate::data::Part| {
        let labels = run.labels.iter().zip(&part.positives);
        let labels: Vec<String> = labels.map(|(label, n)| format!("{} {n}", line(label))).collect();
        format!(
            "- {}: {} images of {} patients; images with each finding: {}. {}\n",
            line(&run.dataset),
            part.images,
            part.patients,
            labels.join(", "),
            line(&run.source)
        )
    };
    parts.map(sentence).collect()
}

/// A text on one line, without what Markdown would take as HTML.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_card_holds_what_is_known_and_marks_what_is_not() {
        let card = model_card(&testing::report());
        for part in [
            "40 images of 30 patients",
            "thresholds: 0.5 for every label",
            "macro AUROC, macro F1",
            "test set has 40 images",
            "two seeds: take more",
            "| zennas | method | 1 |",
        ] {
            assert!(card.contains(part), "{part} is missing in {card}");
        }
        assert!(card.matches(OPEN).count() >= 4);
    }

    #[test]
    fn the_checklist_answers_only_from_data() {
        let full = checklist(&testing::report());
        let empty = checklist(&ReportData::default());
        assert!(full.contains("| Initialisation, seeds | zennas: 1 seeds; resnet: 1 seeds |"));
        assert!(empty.contains(&format!("| Initialisation, seeds | {OPEN} |")));
        assert!(empty.matches(OPEN).count() > full.matches(OPEN).count());
    }
}
