//! `nashost reproduce`: what was published, recomputed.

use std::path::Path;

use nashost_report::StudyCell;
use nashost_stats::study::{
    cells::{Beside, Cell, RowVerdict, beside, cells, rows},
    significance::{Published, Verdict, published},
};
use serde_json::json;

use super::{
    Context,
    args::{Format, ReproduceCommand, ReproduceStudyArgs, StudyArgs},
    output::{Style, Table},
    study::{self as own, Made},
};
use crate::{
    error::{Exit, Result},
    statistics::undefined,
};

/// Recomputes what was published.
pub(super) fn command(command: &ReproduceCommand, context: &Context) -> Result<Exit> {
    match command {
        ReproduceCommand::Study(args) => match &args.config {
            None => study(context),
            Some(config) => beside_own(config, args, context),
        },
    }
}

/// Makes a study, as far as it is not there, and puts its results beside the published cells.
fn beside_own(config: &Path, args: &ReproduceStudyArgs, context: &Context) -> Result<Exit> {
    let asked = StudyArgs {
        config: config.to_owned(),
        studies: args.studies.clone(),
        jobs: args.jobs,
        keep_going: args.keep_going,
        retry_failed: false,
        dry_run: false,
    };
    let Made { written, failure, .. } = own::make(&asked, context)?;
    let ours: Vec<(&String, Vec<StudyCell>)> =
        written.pages.iter().map(|(dataset, data)| (dataset, nashost_report::study_cells(data))).collect();
    let found = beside(cells(), |dataset, method, column| {
        let (_, cells) = ours.iter().find(|(known, _)| *known == dataset)?;
        let cell = cells.iter().find(|cell| cell.method == method && cell.column == column)?;
        Some((cell.percent, cell.ci95))
    });
    if context.out.format() == Format::Json {
        context.out.json(&json!({"cells": found, "warnings": written.summary.warnings}))?;
    } else {
        context.out.table(&beside_table(&found))?;
        context.out.text(
            "\nIntervals are over the patients of the test part. Unless the study had the private X-rays, ours are other \
             images,\nand no difference says anything of the published networks.\n",
        )?;
        written.summary.warnings.iter().for_each(|warning| context.out.warn(warning));
    }
    failure.map_or(Ok(Exit::Ok), Err)
}

fn beside_table(found: &[Beside]) -> Table {
    let mut table =
        Table::new(&["table", "row", "column", "published", "on file", "ours", "our interval", "verdict"]);
    let short = |value: f64| (value * 1e3).round() / 1e3;
    for Beside { cell, ours, interval, verdict } in found {
        table.row([
            json!(cell.table),
            json!(format!("{} {}", cell.site, cell.row)),
            json!(cell.column),
            json!(cell.printed),
            json!(cell.nearest.map(short)),
            json!(ours.map(short)),
            json!(interval.map(|[low, high]| format!("[{low:.1}, {high:.1}]"))),
            json!(verdict),
        ]);
    }
    table
}

/// Compares the 2023 study's tables and tests with the files it published; nothing is trained.
fn study(context: &Context) -> Result<Exit> {
    let tests = published().map_err(|why| undefined("the study's tests", &why))?;
    let cells = cells();
    let rows = rows(&cells);
    if context.out.format() == Format::Json {
        context.out.json(&json!({"tests": tests, "cells": cells, "rows": rows}))?;
        return Ok(Exit::Ok);
    }
    let heading = |text: &str| context.out.text(&format!("{}\n\n", context.out.paint(Style::Strong, text)));
    heading("Tables 9 to 14: p-values")?;
    context.out.table(&tests_table(&tests))?;
    context.out.text("\n")?;
    heading("Tables 3 to 6: cells, in percent")?;
    context.out.table(&cells_table(&cells, &rows))?;
    let missing = cells.iter().filter(|cell| cell.found_in.is_empty()).count();
    let mixed = rows.iter().filter(|row| row.one_checkpoint.is_empty()).count();
    let lost = tests.iter().filter(|test| test.verdict == Verdict::NotReproducible).count();
    context.out.text(&format!(
        "\n{lost} of {} p-values do not reproduce. {missing} of {} cells are on no file, and {mixed} of {} rows are no \
         single model.\nThe tests compare hyper-parameter settings picked on the test set, so that no p of them is valid.\n",
        tests.len(),
        cells.len(),
        rows.len()
    ))?;
    Ok(Exit::Ok)
}

fn tests_table(tests: &[Published]) -> Table {
    let mut table = Table::new(&[
        "table",
        "comparison",
        "published",
        "ours",
        "on file",
        "Holm in table",
        "Holm over all",
        "verdict",
    ]);
    let short = |p: Option<f64>| json!(p.map(|p| (p * 1e5).round() / 1e5));
    for test in tests {
        let verdict = match test.verdict {
            Verdict::Reproduced => "reproduced",
            Verdict::ReproducedFromInferred => "reproduced, with values inferred in part",
            Verdict::Attainable => "values not on file; a possible p of 5 and 5",
            Verdict::NotReproducible => "NOT reproducible",
        };
        table.row([
            json!(test.table),
            json!(format!("{} {} v {}", test.site, test.method, test.against)),
            json!(test.printed),
            short(test.ours),
            short(test.on_file),
            short(Some(test.holm_in_table)),
            short(Some(test.holm_over_all)),
            json!(verdict),
        ]);
    }
    table
}

fn cells_table(cells: &[Cell], rows: &[RowVerdict]) -> Table {
    let mut table = Table::new(&["table", "row", "column", "published", "on file", "verdict"]);
    for cell in cells {
        let one = rows.iter().find(|row| row.site == cell.site && row.row == cell.row);
        let verdict = match (cell.found_in.is_empty(), one.is_some_and(|row| row.one_checkpoint.is_empty())) {
            (true, _) => "on no file".to_owned(),
            (false, true) => format!("{}; the row mixes models", cell.found_in.join(", ")),
            (false, false) => cell.found_in.join(", "),
        };
        table.row([
            json!(cell.table),
            json!(format!("{} {}", cell.site, cell.row)),
            json!(cell.column),
            json!(cell.printed),
            json!(cell.nearest.map(|value| (value * 1e3).round() / 1e3)),
            json!(verdict),
        ]);
    }
    table
}
