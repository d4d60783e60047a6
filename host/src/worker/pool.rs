//! The workers of a run: who does what, and who no longer does.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, Sender},
    time::{Duration, Instant},
};

use nashost_plugin_api::abi::host::CancelState;

use super::{
    postmortem::{self, Death},
    process::{Incoming, Process},
    protocol::{FromWorker, Setup, TaskError, ToWorker},
};
use crate::{error::Result, plugin::cancel_state};

/// How long a worker may take to finish its step when it is asked to stop.
const GRACE: Duration = Duration::from_secs(60);
/// A pause of the driver itself after which workers get their time anew.
const PAUSE: Duration = Duration::from_secs(5);

/// How workers are started.
#[derive(Debug)]
pub(crate) struct Launcher {
    /// The program.
    pub(crate) program: PathBuf,
    /// Arguments before `worker`.
    pub(crate) arguments: Vec<OsString>,
    /// What every worker is told first.
    pub(crate) setup: Setup,
    /// GPU of each worker, as `CUDA_VISIBLE_DEVICES` names it; `None` leaves the environment alone.
    pub(crate) gpus: Vec<Option<String>>,
    /// How long a worker may make no progress.
    pub(crate) stall: Duration,
    /// The run's lock, which each worker holds as long as it lives.
    pub(crate) lock: File,
}

/// What the pool tells.
#[derive(Debug)]
pub(crate) enum Report {
    /// A worker tells something of its task.
    Told(FromWorker),
    /// A worker's task is over.
    Ended(Ended),
}

/// How a task ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It is done.
    Done,
    /// The run is being stopped, and the task with it; what it has done is on the disk.
    Stopped,
    /// It failed, or its process did, or somebody else made it stop.
    Failed(TaskError),
}

/// A place for a worker.
#[derive(Debug, Default)]
struct Slot {
    gpu: Option<String>,
    process: Option<(u64, Process)>,
    /// The log of its task, until the end of that is reported.
    task: Option<PathBuf>,
    /// Whether the task has ended, and only the report waits.
    ended: bool,
}

impl Slot {
    /// Whether its worker is at work.
    fn is_at_work(&self) -> bool {
        self.task.is_some() && !self.ended
    }
}

/// The workers of a run. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Pool {
    launcher: Launcher,
    slots: Vec<Slot>,
    started: u64,
    inbox: Receiver<(u64, Incoming)>,
    /// For the next worker.
    address: Sender<(u64, Incoming)>,
    reports: VecDeque<(usize, Report)>,
    stopping: Option<Instant>,
    /// When the driver last looked.
    looked: Instant,
}

impl Pool {
    /// Makes places; workers are started when they are needed.
    pub(crate) fn new(launcher: Launcher) -> Self {
        let (address, inbox) = mpsc::channel();
        let slots = launcher.gpus.iter().map(|gpu| Slot { gpu: gpu.clone(), ..Slot::default() }).collect();
        Self {
            launcher,
            slots,
            started: 0,
            inbox,
            address,
            reports: VecDeque::new(),
            stopping: None,
            looked: Instant::now(),
        }
    }

    /// Returns a place without a task.
    pub(crate) fn idle(&self) -> Option<usize> {
        self.slots.iter().position(|slot| slot.task.is_none())
    }

    /// Gives the worker of `slot` a task whose log is `log`, relative to the run's folder; starts the
    /// worker if there is none.
    ///
    /// # Errors
    ///
    /// Fails if no process can be started.
    pub(crate) fn start(&mut self, slot: usize, task: ToWorker, log: &Path) -> Result<()> {
        let path = self.launcher.setup.run_dir.join(log);
        let place = &mut self.slots[slot];
        if place.process.is_none() {
            self.started += 1;
            let id = self.started;
            let gpu = place.gpu.as_deref();
            let process = Process::spawn(&self.launcher, gpu, &path, id, self.address.clone())?;
            process.tell(ToWorker::Setup(Box::new(self.launcher.setup.clone())));
            place.process = Some((id, process));
        }
        if let Some((_, process)) = &mut place.process {
            process.forgive();
            process.tell(task);
        }
        place.task = Some(path);
        Ok(())
    }

    /// Asks all workers to stop: those with a task after their step, the others at once.
    pub(crate) fn stop(&mut self) {
        self.stopping.get_or_insert_with(Instant::now);
        for slot in &mut self.slots {
            match &slot.process {
                Some((_, process)) if slot.is_at_work() => process.tell(ToWorker::Stop),
                _ => slot.process = None,
            }
        }
    }

    /// Waits up to `timeout` for something to report; ends workers that are stuck.
    pub(crate) fn next(&mut self, timeout: Duration) -> Option<(usize, Report)> {
        if self.reports.is_empty()
            && let Ok((id, incoming)) = self.inbox.recv_timeout(timeout)
        {
            self.take(id, incoming);
        }
        // Everything that has come is heard before anybody is judged for silence.
        while let Ok((id, incoming)) = self.inbox.try_recv() {
            self.take(id, incoming);
        }
        let paused = self.looked.elapsed() > timeout + PAUSE;
        self.looked = Instant::now();
        let late = self.stopping.is_some_and(|since| since.elapsed() > GRACE);
        for slot in &mut self.slots {
            let at_work = slot.is_at_work();
            match &mut slot.process {
                Some((_, process)) if paused => process.forgive(),
                Some((_, process)) if late && at_work => {
                    let grace = humantime::format_duration(GRACE);
                    process.kill(Death::Stuck(format!("the worker did not stop within {grace}")));
                }
                Some((_, process)) if at_work => process.watch(self.launcher.stall),
                _ => {}
            }
        }
        let report = self.reports.pop_front();
        if let Some((slot, Report::Ended(_))) = report {
            (self.slots[slot].task, self.slots[slot].ended) = (None, false);
        }
        report
    }

