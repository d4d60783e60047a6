//! Commands that work on runs.

use std::path::PathBuf;

use clap::{Args, builder::FalseyValueParser};

use super::ConfigArgs;

/// Arguments of `run`: searches, trains and evaluates.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Configuration file, as `--config`.
    #[arg(value_name = "CONFIG", conflicts_with = "config")]
    pub file: Option<PathBuf>,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Prints what would be done, and does nothing.
    #[arg(long, env = "NASHOST_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
}

impl RunArgs {
    /// Returns the configuration's flags with the file, wherever it was named.
    pub fn config(&self) -> ConfigArgs {
        ConfigArgs { config: self.file.clone().or_else(|| self.config.config.clone()), ..self.config.clone() }
    }
}

/// Arguments of `show`: tells what a run did.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// A run: its folder, its name, the end of its name, or `latest`.
    #[arg(default_value = "latest")]
    pub run: String,
    /// Folder that runs are in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `runs`: lists runs.
#[derive(Debug, Clone, Args)]
pub struct RunsArgs {
    /// Folder that runs are in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    #[expect(clippy::large_enum_variant, reason = "clap builds one value per test")]
    enum Commands {
        Run(RunArgs),
        Show(ShowArgs),
        Runs(RunsArgs),
    }

    fn parse(line: &str) -> clap::error::Result<Commands> {
        let words = line.split_whitespace();
        Commands::from_arg_matches(&Commands::command().try_get_matches_from(words)?)
    }

    #[test]
    fn a_run_takes_its_file_by_position_or_by_flag() {
        for line in ["nashost run neck.toml --dry-run", "nashost run -c neck.toml --dry-run"] {
            let Ok(Commands::Run(run)) = parse(line) else { panic!("{line}") };
            assert_eq!(run.config().config, Some("neck.toml".into()));
            assert!(run.dry_run);
        }
        assert!(parse("nashost run a.toml -c b.toml").is_err(), "two files are one too many");
    }

    #[test]
    fn the_other_commands_have_their_defaults() {
        let Ok(Commands::Show(show)) = parse("nashost show") else { panic!() };
        assert_eq!((show.run.as_str(), show.out), ("latest", "runs".into()));
        let Ok(Commands::Runs(runs)) = parse("nashost runs --out elsewhere") else { panic!() };
        assert_eq!(runs.out, PathBuf::from("elsewhere"));
    }
}
