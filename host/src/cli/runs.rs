//! Commands that look at runs and tidy them: `show`, `runs`, `rebuild`, `clean`.

use serde_json::json;

use super::{
    Context,
    args::{CleanArgs, Format, RebuildArgs, RunsArgs, ShowArgs},
    output::Table,
};
use crate::{
    error::{Exit, Result},
    run::{RunDir, events, retention, show, state::State, tables},
};

/// Tells what a run did.
pub(super) fn show(args: &ShowArgs, context: &Context) -> Result<Exit> {
    let shown = show::show(&RunDir::open(&args.run, &args.out)?)?;
    match context.out.format() {
        Format::Json => context.out.json(&shown)?,
        _ => context.out.text(&shown.text())?,
    }
    Ok(Exit::Ok)
}

/// Lists runs.
pub(super) fn runs(args: &RunsArgs, context: &Context) -> Result<Exit> {
    let runs = show::runs(&args.out)?;
    match context.out.format() {
        Format::Json => context.out.json(&runs)?,
        _ => context.out.text(&show::runs_table(&runs))?,
    }
    Ok(Exit::Ok)
}

/// Writes the tables and the summary of a run again.
pub(super) fn rebuild(args: &RebuildArgs, context: &Context) -> Result<Exit> {
    let run = RunDir::open(&args.run, &args.out)?;
    tables::rebuild(&run)?;
    context.out.note(&format!("run {}: every table is made from its events again", run.short_id()));
    Ok(Exit::Ok)
}

/// Removes files of runs that nothing needs any more.
pub(super) fn clean(args: &CleanArgs, context: &Context) -> Result<Exit> {
    let runs = match &args.runs[..] {
        [] => RunDir::list(&args.out)?,
        names => names.iter().map(|name| RunDir::open(name, &args.out)).collect::<Result<_>>()?,
    };
    let mut table = Table::new(&["run", "file", "bytes", "why"]);
    let (mut files, mut bytes) = (0, 0);
    for run in runs {
        let lock = match run.lock() {
            // A run that is being written keeps everything.
            Err(error) if args.runs.is_empty() && error.code == "E0706" => continue,
            lock => lock?,
        };
        // A run that was killed in its first moment has no record yet.
        let has_record = run.file(events::FILE).exists();
        let state = if has_record { tables::read(&run)? } else { State::default() };
        let garbage = retention::garbage(&run, &state, args.keep)?;
        for file in &garbage {
            table.row([json!(run.short_id()), json!(file.path), json!(file.size), json!(file.why)]);
            files += 1;
            bytes += file.size;
        }
        if !args.dry_run {
            retention::remove(&run, &garbage)?;
        }
        drop(lock);
    }
    if files > 0 {
        context.out.table(&table)?;
    }
    let done = if args.dry_run { "would be removed" } else { "removed" };
    context.out.note(&format!("{files} files with {:.1} MB {done}", bytes as f64 / 1e6));
    Ok(Exit::Ok)
}
