//! `nashost reproduce`: what was published, recomputed.

use nashost_stats::study::{
    cells::{Cell, RowVerdict, cells, rows},
    significance::{Published, Verdict, published},
};
use serde_json::json;

use super::{
    Context,
    args::{Format, ReproduceCommand},
    output::{Style, Table},
};
use crate::{
    error::{Exit, Result},
    statistics::undefined,
};

/// Recomputes what was published.
pub(super) fn command(command: &ReproduceCommand, context: &Context) -> Result<Exit> {
    match command {
        ReproduceCommand::Study => study(context),
    }
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
