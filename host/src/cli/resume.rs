//! `nashost resume`.

use super::{
    Context,
    args::{ConfigArgs, ResumeArgs},
    run, signals,
};
use crate::{
    device,
    error::{Exit, Result},
    pipeline::{self, Allowed, TakeUp},
};

/// Goes on with a run.
pub(super) fn command(args: &ResumeArgs, context: &Context) -> Result<Exit> {
    let dir = context.open_run(&args.run, &args.out)?;
    let recorder = pipeline::reopen(dir.clone())?;
    let (_, before) = context.resolve_run(&dir, &ConfigArgs::default())?;
    let (registry, after) = context.resolve_run(&dir, &args.config())?;
    let attempts = after.config.run.attempts;
    let state = recorder.state();
    let failed = state.given_up(attempts).count();
    if state.is_complete(attempts) && (failed == 0 || !args.retry_failed) {
        recorder.close()?;
        context.out.note(&format!("run {}: nothing is left to do", dir.short_id()));
        return Ok(Exit::Ok);
    }
    let mut changes = pipeline::config_differences(&before.config, &after.config);
    let device = device::resolve(&after.config.run.device)?;
    if let Some((_, started)) = &state.started
        && started.device != device.name
    {
        changes.push(format!("device: {} → {}", started.device, device.name));
    }
    let done = state.trials.values().filter(|trial| trial.test().is_some()).count();
    let given_up = if args.retry_failed { 0 } else { failed };
    context.out.note(&format!(
        "run {}: {done} trials done, {given_up} given up, {} to do",
        dir.short_id(),
        state.trials.len() - done - given_up
    ));
    signals::watch()?;
    let allowed = Allowed(args.allow_change.clone());
    let how = TakeUp { changes, allowed, retry_failed: args.retry_failed };
    let finished = pipeline::resume(&after.config, how, recorder, &context.host(&registry, &device))?;
    run::report(&finished, context)
}
