//! Makes the runs of a study, each in a process of its own.

use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nashost_plugin_api::abi::host::CancelState;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use super::{
    cell::Cell,
    folder::{Folder, status},
};
use crate::{
    error::{Error, Exit, Result},
    plugin::cancel_state,
    run::{RunDir, RunStatus, digest::Digest, io_error, tables},
    sandbox,
};

/// How often the processes are looked at.
const TICK: Duration = Duration::from_millis(50);
/// Lines of a failed process's log that are shown.
const TAIL: usize = 3;

/// How a study is executed.
pub(crate) struct Execution<'a> {
    /// The study.
    pub(crate) folder: &'a Folder,
    /// Runs side by side.
    pub(crate) jobs: usize,
    /// GPUs that the runs are spread over; none on a CPU.
    pub(crate) gpus: Vec<String>,
    /// Goes on after a failure.
    pub(crate) keep_going: bool,
    /// Makes runs again that failed.
    pub(crate) retry_failed: bool,
    /// Arguments that make a process see the same plugins.
    pub(crate) arguments: Vec<OsString>,
    /// Tells the user a line.
    pub(crate) say: &'a dyn Fn(&str),
}

/// A cell that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Failed {
    /// The cell.
    pub(crate) cell: String,
    /// Why.
    pub(crate) why: String,
}

/// What came of an execution.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Cells that failed, those of earlier executions too.
    pub(crate) failed: Vec<Failed>,
    /// Whether cells are left that nobody tried.
    pub(crate) incomplete: bool,
    /// Whether somebody asked to stop.
    pub(crate) stopped: bool,
}

struct Running<'a> {
    cell: &'a Cell,
    child: Child,
    began: Instant,
    gpu: Option<String>,
}

/// Makes the runs of `cells` that the study lacks.
///
/// # Errors
///
/// Fails if a process cannot be started or the folder cannot be read. A run that fails is no error.
pub(crate) fn execute(cells: &[Cell], execution: &Execution<'_>) -> Result<Outcome> {
    let Execution { folder, jobs, gpus, keep_going, retry_failed, say, .. } = execution;
    let mut outcome = Outcome::default();
    let mut waiting: Vec<&Cell> = Vec::new();
    for (cell, run) in cells.iter().zip(folder.runs(cells)?) {
        let is_failed = match (&run, status(run.as_ref())?) {
            (Some(run), Some(RunStatus::Done)) if has_all_results(run)? => continue,
            (Some(run), Some(RunStatus::Done)) => tables::read(run)?.is_complete(cell.config.run.attempts),
            (_, status) => status == Some(RunStatus::Failed),
        };
        match is_failed && !retry_failed {
            true => outcome.failed.push(failed(folder, cell)?),
            false => waiting.push(cell),
        }
    }
    let (total, mut done) = (cells.len(), cells.len() - waiting.len());
    if done > 0 {
        say(&format!("{done} of {total} runs are there already"));
    }
    let (began, before) = (Instant::now(), done);
    let mut free: Vec<String> = gpus.iter().rev().cloned().collect();
    let mut running: Vec<Running<'_>> = Vec::new();
    waiting.reverse();
    loop {
        let stop = cancel_state() != CancelState::Go;
        if stop && !outcome.stopped {
            outcome.stopped = true;
            running.iter().for_each(|running| ask_to_stop(&running.child));
        }
        let give_up = !outcome.failed.is_empty() && !keep_going;
        while running.len() < *jobs && !outcome.stopped && !give_up {
            let Some(cell) = waiting.pop() else { break };
            let gpu = free.pop();
            running.push(start(cell, execution, gpu)?);
        }
        if running.is_empty() {
            break;
        }
        let mut at = 0;
        while at < running.len() {
            let wait = running[at].child.try_wait();
            let Some(ended) =
                wait.map_err(|e| io_error("wait for", &folder.log(&running[at].cell.key.id()), &e))?
            else {
                at += 1;
                continue;
            };
            let Running { cell, began: since, gpu, .. } = running.swap_remove(at);
            free.extend(gpu);
            if outcome.stopped && !ended.success() {
                continue;
            }
            done += 1;
            let run = folder.run_of(&cell.key.id())?;
            let end = status(run.as_ref())?;
            if end == Some(RunStatus::Done) && ended.success() {
                let seconds = since.elapsed().as_secs_f64();
                let per_run = began.elapsed().as_secs_f64() / (done - before) as f64;
                let left = per_run * (total - done) as f64;
                say(&format!(
                    "{done}/{total} {}: {} · {} · ~{} left",
                    cell.key.text(),
                    result_text(run.as_ref())?,
                    duration(seconds),
                    duration(left)
                ));
            } else {
                let failure = failed(folder, cell)?;
                say(&format!("{done}/{total} {} FAILED: {}", cell.key.text(), failure.why));
                outcome.failed.push(failure);
            }
        }
        thread::sleep(TICK);
    }
    outcome.incomplete = !waiting.is_empty() || outcome.stopped;
    Ok(outcome)
}

