//! The parts of a report. Each is left out where the data has nothing for it.

mod architecture;
mod attribution;
mod calibration;
mod compare;
mod cost;
mod curves;
mod decisions;
mod headline;
mod labels;
mod learning;
mod provenance;
mod published;
mod saliency;
mod search;
mod subgroup;

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::{
    data::{LabelScores, Method, ReportData, Trial},
    plot,
    table::Table,
};

pub use self::published::{StudyCell, study_cells};
pub(crate) use self::{attribution::Unit, saliency::has_pictures};

/// What stands below every table of results that choices on the test part have improved.
const SELECTED_ON_TEST: &str = "SELECTION ON TEST: settings were chosen by their values on the test part, so all values \
                                are better than they should be.";

/// A part of the page.
pub(crate) struct Section {
    /// Its anchor.
    pub(crate) id: &'static str,
    /// Its heading.
    pub(crate) title: &'static str,
    /// What it answers, in a sentence or two.
    pub(crate) lead: String,
    /// Its content.
    pub(crate) body: Markup,
}

/// All parts that `data` has something for, in reading order.
pub(crate) fn all(data: &ReportData) -> Vec<Section> {
    let sections = [
        headline::section(data),
        headline::warnings(data),
        compare::section(data),
        labels::section(data),
        curves::section(data),
        decisions::section(data),
        calibration::section(data),
        saliency::section(data),
        subgroup::section(data),
        search::section(data),
        attribution::section(data),
        architecture::section(data),
        learning::section(data),
        cost::section(data),
        provenance::section(data),
    ];
    sections.into_iter().flatten().collect()
}

/// Every table of the report that has a row, in reading order.
pub fn tables(data: &ReportData) -> Vec<Table> {
    let mut tables = vec![headline::table(data)];
    tables.extend(compare::tables(data));
    tables.push(labels::table(data));
    tables.push(decisions::table(data));
    tables.push(saliency::pointing(data));
    tables.push(saliency::randomised(data));
    tables.push(subgroup::table(data));
    tables.push(search::table(data));
    tables.push(attribution::table(data));
    tables.push(cost::table(data));
    tables.extend(published::tables(data));
    tables.retain(|table| !table.rows.is_empty());
    if data.selected_on_test {
        for table in &mut tables {
            table.note = format!("{SELECTED_ON_TEST} {}", table.note).trim_end().to_owned();
        }
    }
    tables
}

/// Whether a table is for whoever asks for it by name: long, or told better by another.
pub(crate) fn is_appendix(table: &Table) -> bool {
    table.id == attribution::TABLE || published::is_published(table)
}

/// Names of all labels, each once, in the order in which methods bring them.
fn label_names(data: &ReportData) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let names = data.methods.iter().flat_map(|method| &method.labels).map(|label| label.label.as_str());
    names.filter(|name| seen.insert(*name)).collect()
}

/// A key to the methods of the report.
fn method_key(data: &ReportData) -> Markup {
    let entries = data.methods.iter().enumerate();
    plot::key(entries.map(|(index, method)| (plot::look(index), method.name.as_str())))
}

impl Method {
    /// How the thresholds of its trials were found, each way once.
    pub(crate) fn threshold_rules(&self) -> BTreeSet<&str> {
        self.trials.iter().map(|trial| trial.thresholds.as_str()).filter(|rule| !rule.is_empty()).collect()
    }

    /// Trials with predictions of `label`.
    fn predictions<'a>(&'a self, label: &'a str) -> impl Iterator<Item = (&'a Trial, &'a LabelScores)> {
        self.trials.iter().filter_map(move |trial| {
            Some((trial, trial.predictions.iter().find(|scores| scores.label == label)?))
        })
    }
}

impl ReportData {
    /// Whether all methods saw the same test images, so that their numbers compare.
    fn is_one_test_set(&self) -> bool {
        self.methods.windows(2).all(|pair| pair[0].test_set == pair[1].test_set)
    }

    /// Whether larger values of `metric` are better; so are they where nothing is known of it.
    fn higher_is_better(&self, metric: &str) -> bool {
        self.metrics.iter().find(|known| known.name == metric).is_none_or(|known| known.higher_is_better)
    }

    /// Metrics of the headline that some method has, as far as there are any.
    fn headline_metrics(&self) -> Vec<&str> {
        let has = |name: &&String| self.methods.iter().any(|method| method.values.contains_key(*name));
        self.headline.iter().filter(has).map(String::as_str).collect()
    }
}

/// `1 image`, `2 images`.
fn count(number: u64, what: &str) -> String {
    format!("{} {what}{}", crate::number::grouped(number), if number == 1 { "" } else { "s" })
}

/// A box that can be opened. Its content is in the page either way.
fn fold(summary: &str, body: &Markup) -> Markup {
    html! { details { summary { (summary) } (body) } }
}
