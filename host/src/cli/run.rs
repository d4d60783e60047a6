//! `nashost run`.

use std::os::unix::process::CommandExt as _;

use super::{
    Context,
    args::{Format, RunArgs},
    output::Style,
    signals,
};
use crate::{
    config::{Origin, Resolved},
    device,
    error::{Error, Exit, Result},
    pipeline::{self, Host, Plan},
    run::show,
};

/// Whether libgomp's threads spin or sleep while they wait for each other.
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";

/// Starts the process anew with threads that sleep while they wait, unless the user said otherwise.
///
/// By default they spin, for milliseconds at each of thousands of barriers if the system has put
/// the peer aside: on a busy machine training then takes several times as long. libgomp reads the
/// variable when it is mapped, which is before `main`.
fn wait_passively() -> Result<()> {
    if std::env::var_os(WAIT_POLICY).is_some() {
        return Ok(());
    }
    let again = std::env::current_exe().map(|exe| {
        std::process::Command::new(exe).args(std::env::args_os().skip(1)).env(WAIT_POLICY, "PASSIVE").exec()
    });
    let why = again.unwrap_or_else(|why| why);
    Err(Error::new(Exit::Environment, "E0456", format!("the process cannot be started anew: {why}"))
        .help(format!("set {WAIT_POLICY}=PASSIVE yourself")))
}

/// Searches, trains and evaluates.
pub(super) fn command(args: &RunArgs, context: &Context) -> Result<Exit> {
    if !args.dry_run {
        wait_passively()?;
    }
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
    let libtorch = device::libtorch_abi().map(device::version_text).unwrap_or_default();
    let host = Host {
        registry: &registry,
        device: &device,
        libtorch,
        progress: &context.progress,
        log: &context.log,
    };
    let finished = pipeline::run(&resolved, &host)?;
    match context.out.format() {
        Format::Json => context.out.json(&finished.summary)?,
        _ => {
            if let Some(table) = show::results_table(&finished.summary) {
                context.out.text(&format!("{table}\n"))?;
            }
        }
    }
    for warning in &finished.summary.warnings {
        context.out.warn(warning);
    }
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