fn start<'a>(cell: &'a Cell, execution: &Execution<'_>, gpu: Option<String>) -> Result<Running<'a>> {
    let folder = execution.folder;
    let log = folder.log(&cell.key.id());
    let open = || {
        let file = File::options().create(true).append(true).open(&log)?;
        Ok((file.try_clone()?, file))
    };
    let (out, err): (File, File) = open().map_err(|e| io_error("write to", &log, &e))?;
    let binary = std::env::current_exe().map_err(|e| {
        Error::new(Exit::Environment, "E0915", format!("this program cannot be found again: {e}"))
    })?;
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        // The cell's file says everything; flags of the study are not flags of its runs. That there is a
        // sandbox is no flag.
        if name.to_string_lossy().starts_with("NASHOST_") && name != sandbox::VARIABLE {
            command.env_remove(name);
        }
    }
    if let Some(gpu) = &gpu {
        command.env("CUDA_VISIBLE_DEVICES", gpu);
    }
    command
        .args(["--no-progress", "--color", "never"])
        .args(&execution.arguments)
        .arg("study-cell")
        .arg(folder.path())
        .arg(cell.key.id())
        .args(["--driver", &std::process::id().to_string()])
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        // Ctrl-C reaches the study, which asks its runs to stop once.
        .process_group(0);
    let child = command.spawn().map_err(|error| {
        Error::new(Exit::Environment, "E0915", format!("the process of a run cannot be started: {error}"))
    })?;
    Ok(Running { cell, child, began: Instant::now(), gpu })
}

fn ask_to_stop(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // A process that has just ended needs no signal.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Whether every trial of a run that has ended has a result.
fn has_all_results(run: &RunDir) -> Result<bool> {
    Ok(Digest::read(run)?.trials.iter().all(|trial| trial.test.is_some()))
}

/// Why the run of a cell failed: as its record says, or else the end of its log.
fn failed(folder: &Folder, cell: &Cell) -> Result<Failed> {
    let id = cell.key.id();
    let recorded = match folder.run_of(&id)? {
        Some(run) => {
            let state = tables::read(&run)?;
            let mut of_trial = state.trials.values().filter_map(|trial| trial.failure());
            let of_run = state.finished.and_then(|(_, _, failure)| failure);
            let of_trial = of_trial.next_back().map(|failure| failure.failure.clone());
            of_trial.or(of_run).map(|failure| format!("{}: {}", failure.code, failure.message))
        }
        None => None,
    };
    let why = recorded.unwrap_or_else(|| {
        let text = fs::read_to_string(folder.log(&id)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let error = lines.iter().rposition(|line| line.starts_with("error["));
        let from = error.unwrap_or(lines.len().saturating_sub(TAIL));
        lines[from..].iter().take(TAIL).copied().collect::<Vec<_>>().join(" ")
    });
    Ok(Failed { cell: id, why })
}

/// The headline of a run: `test macro_auroc 0.71, macro_f1 0.31`.
fn result_text(run: Option<&RunDir>) -> Result<String> {
    let Some(run) = run else { return Ok(String::new()) };
    let state = tables::read(run)?;
    let test = state.trials.values().find_map(|trial| trial.test());
    let values = test.into_iter().flat_map(|test| {
        let named = crate::run::summary::HEADLINE.into_iter();
        named.filter_map(|name| Some((name, test.test.overall.get(name)?.value?)))
    });
    let values: Vec<String> = values.take(2).map(|(name, value)| format!("{name} {value:.3}")).collect();
    Ok(format!("test {}", values.join(", ")))
}

/// `41 s`, `12 min`, `3.4 h`.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
