//! `nashost show` and `nashost runs`.

use super::{
    Context,
    args::{Format, RunsArgs, ShowArgs},
};
use crate::{
    error::{Exit, Result},
    run::{RunDir, show},
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
