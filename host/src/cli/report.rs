//! `nashost report`.

use std::{fs, path::PathBuf};

use nashost_report::{ReportData, Table};

use super::{
    Context,
    args::{Format, ReportArgs, ReportKind},
};
use crate::{
    config::suggest,
    error::{Error, Exit, Result},
    report,
    run::{RunDir, atomic, io_error},
};

/// Writes about runs.
pub(super) fn command(args: &ReportArgs, context: &Context) -> Result<Exit> {
    let runs = RunDir::open_all(&args.runs, &args.out)?;
    let mut data = report::read(&runs)?;
    for file in &args.comparisons {
        data.comparisons.extend(report::comparisons(file)?);
    }
    let out = &context.out;
    match (args.kind, out.format()) {
        (ReportKind::ModelCard, _) => out.text(&nashost_report::model_card(&data))?,
        (ReportKind::Checklist, _) => out.text(&nashost_report::checklist(&data))?,
        (ReportKind::Tensorboard, _) => {
            let folder = target(args, &runs, "tensorboard", "");
            for (file, bytes) in nashost_report::tensorboard(&data) {
                let file = folder.join(file);
                if let Some(parent) = file.parent() {
                    fs::create_dir_all(parent).map_err(|why| io_error("create the folder", parent, &why))?;
                }
                atomic::write(&file, &bytes)?;
            }
            out.text(&format!("{}\n", folder.display()))?;
        }
        (ReportKind::Report, Format::Table) => {
            let file = target(args, &runs, "report", ".html");
            atomic::write(&file, nashost_report::html(&data).as_bytes())?;
            out.text(&format!("{}\n", file.display()))?;
        }
        (ReportKind::Report, Format::Html) => out.text(&nashost_report::html(&data))?,
        (ReportKind::Report, Format::Json) => out.json(&data)?,
        (ReportKind::Report, Format::Csv) => {
            let tables = tables(&data, Some(args.table.as_deref().unwrap_or("headline")))?;
            out.text(&tables.iter().map(Table::csv).collect::<String>())?;
        }
        (ReportKind::Report, Format::Md) => print(args, context, &data, Table::markdown)?,
        (ReportKind::Report, Format::Latex) => print(args, context, &data, Table::latex)?,
    }
    Ok(Exit::Ok)
}

/// Where files go: as asked for, or into the folder of the run, or beside several runs.
fn target(args: &ReportArgs, runs: &[RunDir], name: &str, end: &str) -> PathBuf {
    match (&args.html, runs) {
        (Some(path), _) => path.clone(),
        (None, [run]) => run.file(format!("{name}{end}")),
        (None, runs) => {
            let ids: Vec<&str> = runs.iter().map(RunDir::short_id).collect();
            args.out.join(format!("{name}-{}{end}", ids.join("-")))
        }
    }
}

fn print(args: &ReportArgs, context: &Context, data: &ReportData, form: fn(&Table) -> String) -> Result<()> {
    let tables = tables(data, args.table.as_deref())?;
    context.out.text(&(tables.iter().map(form).collect::<Vec<_>>().join("\n")))
}

/// The tables of the report, or the one named `name`.
fn tables(data: &ReportData, name: Option<&str>) -> Result<Vec<Table>> {
    let mut tables = nashost_report::tables(data);
    let Some(name) = name else { return Ok(tables) };
    let known: Vec<&str> = tables.iter().map(|table| table.id).collect();
    if !known.contains(&name) {
        let message = format!("the report has no table `{name}`");
        let error = Error::new(Exit::Usage, "E0720", message);
        return Err(match suggest::help(name, known) {
            Some(help) => error.help(help),
            None => error,
        });
    }
    tables.retain(|table| table.id == name);
    Ok(tables)
}
