//! One run under attack, until it is done.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    time::Duration,
};

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::{
    Chaos, faults,
    record::Record,
    strike::{self, Moment},
    tally::Tally,
};
use crate::{Run, Sandbox, process};

/// The longest time to the next blow, as a share of the time that the run takes in peace.
const SPAN: f64 = 0.2;
/// Launches after which a run that does not get done is given up.
const LAUNCHES: u32 = 1000;

/// A run under attack.
pub(super) struct Round<'a> {
    chaos: &'a Chaos,
    place: &'a Sandbox,
    /// Time that the run takes in peace.
    pace: Duration,
    random: &'a mut ChaCha8Rng,
    tally: &'a mut Tally,
    record: Record,
    launches: u32,
}

impl<'a> Round<'a> {
    pub(super) fn new(
        chaos: &'a Chaos,
        place: &'a Sandbox,
        pace: Duration,
        random: &'a mut ChaCha8Rng,
        tally: &'a mut Tally,
    ) -> Self {
        Self { chaos, place, pace, random, tally, record: Record::default(), launches: 0 }
    }

    /// Starts and kills until the run is done; says whether it ever was.
    pub(super) fn fight(&mut self) -> bool {
        while self.launches < LAUNCHES {
            let problems = self.tally.problems.len();
            let done = self.launch();
            if self.tally.problems.len() > problems {
                return false;
            }
            if done {
                self.tally.problems.extend(self.record.problems());
                return true;
            }
        }
        self.problem(format!("the run was not done after {LAUNCHES} launches"));
        false
    }

    /// Starts the run or takes it up, and does to it what chance wills; says whether it is done.
    fn launch(&mut self) -> bool {
        self.launches += 1;
        let faulty = self.chaos.faults && self.random.random_bool(0.5);
        let mut child = self.spawn(faulty);
        let driver = child.id();
        let mut killed = false;
        let mut ended = None;
        while ended.is_none() && self.tally.kills() < self.chaos.kills {
            let moment = Moment::choose(self.random, self.pace.mul_f64(SPAN));
            ended = moment.wait(|| the_run(self.place).map(|run| run.0), &mut child);
            if ended.is_some() {
                break;
            }
            if self.random.random_bool(0.5) {
                killed = true;
                child.kill().expect("a child can be killed");
                break;
            } else if strike::kill_worker(driver, self.random) {
                self.tally.workers += 1;
            }
        }
        let status = ended.unwrap_or_else(|| child.wait().expect("a child can be waited for"));
        let by_fault = faults::count(self.place, driver, self.tally);
        if killed && !by_fault && status.signal().is_some() {
            self.tally.drivers += 1;
        }
        self.judge(status, driver, killed || by_fault, faulty);
        status.success()
    }

    fn spawn(&mut self, faulty: bool) -> Child {
        let run = the_run(self.place);
        let mut command = process();
        command.current_dir(self.place.path(""));
        match (&run, self.record.is_empty()) {
            (Some(run), false) => {
                self.tally.resumes += 1;
                command.arg("resume").arg(run.0.file_name().expect("a run has a name"));
            }
            _ => {
                self.tally.anew += u32::from(self.launches > 1);
                command.args(self.chaos.line.split_whitespace());
            }
        }
        let messages = File::create(self.messages()).expect("the sandbox is writable");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(messages);
        if faulty {
            faults::endanger(&mut command, self.place, "runs", self.random);
        }
        command.spawn().expect("nashost starts")
    }

    /// Where the driver's messages go.
    fn messages(&self) -> PathBuf {
        self.place.path("messages")
    }

    /// Looks at how a launch ended, and at what is left of the run.
    fn judge(&mut self, status: ExitStatus, driver: u32, killed: bool, faulty: bool) {
        let orphans = strike::orphans(driver);
        if !orphans.is_empty() {
            self.problem(format!("workers {orphans:?} outlived their driver {driver}"));
        }
        let runs: Vec<Run> = recorded(self.place).collect();
        if runs.len() > 1 {
            self.problem("there is more than one run with a record".to_owned());
        }
        if let Some(lost) = runs.first().and_then(|run| self.record.follow(&run.file("events.jsonl"))) {
            self.problem(lost);
        }
        let messages = fs::read_to_string(self.messages()).unwrap_or_default();
        match (status.code(), faults::code(&messages)) {
            (None, _) if killed => {}
            (Some(0), _) if self.record.is_finished() => {}
            (Some(faults::ENVIRONMENT), Some(code)) if faulty => {
                *self.tally.stops.entry(code).or_default() += 1;
            }
            _ => self.problem(format!("the driver ended with {status}, and said:\n{messages}")),
        }
        if messages.contains("panicked") {
            self.problem(format!("the driver panicked:\n{messages}"));
        }
    }

    fn problem(&mut self, what: String) {
        self.tally.problems.push(format!(
            "round {}, launch {}: {what}",
            self.tally.rounds + 1,
            self.launches
        ));
    }
}

/// Runs in the sandbox that have a record.
pub(super) fn recorded(place: &Sandbox) -> impl Iterator<Item = Run> {
    let folders = fs::read_dir(place.path("runs")).into_iter().flatten().flatten().map(|entry| entry.path());
    let has_record = |run: &PathBuf| {
        let mut first = Vec::new();
        let log = File::open(run.join("events.jsonl")).map(BufReader::new);
        log.and_then(|mut log| log.read_until(b'\n', &mut first)).is_ok() && first.ends_with(b"\n")
    };
    folders.filter(|path| !path.is_symlink()).filter(has_record).map(Run)
}

/// The run that is being made: the one with a record, or the newest.
fn the_run(place: &Sandbox) -> Option<Run> {
    recorded(place).next().or_else(|| place.path("runs/latest").canonicalize().ok().map(Run))
}
