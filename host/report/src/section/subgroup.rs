//! Methods on parts of the test images.

use std::collections::BTreeSet;

use maud::html;

use super::Section;
use crate::{
    data::ReportData,
    number,
    table::{Cell, Table},
};

/// Findings below which a group's values are withheld: they would say more of chance than of the
/// method, and might point to single patients.
const FEW: u64 = 10;

pub(super) fn section(data: &ReportData) -> Option<Section> {
    let table = table(data);
    (!table.rows.is_empty()).then(|| Section {
        id: "subgroups",
        title: "Groups of patients",
        lead: format!(
            "A network may do well on average and badly on the images of one scanner or one age band. Groups with fewer \
             than {FEW} findings are withheld."
        ),
        body: html! { (table.markup()) },
    })
}

pub(super) fn table(data: &ReportData) -> Table {
    // Metrics of the headline first.
    let names = data.subgroups.iter().flat_map(|group| group.values.keys());
    let mut metrics: Vec<&String> = names.collect::<BTreeSet<_>>().into_iter().collect();
    metrics.sort_by_key(|name| !data.headline.contains(name));
    let note =
        "Intervals resample patients, where they are given. Differences between groups were not tested.";
    let mut table = Table::new("subgroups", "Test results of groups", note)
        .text_column("Attribute")
        .text_column("Group")
        .text_column("Method")
        .column("Images")
        .column("Findings");
    for metric in &metrics {
        table = table.column(number::metric(metric));
    }
    for group in &data.subgroups {
        let start = [
            Cell::Text(group.attribute.clone()),
            Cell::Text(group.group.clone()),
            Cell::Text(group.method.clone()),
            Cell::Count(group.images),
            if group.positives < FEW { Cell::Text(format!("< {FEW}")) } else { Cell::Count(group.positives) },
        ];
        let values = metrics.iter().map(|metric| {
            if group.positives < FEW {
                Cell::Undefined(format!("withheld: fewer than {FEW} findings"))
            } else {
                Cell::value(group.values.get(*metric))
            }
        });
        table.row(start.into_iter().chain(values));
    }
    table
}
