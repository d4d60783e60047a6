//! The worker's side: takes tasks, tells what happens.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, Write as _},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use nashost_plugin_api::abi::host::CancelState;

use super::{
    limits,
    protocol::{FromWorker, Known, OneShotTask, SearchTask, Setup, TaskError, ToWorker},
};
use crate::{
    error::{Error, Exit, Result},
    plugin::{cancel_state, request_cancel},
    run::{
        io_error,
        log::Log,
        trial::{Control, FailureKind, TrialEvent, TrialRequest},
    },
};

/// How often a worker gives a sign of life.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// Least time between two reports of steps, which are for display only.
const STEPS: Duration = Duration::from_millis(100);
/// How long a task may take to finish its step when it is asked to stop, before the plugins in the
/// middle of a call are asked, too. Well below the time after which the driver ends the process.
const PATIENCE: Duration = Duration::from_secs(10);
/// Log of the search, in the run's folder.
pub(crate) const SEARCH_LOG: &str = "log/search.log";

/// What a worker can do.
pub(crate) trait Duties {
    /// Searches; `tell` says whether to go on.
    ///
    /// # Errors
    ///
    /// Fails if the search does.
    fn search(&mut self, task: SearchTask, tell: &mut dyn FnMut(FromWorker) -> Control) -> Result<()>;

    /// Makes a one-shot search; `tell` says whether to go on.
    ///
    /// # Errors
    ///
    /// Fails if the search does.
    fn one_shot(&mut self, task: OneShotTask, tell: &mut dyn FnMut(FromWorker) -> Control) -> Result<()>;

    /// Trains and evaluates; `tell` says whether to go on.
    ///
    /// # Errors
    ///
    /// Fails if the trial does, with [`Exit::Interrupted`] if `tell` stopped it.
    fn trial(
        &mut self,
        request: &TrialRequest,
        known: &Known,
        tell: &mut dyn FnMut(TrialEvent) -> Control,
    ) -> Result<()>;
}

/// Serves the process `driver` until it is content. `progress` rises with everything that is done.
///
/// # Errors
///
/// Fails if the driver is gone, or what it says makes no sense; what tasks meet is told to the driver.
pub(crate) fn serve<D: Duties>(
    driver: u32,
    log: &Log,
    progress: &'static AtomicU64,
    prepare: impl FnOnce(&Setup) -> Result<D>,
) -> Result<Exit> {
    limits::follow(driver)?;
    let line = Line::claim()?;
    log.forward_warnings({
        let line = line.clone();
        move |text| line.tell(&FromWorker::Warning { line: text.to_owned() })
    });
    let tasks = receive();
    beat(line.clone(), progress);
    let Ok(ToWorker::Setup(setup)) = tasks.recv() else {
        return Err(Error::new(Exit::Bug, "E0817", "the driver did not begin with the setup"));
    };
    if let Some(size) = setup.config.run.worker_memory {
        limits::memory(size)?;
    }
    let mut prepare = Some(prepare);
    let mut duties = None;
    for task in tasks {
        log_to(&setup.run_dir, &task)?;
        let worker = match (duties.take(), prepare.take()) {
            (Some(duties), _) => Ok(duties),
            (None, Some(prepare)) => prepare(&setup),
            (None, None) => Err(Error::new(Exit::Bug, "E0817", "the worker could not be prepared")),
        };
        let outcome = worker.and_then(|mut worker| {
            let outcome = perform(&mut worker, task, &line, progress);
            duties = Some(worker);
            outcome
        });
        match outcome {
            Ok(()) => {}
            Err(error) if was_stopped(&error) => line.tell(&FromWorker::Stopped),
            Err(error) => line.tell(&FromWorker::Failed(TaskError::new(kind(&error), error))),
        }
    }
    Ok(Exit::Ok)
}

