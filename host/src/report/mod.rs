//! Reports of runs: from run directories to the plain data that [`nashost_report`] draws.
//!
//! The numbers come from the events; curves come from `predictions/`, the configuration from
//! `run.toml`, and the command line from `provenance.json`. A file that is missing or damaged does not
//! keep the rest from being shown: the report names it among its warnings.

mod comparison;
mod group;
mod method;
mod network;
mod one_shot;
mod prediction;
mod run;

use std::collections::BTreeSet;

use nashost_plugin_api::metric::Direction;
use nashost_report::data::{Attribution, Metric, ReportData};

use crate::{
    cli::explain,
    error::Result,
    run::{RunDir, atomic, state::State, summary::HEADLINE, tables},
};

pub use self::group::ATTRIBUTES;
pub(crate) use self::{comparison::read as comparisons, group::write_attributes, method::results};

/// Name of the page in the run directory.
pub const REPORT: &str = "report.html";

/// Reads what a report about `runs` shows.
///
/// # Errors
///
/// Fails if the events of a run cannot be read or are damaged.
pub fn read(runs: &[RunDir]) -> Result<ReportData> {
    let states = runs.iter().map(tables::read).collect::<Result<Vec<State>>>()?;
    Ok(of(&runs.iter().zip(&states).collect::<Vec<_>>()))
}

/// Writes the page of one run into its directory.
///
/// # Errors
///
/// Fails if it cannot be written; it is then whole, old or new.
pub fn write(run: &RunDir, state: &State) -> Result<()> {
    atomic::write(&run.file(REPORT), nashost_report::html(&of(&[(run, state)])).as_bytes())
}

/// Gathers what a report about `runs` shows.
pub(crate) fn of(runs: &[(&RunDir, &State)]) -> ReportData {
    let mut data = ReportData {
        title: title(runs),
        generator: format!("nashost {}", env!("CARGO_PKG_VERSION")),
        headline: HEADLINE.map(str::to_owned).into(),
        ..ReportData::default()
    };
    for (run, state) in runs {
        let mut missing = Vec::new();
        add_metrics(&mut data.metrics, state);
        let (methods, baselines) = method::of(run, state, &mut missing);
        data.methods.extend(methods);
        data.subgroups.extend(group::of(run, state, &mut missing));
        for baseline in baselines {
            let is_known = |known: &nashost_report::data::Baseline| {
                (&known.name, &known.test_set) == (&baseline.name, &baseline.test_set)
            };
            if !data.baselines.iter().any(is_known) {
                data.baselines.push(baseline);
            }
        }
        let told = state.search.as_ref().map(one_shot::told).transpose();
        let told = told.map_err(|why| missing.push(why)).ok().flatten().unwrap_or_default();
        let of_run = |attribution| Attribution { run: run.short_id().to_owned(), ..attribution };
        data.attributions.extend(told.attributions.into_iter().map(of_run));
        let mut drawn = run::of(run, state, missing);
        drawn.search.iter_mut().for_each(|search| search.counts.clone_from(&told.counts));
        data.runs.push(drawn);
    }
    tell_apart(&mut data);
    data
}

/// Adds the run to the names of methods that several runs have.
fn tell_apart(data: &mut ReportData) {
    let names: Vec<String> = data.methods.iter().map(|method| method.name.clone()).collect();
    let name = |name: &str, run: &str| {
        let several = names.iter().filter(|known| **known == name).count() > 1;
        if several { format!("{name} ({run})") } else { name.to_owned() }
    };
    for method in &mut data.methods {
        method.name = name(&method.name, &method.run);
    }
    for group in &mut data.subgroups {
        group.method = name(&group.method, &group.run);
    }
}

/// What the page tells of an error of this code. Its message may hold ids of images and words of plugins, and the page
/// names no image.
fn in_short(code: &str) -> String {
    format!("{code}: {}", explain::title(code).unwrap_or("an error of another version of nashost"))
}

fn title(runs: &[(&RunDir, &State)]) -> String {
    let names: BTreeSet<&str> = runs.iter().map(|(run, _)| run.name()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    format!("nashost report: {}", names.join(", "))
}

fn add_metrics(metrics: &mut Vec<Metric>, state: &State) {
    let known = state.started.iter().flat_map(|(_, started)| &started.metrics);
    for info in known {
        if metrics.iter().all(|metric| metric.name != info.name) {
            metrics.push(Metric {
                name: info.name.clone(),
                higher_is_better: info.direction == Direction::Higher,
                per_label: info.per_label,
                description: info.description.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
