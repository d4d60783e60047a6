//! `nashost study`.

use serde::Serialize;
use serde_json::json;

use super::{
    Context,
    args::{ConfigArgs, Format, StudyArgs, StudyCellArgs},
    run, signals,
};
use crate::{
    config::{Config, Sources},
    device,
    error::{Error, Exit, Result},
    pipeline::{self, TakeUp},
    plugin::Registry,
    run::RunStatus,
    sandbox::inside,
    study::{self, Cell, Execution, Folder, Outcome, StudyConfig, Written},
    worker,
};

/// Makes all runs of a study that are not there yet, and sums them up.
pub(super) fn command(args: &StudyArgs, context: &Context) -> Result<Exit> {
    if args.dry_run {
        let definition = definition(args, context)?;
        let registry = context.registry()?;
        let plan = study::Plan::new(&definition, &args.config, args.jobs.max(1), &registry)?;
        let folder = Folder::at(args.studies.join(&definition.name));
        return dry_run(&plan.cells, &folder, &registry, context);
    }
    let Made { written: Written { summary, .. }, folder, failure } = make(args, context)?;
    match context.out.format() {
        Format::Json => context.out.json(&summary)?,
        _ => context.out.text(&study::results_text(&summary))?,
    }
    summary.warnings.iter().for_each(|warning| context.out.warn(warning));
    if let Some(failure) = failure {
        return Err(failure);
    }
    context.out.note(&format!("tables are in {}", folder.path().display()));
    Ok(Exit::Ok)
}

/// A study, as far as it was made.
pub(super) struct Made {
    /// What its files say.
    pub(super) written: Written,
    /// Where they are.
    folder: Folder,
    /// Why it is not complete.
    pub(super) failure: Option<Error>,
}

fn definition(args: &StudyArgs, context: &Context) -> Result<StudyConfig> {
    let definition = StudyConfig::read(&args.config)?;
    for what in definition.left_out() {
        context.out.warn(&format!("left out: {what}"));
    }
    Ok(definition)
}

/// Makes the runs of a study that are not there yet, and writes its files.
pub(super) fn make(args: &StudyArgs, context: &Context) -> Result<Made> {
    let definition = definition(args, context)?;
    let registry = context.registry()?;
    let jobs = args.jobs.max(1);
    let mut plan = study::Plan::new(&definition, &args.config, jobs, &registry)?;
    if inside().is_some() {
        // So that what takes a run up again, or the study, takes the sandbox as well.
        plan.cells.iter_mut().for_each(|cell| cell.config.run.sandbox = true);
    }
    let folder = Folder::at(args.studies.join(&definition.name));
    let lock = folder.prepare(&definition, &mut plan)?;
    signals::watch()?;
    let device = device::resolve(&plan.cells[0].config.run.device)?;
    context.out.note(&format!(
        "study {}: {} runs in {}; device: {}",
        definition.name,
        plan.cells.len(),
        folder.path().display(),
        device.note
    ));
    let host = context.host(&registry, &device);
    let say = |line: &str| context.out.note(line);
    let outcome = study::execute(
        &plan.cells,
        &Execution {
            folder: &folder,
            jobs,
            gpus: if jobs > 1 { device.visible(&plan.cells[0].config.run.device) } else { Vec::new() },
            keep_going: args.keep_going,
            retry_failed: args.retry_failed,
            arguments: host.arguments,
            say: &say,
        },
    )?;
    let written = study::write_tables(&folder, &definition, &plan.cells, &outcome)?;
    drop(lock);
    let failure = failure(args, &folder, plan.cells.len(), &outcome);
    Ok(Made { written, folder, failure })
}

/// Why a study of `planned` runs is not complete.
fn failure(args: &StudyArgs, folder: &Folder, planned: usize, outcome: &Outcome) -> Option<Error> {
    let again = format!("nashost study {}", args.config.display());
    if outcome.stopped {
        let error = Error::new(Exit::Interrupted, "E0811", "the study was stopped");
        return Some(error.help(format!("every finished run is kept; go on with `{again}`")));
    }
    let first = outcome.failed.first()?;
    let failed = outcome.failed.len();
    let message = format!("{failed} of {planned} runs failed, first {}: {}", first.cell, first.why);
    let exit = if failed == planned { Exit::AllFailed } else { Exit::No };
    let help = if outcome.incomplete {
        format!(
            "go on with the others by `{again} --keep-going`; make failed ones again with `--retry-failed`"
        )
    } else {
        format!(
            "make them again with `{again} --retry-failed`; the logs are in {}",
            folder.path().join("log").display()
        )
    };
    Some(Error::new(exit, "E0916", message).help(help))
}

