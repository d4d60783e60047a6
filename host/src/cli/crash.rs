//! Panics: one line for the user, a report in a file for us.

#![expect(clippy::print_stderr, reason = "a panic may have struck the output module itself")]

use std::{
    backtrace::Backtrace,
    io::Write,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind},
    path::PathBuf,
    sync::Mutex,
    thread,
};

use crate::{error::Exit, run::provenance::command_line};

/// Panics of this process, oldest first. A panic of a worker often leads to one of the main thread,
/// and the first tells why.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps panics for the report instead of printing them.
pub(super) fn record_panics() {
    std::panic::set_hook(Box::new(record));
}

fn record(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let text = format!("thread `{name}`: {panic}\n{}\n", Backtrace::force_capture());
    tracing::debug!("panic in thread `{name}`: {panic}");
    if let Ok(mut panics) = PANICS.lock() {
        panics.push(text);
    }
}

/// Runs `work`; a panic becomes [`Exit::Bug`] with a report.
pub(super) fn guard(work: impl FnOnce() -> Exit) -> Exit {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(exit) => exit,
        Err(_) => {
            let place = match write_report() {
                Ok(path) => format!("please report it with {}", path.display()),
                Err(error) => format!("its report could not be written: {error}"),
            };
            eprintln!("error[E0100]: nashost has met a bug of its own; {place}");
            Exit::Bug
        }
    }
}

fn write_report() -> std::io::Result<PathBuf> {
    let panics = PANICS.lock().map(|panics| panics.join("\n")).unwrap_or_default();
    let words = command_line();
    let mut file = tempfile::Builder::new().prefix("nashost-crash-").suffix(".txt").tempfile()?;
    writeln!(file, "nashost {}\ncommand line: {}\n\n{panics}", env!("CARGO_PKG_VERSION"), words.join(" "))?;
    let (_, path) = file.keep().map_err(|error| error.error)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_exit_code() {
        assert_eq!(guard(|| Exit::No), Exit::No);
        assert_eq!(guard(|| panic!("a bug")), Exit::Bug);
    }

    #[test]
    fn a_report_tells_the_version_and_the_command_line() {
        let path = write_report().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        assert!(text.starts_with(concat!("nashost ", env!("CARGO_PKG_VERSION"))), "{text}");
        assert!(text.contains("command line: "), "{text}");
    }
}
