//! Why a worker process ended.

use std::{fs, os::unix::process::ExitStatusExt as _, path::Path, process::ExitStatus};

use super::protocol::TaskError;
use crate::{error::Exit, run::trial::FailureKind};

/// Lines of a worker's log that an error shows.
const LINES: usize = 8;
/// Bytes at the end of a log that are looked at.
const TAIL: usize = 16 << 10;
/// What Rust's and C++'s allocators say before they abort.
const ALLOCATION: [&str; 3] = ["memory allocation of", "std::bad_alloc", "not enough memory"];

/// Kernel's count of processes that it ended for want of memory.
pub(super) fn oom_kills() -> u64 {
    let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
    count.unwrap_or(0)
}

/// How a worker ended that told nothing of its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Death {
    /// The driver ended it, because it made no progress or no longer answered.
    Stuck(String),
    /// It answered what nobody can read.
    Garbage(String),
    /// It stopped its task, and the run had not asked it to.
    Unasked,
    /// By itself, or by somebody else.
    Status(ExitStatus, /** Whether the kernel ended processes for want of memory meanwhile. */ bool),
}

/// Describes a death, with the end of the worker's log.
pub(super) fn describe(death: &Death, log: Option<&Path>) -> TaskError {
    let tail = log.map(tail).unwrap_or_default();
    let (kind, code, what) = match death {
        Death::Stuck(why) => (FailureKind::Timeout, "E0816", why.clone()),
        Death::Garbage(why) => (FailureKind::Crashed, "E0817", why.clone()),
        Death::Unasked => {
            let what =
                "the worker stopped, and the run had not asked it to: most likely something sent it a signal";
            (FailureKind::Crashed, "E0815", what.to_owned())
        }
        Death::Status(status, oom_kills) => {
            let (kind, what) = cause(*status, *oom_kills, &tail);
            (kind, if kind == FailureKind::Oom { "E0818" } else { "E0815" }, what)
        }
    };
    let message = match (tail.is_empty(), log) {
        (false, Some(log)) => {
            format!("{what}; the end of {}:\n{}", log.display(), indented(&tail))
        }
        _ => what,
    };
    TaskError { kind, code: code.to_owned(), message, help: None, exit: Exit::No as u8 }
}

fn cause(status: ExitStatus, oom_kills: bool, tail: &[String]) -> (FailureKind, String) {
    const KILL: i32 = 9;
    let starved = tail.iter().any(|line| ALLOCATION.iter().any(|words| line.contains(words)));
    match status.signal() {
        Some(KILL) if oom_kills => {
            (FailureKind::Oom, "the kernel ended the worker: the machine ran out of memory".to_owned())
        }
        Some(signal) if starved => {
            (FailureKind::Oom, format!("the worker could not allocate memory ({})", name(signal)))
        }
        Some(signal) => (FailureKind::Crashed, format!("the worker was ended by {}", name(signal))),
        None => {
            let code = status.code().unwrap_or(-1);
            (FailureKind::Crashed, format!("the worker ended by itself with status {code}"))
        }
    }
}

fn name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned)
}

/// Last lines of a log.
fn tail(log: &Path) -> Vec<String> {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL)..]).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty() && !is_frame(line)).collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

/// Whether a line belongs to a backtrace, which would hide what was said before it.
fn is_frame(line: &str) -> bool {
    let text = line.trim_start();
    let number =
        text.split_once(": ").is_some_and(|(n, _)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let indented = text.len() < line.len();
    indented && (number || text.starts_with("at ")) || text == "stack backtrace:"
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(raw: i32, oom_kills: bool, log: &str) -> (FailureKind, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), log).unwrap();
        let death = Death::Status(ExitStatus::from_raw(raw), oom_kills);
        let error = describe(&death, Some(file.path()));
        (error.kind, error.message)
    }

    #[test]
    fn deaths_are_told_apart() {
        let (kind, message) = judged(11, false, "loading\nabout to crash\n");
        assert_eq!(kind, FailureKind::Crashed);
        assert!(message.contains("SIGSEGV") && message.contains("  | about to crash"), "{message}");
        assert_eq!(judged(9, true, "").0, FailureKind::Oom);
        assert_eq!(judged(9, false, "").0, FailureKind::Crashed);
        assert_eq!(judged(6, false, "memory allocation of 8 bytes failed\n").0, FailureKind::Oom);
        assert_eq!(judged(6, false, "assertion failed\n").0, FailureKind::Crashed);
        let (kind, message) = judged(101 << 8, false, "");
        assert_eq!(
            (kind, message.as_str()),
            (FailureKind::Crashed, "the worker ended by itself with status 101")
        );
        let stuck = describe(&Death::Stuck("no step for 10m".to_owned()), None);
        assert_eq!((stuck.kind, stuck.message.as_str()), (FailureKind::Timeout, "no step for 10m"));
        assert_eq!(describe(&Death::Garbage(String::new()), None).kind, FailureKind::Crashed);
    }

    #[test]
    fn a_long_log_is_shown_by_its_end() {
        let log: String = (0..10_000).map(|line| format!("line {line}\n")).collect();
        let (_, message) = judged(11, false, &log);
        assert!(
            message.ends_with("line 9999") && message.contains("line 9992") && !message.contains("line 9991")
        );
    }
}
