//! Running other programs, and saying what goes on.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// Writes a line for the person at the terminal. Standard output belongs to results.
pub(crate) fn say(line: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Runs `command` to its end; what it prints goes to standard error.
///
/// # Errors
///
/// Fails if the program cannot be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.stdout(io::stderr()).status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs `command` to its end; what it prints goes where this program's output goes.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn pass_through(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs `command` and returns its standard output; its standard error is passed on.
///
/// # Errors
///
/// As [`run`], and if the output is not UTF-8.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", line(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("output of `{}`", line(command)))
}

fn cannot_start(command: &Command) -> String {
    format!("start `{}`", command.get_program().display())
}

/// Returns the command as one would type it, shortened to its program's name.
fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Writes a program that is this shell script.
///
/// A shell writes it: a file that this process has open for writing cannot be started, and while other
/// tests start programs, those may hold it open for a moment longer.
#[cfg(test)]
pub(crate) fn write_script(file: &std::path::Path, script: &str) {
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#;
    run(Command::new("/bin/sh").args(["-c", write, "sh", script]).arg(file)).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_its_status() {
        let error = run(Command::new("/bin/sh").args(["-c", "exit 4"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 4` failed (exit status: 4)");
        let error = output(&mut Command::new("/no/such/program")).unwrap_err();
        assert!(format!("{error:#}").starts_with("start `/no/such/program`: No such file"), "{error:#}");
    }

    #[test]
    fn output_is_what_was_printed() {
        assert_eq!(output(Command::new("/bin/sh").args(["-c", "echo hello"])).unwrap(), "hello\n");
    }
}
