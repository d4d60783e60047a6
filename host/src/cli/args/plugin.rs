//! `nashost plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// A plugin, by its id or by its file.
#[derive(Debug, Clone, Args)]
pub struct PluginArgs {
    /// Id of the plugin, or path of its file.
    pub plugin: String,
}

/// Commands on plugins.
#[derive(Debug, Clone, Subcommand)]
pub enum PluginCommand {
    /// Lists the plugins that were found, and why any was refused.
    List,
    /// Shows the manifest and the components of a plugin.
    Inspect(PluginArgs),
    /// Loads a plugin in a process of its own and reports every problem.
    Check(PluginArgs),
    /// Prints the JSON Schema of the settings of a component.
    Schema {
        /// Id of the component.
        component: String,
    },
    /// Pins the SHA-256 of plugins in nashost-plugins.lock.
    Trust {
        /// Ids or files; all that were found if left out.
        plugins: Vec<String>,
    },
    /// Prints the folders that plugins are looked for in.
    Path,
    /// Loads a plugin and prints what it says, for the parent process.
    #[command(hide = true)]
    Probe {
        /// The plugin's file.
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    }

    fn parse(line: &str) -> Option<PluginCommand> {
        Plugin::try_parse_from(line.split_whitespace()).ok().map(|plugin| plugin.command)
    }

    #[test]
    fn plugins_are_named_by_id_or_file() {
        assert!(matches!(parse("plugin list"), Some(PluginCommand::List)));
        assert!(
            matches!(parse("plugin inspect zennas"), Some(PluginCommand::Inspect(args)) if args.plugin == "zennas")
        );
        assert!(
            matches!(parse("plugin check ./libx.so"), Some(PluginCommand::Check(args)) if args.plugin == "./libx.so")
        );
        assert!(
            matches!(parse("plugin schema zen-score"), Some(PluginCommand::Schema { component }) if component == "zen-score")
        );
        assert!(
            matches!(parse("plugin trust a b"), Some(PluginCommand::Trust { plugins }) if plugins == ["a", "b"])
        );
        assert!(matches!(parse("plugin probe libx.so"), Some(PluginCommand::Probe { .. })));
        assert!(parse("plugin check").is_none(), "nothing to check");
    }
}