    fn take(&mut self, id: u64, incoming: Incoming) {
        let Some(index) = self.slots.iter().position(|s| s.process.as_ref().is_some_and(|p| p.0 == id))
        else {
            return;
        };
        let slot = &mut self.slots[index];
        let mut ended = None;
        match incoming {
            Incoming::Message(message) => {
                if let Some((_, process)) = &mut slot.process {
                    process.hear(&message);
                }
                match message {
                    FromWorker::Beat { .. } => {}
                    FromWorker::TrialDone => ended = Some(Ended::Done),
                    FromWorker::Stopped => {
                        ended = Some(if self.stopping.is_some() || cancel_state() != CancelState::Go {
                            Ended::Stopped
                        } else {
                            Ended::Failed(postmortem::describe(&Death::Unasked, slot.task.as_deref()))
                        });
                        // It takes no request to stop back, so it would stop at every further task.
                        slot.process = None;
                    }
                    FromWorker::Failed(error) => {
                        ended = Some(Ended::Failed(error));
                        // What failed may have left its process in a bad state.
                        slot.process = None;
                    }
                    FromWorker::SearchDone { .. } => {
                        self.reports.push_back((index, Report::Told(message)));
                        ended = Some(Ended::Done);
                    }
                    message => self.reports.push_back((index, Report::Told(message))),
                }
            }
            Incoming::Garbage(_) | Incoming::End => {
                let Some((_, mut process)) = slot.process.take() else { return };
                if let Incoming::Garbage(why) = incoming {
                    process.kill(Death::Garbage(why));
                }
                let death = process.end();
                let error = postmortem::describe(&death, slot.task.as_deref());
                tracing::debug!(worker = id, "{}", error.message);
                ended = Some(Ended::Failed(error));
            }
        }
        if let Some(ended) = ended
            && slot.is_at_work()
        {
            slot.ended = true;
            self.reports.push_back((index, Report::Ended(ended)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use serde_json::json;

    use super::*;
    use crate::run::trial::FailureKind;

    /// A worker that writes the GPU that it sees to its log, and ends.
    const SEER: &str = "echo \"${CUDA_VISIBLE_DEVICES-inherited}\" >&2";
    /// A worker that says that it was stopped, whatever it is given, and stays.
    const STOPPED: &str = "echo began >&2\necho '{\"from\": \"stopped\"}'\nexec sleep 600";

    /// A pool whose workers run the shell's `script`.
    fn pool(folder: &Path, script: &str, gpus: &[Option<&str>]) -> Pool {
        let program = folder.join("worker.sh");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Pool::new(Launcher {
            program,
            arguments: Vec::new(),
            setup: Setup {
                config: serde_json::from_value(json!({})).unwrap(),
                run_dir: folder.to_owned(),
                device: "cuda:0".to_owned(),
                outputs: 1,
                plugins: Vec::new(),
            },
            gpus: gpus.iter().map(|gpu| gpu.map(str::to_owned)).collect(),
            stall: Duration::from_secs(60),
            lock: File::create(folder.join("lock")).unwrap(),
        })
    }

    /// Starts a worker in each of the first `workers` places and returns what the logs say once all have ended.
    fn seen(pool: &mut Pool, folder: &Path, workers: usize) -> Vec<String> {
        let log = |slot: usize| PathBuf::from(format!("{slot}.log"));
        for slot in 0..workers {
            assert_eq!(pool.idle(), Some(slot));
            pool.start(slot, ToWorker::Stop, &log(slot)).unwrap();
        }
        let mut ended = 0;
        while ended < workers {
            if let Some((_, Report::Ended(Ended::Failed(_)))) = pool.next(Duration::from_secs(60)) {
                ended += 1;
            }
        }
        (0..workers).map(|slot| fs::read_to_string(folder.join(log(slot))).unwrap()).collect()
    }

    #[test]
    fn every_worker_sees_the_gpu_of_its_place_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut pool = pool(folder.path(), SEER, &[Some("2"), Some("GPU-5ab1")]);
        assert_eq!(seen(&mut pool, folder.path(), 2), ["2\n", "GPU-5ab1\n"]);
        assert_eq!(pool.idle(), Some(0), "a worker that ended frees its GPU");
        // The one that takes its place has the same.
        assert_eq!(seen(&mut pool, folder.path(), 2), ["2\n2\n", "GPU-5ab1\nGPU-5ab1\n"]);
    }

    /// Gives the one worker of `pool` a task, asks it to stop if `stop`, and returns how the task ended.
    fn end(pool: &mut Pool, stop: bool) -> Ended {
        pool.start(0, ToWorker::Stop, Path::new("log")).unwrap();
        if stop {
            pool.stop();
        }
        loop {
            match pool.next(Duration::from_secs(60)) {
                Some((_, Report::Ended(ended))) => return ended,
                Some(told) => panic!("{told:?}"),
                // The last words of a process that is gone.
                None => {}
            }
        }
    }

    #[test]
    fn a_worker_that_something_else_stopped_fails_its_task_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut pool = pool(folder.path(), STOPPED, &[None]);
        for _ in 0..2 {
            let Ended::Failed(error) = end(&mut pool, false) else { panic!("no failure") };
            assert_eq!((error.kind, error.code.as_str()), (FailureKind::Crashed, "E0815"), "{error:?}");
        }
        assert_eq!(fs::read_to_string(folder.path().join("log")).unwrap(), "began\nbegan\n");
        assert!(matches!(end(&mut pool, true), Ended::Stopped));
    }
}