fn perform(worker: &mut impl Duties, task: ToWorker, line: &Line, progress: &AtomicU64) -> Result<()> {
    let mut tell = |message| {
        progress.fetch_add(1, Ordering::Relaxed);
        line.tell(&message);
        go_on()
    };
    match task {
        ToWorker::Search(task) => worker.search(*task, &mut tell),
        ToWorker::OneShot(task) => worker.one_shot(*task, &mut tell),
        ToWorker::Trial { request, known } => {
            let mut shown = Instant::now();
            worker.trial(&request, &known, &mut |event| {
                progress.fetch_add(1, Ordering::Relaxed);
                let is_step = matches!(event, TrialEvent::Step { .. });
                if !is_step || shown.elapsed() >= STEPS {
                    shown = Instant::now();
                    line.tell(&FromWorker::Trial { event: Box::new(event) });
                }
                go_on()
            })?;
            line.tell(&FromWorker::TrialDone);
            Ok(())
        }
        ToWorker::Setup(_) | ToWorker::Stop => Ok(()),
    }
}

fn go_on() -> Control {
    if cancel_state() == CancelState::Go { Control::Continue } else { Control::Stop }
}

/// Whether `error` is that the task was asked to stop. Once plugins are asked in the middle of a call, any
/// error may be their answer; one that was not comes again when the run goes on.
fn was_stopped(error: &Error) -> bool {
    error.exit == Exit::Interrupted || cancel_state() == CancelState::StopNow
}

/// Tells apart what would come again and what another try may mend.
fn kind(error: &Error) -> FailureKind {
    match error.code {
        "E0509" => FailureKind::Oom,
        // The device is lost to this process; a new one may find it well, or another.
        _ if error.message.contains("CUDA error") => FailureKind::Crashed,
        _ => FailureKind::Failed,
    }
}

/// Writes what this process prints from now on to the log of `task`.
fn log_to(run_dir: &Path, task: &ToWorker) -> Result<()> {
    let name = match task {
        ToWorker::Trial { request, .. } => trial_log(request),
        _ => SEARCH_LOG.to_owned(),
    };
    let path = run_dir.join(name);
    let open = || {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        rustix::stdio::dup2_stderr(&file)?;
        rustix::stdio::dup2_stdout(&file)?;
        Ok(())
    };
    open().map_err(|cause: io::Error| io_error("write to", &path, &cause))
}

/// Returns the log of a trial, relative to the run's folder.
pub(crate) fn trial_log(request: &TrialRequest) -> String {
    format!("log/{}.log", request.name())
}

/// Reads the driver's words; a request to stop takes effect at once.
fn receive() -> Receiver<ToWorker> {
    let (tasks, queue): (Sender<ToWorker>, _) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            match serde_json::from_str(&line) {
                Ok(ToWorker::Stop) => stop(),
                Ok(task) => {
                    if tasks.send(task).is_err() {
                        break;
                    }
                }
                Err(cause) => {
                    tracing::error!("the driver said what nobody can read: {cause}");
                    break;
                }
            }
        }
    });
    queue
}

/// Asks the task to stop after its step, and plugins in the middle of a call if that takes long.
fn stop() {
    request_cancel(CancelState::FinishTrial);
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        request_cancel(CancelState::StopNow);
    });
}

/// Gives signs of life, for as long as the process lives.
fn beat(line: Line, progress: &'static AtomicU64) {
    thread::spawn(move || {
        loop {
            line.tell(&FromWorker::Beat { progress: progress.load(Ordering::Relaxed) });
            thread::sleep(BEAT);
        }
    });
}

/// The line to the driver. Standard output belongs to nobody: what a plugin prints there ends up in
/// the log.
#[derive(Debug, Clone)]
struct Line(Arc<Mutex<File>>);

impl Line {
    fn claim() -> Result<Self> {
        let take = || {
            let line = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
            rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
            Ok(Self(Arc::new(Mutex::new(File::from(line)))))
        };
        take().map_err(|cause: rustix::io::Errno| {
            Error::new(Exit::Environment, "E0456", format!("standard output cannot be taken: {cause}"))
        })
    }

    fn tell(&self, message: &FromWorker) {
        let Ok(mut text) = serde_json::to_vec(message) else { return };
        text.push(b'\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if file.write_all(&text).is_err() {
            // The driver is gone: nobody is left to work for.
            std::process::exit(i32::from(Exit::Environment as u8));
        }
    }
}
