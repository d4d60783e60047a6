//! `nashost run`.

use super::{
    Context,
    args::{Format, RunArgs},
    output::Style,
    signals,
};
use crate::{
    config::{Origin, Resolved},
    device,
    error::{Exit, Result},
    pipeline::{self, Finished, Plan},
    run::show,
};

/// Searches, trains and evaluates.
pub(super) fn command(args: &RunArgs, context: &Context) -> Result<Exit> {
    let config_args = args.config();
    let (registry, resolved) = context.resolve(&config_args)?;
    let device = device::resolve(&resolved.config.run.device)?;
    if args.dry_run {
        let plan = Plan::new(&registry, &resolved.config, &device)?;
        match context.out.format() {
            Format::Json => context.out.json(&plan)?,
            _ => context.out.text(&plan.text())?,
        }
        return Ok(Exit::Ok);
    }
    announce(&resolved, &device, context);
    signals::watch()?;
    let finished = pipeline::run(&resolved, &context.host(&registry, &device))?;
    report(&finished, context)
}

/// Tells how a run ended.
pub(super) fn report(finished: &Finished, context: &Context) -> Result<Exit> {
    match context.out.format() {
        Format::Json => context.out.json(&finished.summary)?,
        _ => {
            if let Some(table) = show::results_table(&finished.summary) {
                context.out.text(&format!("{table}\n"))?;
            }
        }
    }
    for warning in finished.summary.warnings.iter().chain(&finished.stopped) {
        context.out.warn(warning);
    }
    context.out.note(&finished.times.text());
    context.out.note(&format!(
        "run {} in {}; next: nashost show {}",
        finished.dir.short_id(),
        finished.dir.path().display(),
        finished.dir.short_id()
    ));
    Ok(finished.exit)
}

/// Says what will be done, and with which images, before it is done.
fn announce(resolved: &Resolved, device: &device::ResolvedDevice, context: &Context) {
    let config = &resolved.config;
    let strong = |text: &str| context.out.paint(Style::Strong, text);
    if *resolved.origins.of("/data/plugin") == Origin::BuiltIn {
        context.out.note(&format!(
            "no dataset was given, so this run uses the synthetic {} images; for your own, `--dataset csv-images` or `--dataset medmnist`",
            strong(&config.data.plugin)
        ));
    }
    context.out.note(&format!("device: {}", device.note));
}
