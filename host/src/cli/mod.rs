//! The command line: what can be written, what it leads to, what is printed.

pub mod args;
mod completions;
mod config;
mod crash;
pub mod doctor;
pub mod explain;
mod external;
mod log;
pub mod output;

use std::{collections::BTreeSet, ffi::OsString, process::ExitCode};

use clap::{ArgMatches, CommandFactory, FromArgMatches, parser::ValueSource};

use self::{
    args::{Cli, Command, GlobalArgs},
    output::Output,
};
use crate::{
    config::NoPlugins,
    device,
    error::{Exit, Result},
};

/// What every command is given beside its own arguments.
#[derive(Debug)]
pub struct Context {
    /// Where results and messages go.
    pub out: Output,
    /// Flags of every command.
    pub global: GlobalArgs,
    /// Names of the flags that an environment variable gave.
    pub from_environment: BTreeSet<String>,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // First of all: see `device`.
    device::map_cuda();
    crash::record_panics();
    let exit = crash::guard(|| run(std::env::args_os()));
    ExitCode::from(exit as u8)
}

/// Runs a command line and reports what went wrong.
fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let (cli, from_environment) = match parse(arguments) {
        Ok(parsed) => parsed,
        // Help and version are "errors" of the parser too; it knows which stream they belong on.
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            return if error.print().is_ok() { exit } else { Exit::Environment };
        }
    };
    let context = Context { out: Output::new(&cli.global), global: cli.global, from_environment };
    log::start(&context);
    match dispatch(cli.command, &context) {
        Ok(exit) => exit,
        Err(error) => {
            context.out.error(&error);
            error.exit
        }
    }
}

/// Leads every command to its function.
fn dispatch(command: Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Config(command) => config::command(command, context, &NoPlugins),
        Command::Doctor(args) => doctor::command(&args, context, Vec::new()),
        Command::Explain { code } => explain::command(code.as_deref(), context),
        Command::Completions { shell } => completions::command(shell, context),
        Command::External(words) => external::command(&words),
    }
}

/// Parses a command line; the second value holds the names of the flags that the environment gave.
fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> std::result::Result<(Cli, BTreeSet<String>), clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    let mut from_environment = BTreeSet::new();
    let mut level: Option<&ArgMatches> = Some(&matches);
    while let Some(matches) = level {
        let given = matches.ids().map(clap::Id::as_str);
        let given = given.filter(|id| source(matches, id) == Some(ValueSource::EnvVariable));
        from_environment.extend(given.map(str::to_owned));
        level = matches.subcommand().map(|(_, matches)| matches);
    }
    Ok((Cli::from_arg_matches(&matches)?, from_environment))
}

/// Where a value comes from; groups of flags are no values.
fn source(matches: &ArgMatches, id: &str) -> Option<ValueSource> {
    matches.try_contains_id(id).ok().filter(|present| *present).and_then(|_| matches.value_source(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_environment_variable() {
        /// Flags that change what one call prints, or that stand once per value.
        const WITHOUT: [&str; 4] = ["help", "version", "set", "origin"];
        fn walk(command: &clap::Command) {
            for flag in command.get_arguments() {
                let Some(long) = flag.get_long().filter(|long| !WITHOUT.contains(long)) else { continue };
                let expected = format!("NASHOST_{}", long.to_uppercase().replace('-', "_"));
                let found = flag.get_env().and_then(|name| name.to_str());
                assert_eq!(found, Some(expected.as_str()), "--{long} of {}", command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        let mut command = Cli::command();
        command.build();
        walk(&command);
    }

    #[test]
    fn usage_errors_exit_with_2_and_help_with_0() {
        assert_eq!(run(words("nashost doctor --no-such-flag")), Exit::Usage);
        assert_eq!(run(words("nashost")), Exit::Usage);
        assert_eq!(run(words("nashost --version")), Exit::Ok);
    }

    #[test]
    fn global_flags_stand_anywhere() {
        for line in ["nashost --format json doctor", "nashost doctor --format json"] {
            let (cli, _) = parse(words(line)).unwrap();
            assert_eq!(cli.global.format, args::Format::Json, "{line}");
        }
    }
}
