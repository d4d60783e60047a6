//! `nashost repeat`.

use serde_json::json;

use super::{
    Context,
    args::{ConfigArgs, Format, RepeatArgs},
    output::Table,
    signals,
};
use crate::{
    device,
    error::{Error, Exit, Result},
    pipeline,
    run::{compare, tables},
};

/// Most differences that are listed for people.
const SHOWN: usize = 20;

/// Makes a run again and compares.
pub(super) fn command(args: &RepeatArgs, context: &Context) -> Result<Exit> {
    let dir = context.open_run(&args.run, &args.out)?;
    if tables::read(&dir)?.finished.is_none() {
        let message = format!("run {} has not ended, so there is nothing to compare with", dir.id());
        return Err(Error::new(Exit::Usage, "E0821", message)
            .help(format!("`nashost resume {}` ends it", dir.short_id())));
    }
    let config = ConfigArgs { out: Some(args.out.display().to_string()), ..ConfigArgs::default() };
    let (registry, resolved) = context.resolve_run(&dir, &config)?;
    let device = device::resolve(&resolved.config.run.device)?;
    signals::watch()?;
    let finished = pipeline::run(&resolved, &context.host(&registry, &device))?;
    let differences = compare::differences(&dir, &finished.dir)?;
    let same = differences.is_empty();
    match context.out.format() {
        Format::Json => context.out.json(&json!({
            "first": dir.id(), "second": finished.dir.id(), "same": same, "differences": differences,
        }))?,
        _ if same => context.out.text(&format!(
            "run {} is run {} again: every candidate, loss, metric and weight is the same\n",
            finished.dir.short_id(),
            dir.short_id()
        ))?,
        _ => {
            let mut table = Table::new(&["what differs", "first", "second"]);
            for difference in differences.iter().take(SHOWN) {
                table.row([json!(difference.what), difference.first.clone(), difference.second.clone()]);
            }
            context.out.table(&table)?;
            if differences.len() > SHOWN {
                context.out.note(&format!("{} more; `--format json` lists all", differences.len() - SHOWN));
            }
        }
    }
    Ok(if same { Exit::Ok } else { Exit::No })
}
