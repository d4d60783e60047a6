//! Flags of every command.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum, builder::FalseyValueParser};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON document.
    Json,
    /// Markdown.
    Md,
    /// A table in LaTeX, for the package booktabs.
    Latex,
    /// HTML.
    Html,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Reads `NAME=KEY`. Keys end with `=` themselves, names have none.
fn key(text: &str) -> Result<(String, String), String> {
    let (name, key) = text.split_once('=').ok_or("a name and a key are expected, such as `lab=RW…`")?;
    Ok((name.to_owned(), key.to_owned()))
}

/// Flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Prints results as
    #[arg(long, global = true, env = "NASHOST_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// Prints only results and errors.
    #[arg(short, long, global = true, env = "NASHOST_QUIET", value_parser = FalseyValueParser::new(), conflicts_with = "verbose")]
    pub quiet: bool,
    /// Logs more: -v for information, -vv for details, -vvv for everything.
    #[arg(short, long, global = true, env = "NASHOST_VERBOSE", action = ArgAction::Count)]
    pub verbose: u8,
    /// Colours the output
    #[arg(long, global = true, env = "NASHOST_COLOR", value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// Draws no progress bars.
    #[arg(long, global = true, env = "NASHOST_NO_PROGRESS", value_parser = FalseyValueParser::new())]
    pub no_progress: bool,
    /// Further folder to look for plugins in, before all others; repeatable.
    #[arg(long, global = true, env = "NASHOST_PLUGIN_PATH", value_delimiter = ':', value_name = "DIR")]
    pub plugin_path: Vec<PathBuf>,
    /// Refuses plugins that nashost-plugins.lock does not pin.
    #[arg(long, global = true, env = "NASHOST_LOCKED", value_parser = FalseyValueParser::new())]
    pub locked: bool,
    /// Refuses plugins that no listed key has signed (plugins.require_signed).
    #[arg(long, global = true, env = "NASHOST_REQUIRE_SIGNED", value_parser = FalseyValueParser::new())]
    pub require_signed: bool,
    /// Public key of minisign that may sign plugins; repeatable (plugins.keys).
    #[arg(long, global = true, env = "NASHOST_PLUGIN_KEY", value_delimiter = ',', value_name = "NAME=KEY", value_parser = key)]
    pub plugin_key: Vec<(String, String)>,
    /// Runs plugins without network and with files read-only outside the folder of the run or study (run.sandbox).
    #[arg(long, global = true, env = "NASHOST_SANDBOX", value_parser = FalseyValueParser::new())]
    pub sandbox: bool,
    /// Answers every question with yes.
    #[arg(short, long, global = true, env = "NASHOST_YES", value_parser = FalseyValueParser::new())]
    pub yes: bool,
}
