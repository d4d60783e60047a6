//! Killing processes at chosen moments.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant, SystemTime},
};

use rand::Rng;
use rustix::process::{Pid, Signal, kill_process};

/// How often files and processes are looked at.
const LOOK: Duration = Duration::from_millis(2);
/// How long workers may take to follow their driver.
const ORPHANS: Duration = Duration::from_secs(20);

/// When to strike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Changes of the watched file that are waited for.
    changes: u32,
    /// Which file: the events, or everything else.
    events: bool,
    /// How long after that.
    delay: Duration,
}

impl Moment {
    /// Chooses a moment: one of a span of time, or one right after files of the run have changed.
    pub(super) fn choose(random: &mut impl Rng, span: Duration) -> Self {
        if random.random_bool(0.5) {
            let delay = span.mul_f64(random.random());
            return Self { changes: 0, events: false, delay };
        }
        let delay = Duration::from_micros(random.random_range(0..20_000));
        Self { changes: random.random_range(1..=12), events: random.random(), delay }
    }

    /// Waits for the moment, which never comes if the process `child` ends before.
    pub(super) fn wait(self, run: impl Fn() -> Option<PathBuf>, child: &mut Child) -> Option<ExitStatus> {
        let look = || run().map(|run| if self.events { length(&run) } else { newest(&run) });
        let mut seen = look();
        let mut changes = 0;
        while changes < self.changes {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                return Some(status);
            }
            thread::sleep(LOOK);
            let now = look();
            if now != seen {
                changes += 1;
                seen = now;
            }
        }
        let until = Instant::now() + self.delay;
        while Instant::now() < until {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                return Some(status);
            }
            thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
        }
        None
    }
}

fn length(run: &Path) -> u64 {
    fs::metadata(run.join("events.jsonl")).map_or(0, |file| file.len())
}

/// When the newest file of a run, the events aside, was made or renamed.
fn newest(run: &Path) -> u64 {
    let below = fs::read_dir(run.join("ckpt")).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders = [run.to_owned(), run.join("predictions")].into_iter().chain(below);
    let changed = |folder: PathBuf| fs::metadata(folder).and_then(|folder| folder.modified()).ok();
    let newest = folders.filter_map(changed).max();
    newest
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or(0, |t| t.as_nanos() as u64)
}

/// Kills a worker of `driver`; says whether there was one.
pub(super) fn kill_worker(driver: u32, random: &mut impl Rng) -> bool {
    kill_one(&workers(driver), random)
}

/// Waits for the workers of a driver that is gone to be gone, too; returns those that stay.
pub(super) fn orphans(driver: u32) -> Vec<i32> {
    leave(|| workers(driver))
}

/// Waits until `left` finds nobody; returns those that stay.
pub(super) fn leave(left: impl Fn() -> Vec<i32>) -> Vec<i32> {
    let began = Instant::now();
    loop {
        let left = left();
        if left.is_empty() || began.elapsed() > ORPHANS {
            return left;
        }
        thread::sleep(LOOK);
    }
}

/// Numbers of the processes that were started as workers of `driver` and live.
fn workers(driver: u32) -> Vec<i32> {
    with_words(&format!("worker\0--driver\0{driver}\0"))
}

/// Numbers of the living processes with `words` in their command line.
pub(super) fn with_words(words: &str) -> Vec<i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    let has_words = |number: &i32| {
        // A process that has ended has no words any more, even if nobody has waited for it.
        let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        line.windows(words.len()).any(|part| part == words.as_bytes())
    };
    numbers.filter(has_words).collect()
}

/// Kills one of `victims`; says whether there was one.
pub(super) fn kill_one(victims: &[i32], random: &mut impl Rng) -> bool {
    if victims.is_empty() {
        return false;
    }
    let victim = victims[random.random_range(0..victims.len())];
    Pid::from_raw(victim).is_some_and(|victim| kill_process(victim, Signal::KILL).is_ok())
}
