//! What only a process can show: growth, copies of libtorch, a stop on request.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use nashost_plugin_api::{
    abi::{
        foreign::{CallError, CallErrorKind, maps},
        host::{CancelState, HostServices, LogRecord},
    },
    testing::{Check, Trouble},
};

/// Rounds of creating, using and dropping an instance before anything is measured.
const WARM_UP: u64 = 6;
/// Rounds that are measured.
const ROUNDS: u64 = 40;
/// Longest time for them; slow components get fewer.
const LONGEST: Duration = Duration::from_secs(4);
/// Growth of memory that allocators and caches may need, in KiB: at all, and for each round.
const FREE_KIB: (u64, u64) = (12 << 10, 256);

static STOP: AtomicBool = AtomicBool::new(false);

/// The host that plugins meet in a test: it can want them to stop, and takes it back.
pub(super) struct TestHost;

impl HostServices for TestHost {
    fn log(&self, _: &LogRecord<'_>) {}

    fn log_max_level(&self) -> u8 {
        // Plugins must survive being asked for everything.
        5
    }

    fn cancel_state(&self) -> CancelState {
        if STOP.load(Ordering::Relaxed) { CancelState::StopNow } else { CancelState::Go }
    }

    fn progress(&self, _: u64, _: u64) {}

    fn metric(&self, _: &str, _: u64, _: f64) {}
}

/// Calls `work` while the host wants everything to stop. That it comes back is watched by the parent.
pub(super) fn cancel(work: impl FnOnce() -> Result<(), CallError>) -> Check {
    STOP.store(true, Ordering::Relaxed);
    let answer = work();
    STOP.store(false, Ordering::Relaxed);
    match answer {
        Ok(()) => Ok("it finished".to_owned()),
        Err(error) if error.kind == CallErrorKind::Cancelled => Ok("it stopped and said so".to_owned()),
        Err(error) => {
            Err(Trouble::Broken(format!("it came back with another error than `Cancelled`: {error}")))
        }
    }
}

/// Checks that at most one libtorch is mapped.
pub(super) fn libtorch() -> Check {
    let copies = maps::files_named("libtorch_cpu.so");
    let list: Vec<String> = copies.iter().map(|path| path.display().to_string()).collect();
    match list.len() {
        0 | 1 => Ok(format!("{} mapped", list.len())),
        _ => Err(Trouble::Broken(format!("several are mapped: {}", list.join(" and ")))),
    }
}

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holdings {
    kib: u64,
    threads: u64,
    files: u64,
}

impl Holdings {
    fn now() -> Option<Self> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let files = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
        Some(Self { kib: field("VmRSS:")?, threads: field("Threads:")?, files })
    }
}

/// Calls `round` again and again, and checks that the process does not grow with it.
pub(super) fn leaks(round: impl Fn() -> Result<(), CallError>) -> Check {
    let unknown = || Trouble::NotTried("this system has no /proc".to_owned());
    for _ in 0..WARM_UP {
        round()?;
    }
    let before = Holdings::now().ok_or_else(unknown)?;
    let begin = Instant::now();
    let mut rounds = 0;
    while rounds < ROUNDS && begin.elapsed() < LONGEST {
        round()?;
        rounds += 1;
    }
    judge(before, Holdings::now().ok_or_else(unknown)?, rounds)
}

fn judge(before: Holdings, after: Holdings, rounds: u64) -> Check {
    let grown = |what: &str, before: u64, after: u64| {
        Err(Trouble::Broken(format!("{rounds} instances that were dropped left {what}: {before} → {after}")))
    };
    if after.kib > before.kib + FREE_KIB.0 + FREE_KIB.1 * rounds {
        return grown("memory (KiB)", before.kib, after.kib);
    }
    if after.threads > before.threads {
        return grown("threads", before.threads, after.threads);
    }
    if after.files > before.files {
        return grown("open files", before.files, after.files);
    }
    Ok(format!("{rounds} instances"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_growth_is_told() {
        let before = Holdings { kib: 100_000, threads: 3, files: 9 };
        assert!(judge(before, Holdings { kib: 110_000, ..before }, 40).is_ok());
        let why = |after| match judge(before, after, 40) {
            Err(Trouble::Broken(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(why(Holdings { kib: 140_000, ..before }).contains("memory"));
        assert!(why(Holdings { threads: 4, ..before }).contains("threads"));
        assert!(why(Holdings { files: 10, ..before }).contains("open files"));
        assert!(Holdings::now().unwrap().threads >= 1);
    }
}