/// What a study would cost.
#[derive(Debug, Serialize)]
struct Cost {
    runs: usize,
    done: usize,
    per_method: Vec<MethodCost>,
    training_macs: f64,
    checkpoint_bytes: u64,
}

/// What one method would cost.
#[derive(Debug, Serialize)]
struct MethodCost {
    dataset: String,
    method: String,
    runs: usize,
    structures_scored: Option<u64>,
    epochs: u32,
    first_structure_params: u64,
    training_macs: f64,
}

/// Prints what a study would do.
fn dry_run(cells: &[Cell], folder: &Folder, registry: &Registry, context: &Context) -> Result<Exit> {
    let device = device::resolve(&cells[0].config.run.device)?;
    let existing = if folder.path().exists() { folder.runs(cells)? } else { vec![None; cells.len()] };
    let done =
        existing.iter().flatten().filter(|run| RunStatus::of(run).ok() == Some(RunStatus::Done)).count();
    let mut cost =
        Cost { runs: cells.len(), done, per_method: Vec::new(), training_macs: 0.0, checkpoint_bytes: 0 };
    for cell in cells {
        let known =
            cost.per_method.iter().position(|m| m.dataset == cell.key.dataset && m.method == cell.key.method);
        let at = match known {
            Some(at) => at,
            None => {
                // Folds are not written yet; their parts have the size of the dataset's own.
                let mut config = cell.config.clone();
                config.split.file = None;
                let plan = pipeline::Plan::new(registry, &config, &device)?;
                cost.per_method.push(MethodCost {
                    dataset: cell.key.dataset.clone(),
                    method: cell.key.method.clone(),
                    runs: 0,
                    structures_scored: plan.structures_to_score(),
                    epochs: config.train.epochs,
                    first_structure_params: plan.params(),
                    training_macs: plan.training_macs(),
                });
                cost.per_method.len() - 1
            }
        };
        let method = &mut cost.per_method[at];
        method.runs += 1;
        cost.training_macs += method.training_macs;
        cost.checkpoint_bytes += pipeline::Plan::bytes_of_checkpoints(method.first_structure_params);
    }
    if context.out.format() == Format::Json {
        context.out.json(&cost)?;
        return Ok(Exit::Ok);
    }
    let mut table = super::output::Table::new(&[
        "dataset",
        "method",
        "runs",
        "scored",
        "epochs",
        "params",
        "MACs of one training",
    ]);
    for method in &cost.per_method {
        table.row([
            json!(method.dataset),
            json!(method.method),
            json!(method.runs),
            json!(method.structures_scored),
            json!(method.epochs),
            json!(format!("{:.2} M", method.first_structure_params as f64 / 1e6)),
            json!(format!("{:.2e}", method.training_macs)),
        ]);
    }
    context.out.table(&table)?;
    context.out.text(&format!(
        "{} runs, {} of them done; about {:.2e} multiply-adds of training and {:.0} MB of checkpoints in all\n\
         (sizes of the first structures; budgets bound the others). Nothing was started\n",
        cost.runs,
        cost.done,
        cost.training_macs,
        cost.checkpoint_bytes as f64 / 1e6,
    ))?;
    Ok(Exit::Ok)
}

/// Makes one run of a study, or goes on with it.
pub(super) fn cell(args: &StudyCellArgs, context: &Context) -> Result<Exit> {
    worker::follow(args.driver)?;
    signals::watch()?;
    let folder = Folder::at(args.folder.clone());
    // A run that is still locked is taken up when its driver is gone, or refused: it is never made beside it. One
    // that is done lacks results of some trials, or nobody would ask for it.
    if let Some(run) = folder.run_of(&args.cell)?
        && let status = RunStatus::of(&run)?
        && status != RunStatus::Failed
    {
        let recorder = pipeline::reopen(run.clone())?;
        let (registry, resolved) = context.resolve_run(&run, &ConfigArgs::default())?;
        let device = device::resolve(&resolved.config.run.device)?;
        let host = context.host(&registry, &device);
        let take_up = TakeUp { retry_failed: status == RunStatus::Done, ..TakeUp::default() };
        let finished = pipeline::resume(&resolved.config, take_up, recorder, &host)?;
        return run::report(&finished, context);
    }
    let sources = Sources { project: Some(folder.config_of(&args.cell)), ..Sources::default() };
    let (registry, mut resolved) = context.resolve_sources(sources)?;
    place(&mut resolved.config, &folder);
    let device = device::resolve(&resolved.config.run.device)?;
    let finished = pipeline::run(&resolved, &context.host(&registry, &device))?;
    run::report(&finished, context)
}

/// Paths of a cell are relative to its study.
fn place(config: &mut Config, folder: &Folder) {
    config.run.out = folder.runs_folder();
    if let Some(split) = &mut config.split.file {
        *split = folder.file(&*split);
    }
}
