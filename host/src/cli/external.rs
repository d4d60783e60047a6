//! `nashost foo` runs `nashost-foo`, as cargo does.

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command};

use clap::CommandFactory;

use super::args::Cli;
use crate::{
    config::suggest,
    error::{Error, Exit, Result},
};

/// Becomes the program `nashost-<first word>`; returns only if there is none.
pub(super) fn command(words: &[OsString]) -> Result<Exit> {
    let Some((name, arguments)) = words.split_first() else { return Ok(Exit::Usage) };
    let mut program = OsString::from("nashost-");
    program.push(name);
    let cause = Command::new(&program).args(arguments).exec();
    let (name, program) = (name.to_string_lossy(), program.to_string_lossy());
    if cause.kind() != std::io::ErrorKind::NotFound {
        return Err(Error::new(Exit::Environment, "E0102", format!("cannot run `{program}`: {cause}")));
    }
    let error =
        Error::new(Exit::Usage, "E0101", format!("no command `{name}`, and no program `{program}` on PATH"));
    let cli = Cli::command();
    let known: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
    Err(match suggest::help(&name, known) {
        Some(help) => error.help(help),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_command_is_corrected() {
        let error = command(&["docter".into()]).unwrap_err();
        assert_eq!((error.code, error.exit), ("E0101", Exit::Usage));
        assert_eq!(error.help.as_deref(), Some("did you mean `doctor`?"));
    }
}
