//! A worker process, seen from the driver.

use std::{
    fs::OpenOptions,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Sender},
    thread,
    time::{Duration, Instant},
};

use nashost_plugin_torch::deterministic::CUBLAS_WORKSPACE;

use super::{
    pool::Launcher,
    postmortem::{self, Death},
    protocol::{FromWorker, ToWorker},
    serve::BEAT,
};
use crate::{
    error::{Error, Exit, Result},
    run::io_error,
};

/// Beats that may be missing before a worker counts as dead. A busy machine may swallow some.
const MISSED: u32 = 60;
/// The longest line that a worker may write.
const LONGEST: u64 = 256 << 20;

/// Whether libgomp's threads spin or sleep while they wait for each other. By default they spin, for
/// milliseconds at each of thousands of barriers if the system has put the peer aside: on a busy
/// machine training then takes several times as long. libgomp reads the variable before `main`.
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";

/// What comes from a worker.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A message.
    Message(FromWorker),
    /// Something else; nothing follows.
    Garbage(String),
    /// Nothing follows.
    End,
}

/// A live worker process. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    outbox: Sender<ToWorker>,
    oom_kills: u64,
    /// When it last told anything.
    heard: Instant,
    /// Its progress, and when that last changed.
    progress: (u64, Instant),
    /// Why the driver ended it.
    verdict: Option<Death>,
}

impl Process {
    /// Starts a worker that tells `inbox` everything under the number `id`. Its log is `log`, until
    /// it has a task.
    pub(super) fn spawn(
        launcher: &Launcher,
        gpu: Option<&str>,
        log: &Path,
        id: u64,
        inbox: Sender<(u64, Incoming)>,
    ) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.map_err(|cause| io_error("write to", log, &cause))?;
        let mut command = Command::new(&launcher.program);
        command.args(&launcher.arguments).arg("worker").arg("--driver").arg(std::process::id().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        // Ctrl-C on a terminal reaches the whole group; the driver decides what it means.
        command.process_group(0);
        if let Some(gpu) = gpu {
            command.env("CUDA_VISIBLE_DEVICES", gpu);
        }
        let (name, value) = CUBLAS_WORKSPACE;
        if launcher.setup.config.run.deterministic {
            command.env(name, value);
        }
        if std::env::var_os(WAIT_POLICY).is_none() {
            command.env(WAIT_POLICY, "PASSIVE");
        }
        let oom_kills = postmortem::oom_kills();
        let failed = |cause: io::Error| {
            Error::new(Exit::Environment, "E0456", format!("a worker process cannot be started: {cause}"))
        };
        // A duplicate is inherited, unlike files that Rust opens; the worker holds the lock with it.
        let lock = rustix::io::dup(&launcher.lock).map_err(|cause| failed(cause.into()))?;
        let mut child = command.spawn().map_err(failed)?;
        drop(lock);
        let (outbox, letters) = mpsc::channel::<ToWorker>();
        if let Some(mut stdin) = child.stdin.take() {
            // A worker that does not read must not hold up the driver.
            thread::spawn(move || {
                for letter in letters {
                    let Ok(mut line) = serde_json::to_vec(&letter) else { return };
                    line.push(b'\n');
                    if stdin.write_all(&line).is_err() {
                        return;
                    }
                }
            });
        }
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || listen(stdout, id, &inbox));
        }
        let now = Instant::now();
        Ok(Self { child, outbox, oom_kills, heard: now, progress: (0, now), verdict: None })
    }

    /// Tells the worker something; what a dead one does not hear, its end will tell.
    pub(super) fn tell(&self, letter: ToWorker) {
        let _ = self.outbox.send(letter);
    }

    /// Notes that a message came.
    pub(super) fn hear(&mut self, message: &FromWorker) {
        self.heard = Instant::now();
        match message {
            FromWorker::Beat { progress } if *progress == self.progress.0 => {}
            FromWorker::Beat { progress } => self.progress = (*progress, self.heard),
            _ => self.progress.1 = self.heard,
        }
    }

    /// Starts all clocks anew.
    pub(super) fn forgive(&mut self) {
        self.heard = Instant::now();
        self.progress.1 = self.heard;
    }

    /// Ends the worker if it is stuck.
    pub(super) fn watch(&mut self, stall: Duration) {
        if self.heard.elapsed() > BEAT * MISSED {
            let silence = humantime::format_duration(BEAT * MISSED);
            self.kill(Death::Stuck(format!("the worker gave no sign of life for {silence}")));
        } else if self.progress.1.elapsed() > stall {
            let stall = humantime::format_duration(stall);
            self.kill(Death::Stuck(format!("the worker made no progress for {stall} (`run.stall`)")));
        }
    }

    /// Ends the worker at once; the first reason counts.
    pub(super) fn kill(&mut self, why: Death) {
        self.verdict.get_or_insert(why);
        // It may be dead already.
        let _ = self.child.kill();
    }

    /// Waits for the end of a worker that is ending.
    pub(super) fn end(mut self) -> Death {
        let status = self.child.wait();
        match (self.verdict.take(), status) {
            (Some(verdict), _) => verdict,
            (None, Ok(status)) => Death::Status(status, postmortem::oom_kills() > self.oom_kills),
            (None, Err(cause)) => Death::Garbage(format!("the worker's end cannot be seen: {cause}")),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stdout: ChildStdout, id: u64, inbox: &Sender<(u64, Incoming)>) {
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        let incoming = match reader.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            // The rest of a line that its writer did not live to finish says nothing.
            Ok(_) if line.last() != Some(&b'\n') => Incoming::End,
            Err(_) => Incoming::End,
            Ok(_) => match serde_json::from_slice(&line) {
                Ok(message) => Incoming::Message(message),
                Err(cause) => Incoming::Garbage(format!("the worker answered what nobody can read: {cause}")),
            },
        };
        let last = !matches!(incoming, Incoming::Message(_));
        if inbox.send((id, incoming)).is_err() || last {
            return;
        }
    }
}
