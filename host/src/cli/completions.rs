//! `nashost completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Context, args::Cli};
use crate::error::{Exit, Result};

/// Writes the completion script of `shell`.
pub(super) fn command(shell: Shell, context: &Context) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nashost", &mut script);
    context.out.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
