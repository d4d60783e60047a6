//! `nashost plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::plugin::scaffold::NewKind;

/// A plugin, by its id or by its file.
#[derive(Debug, Clone, Args)]
pub struct PluginArgs {
    /// Id of the plugin, or path of its file.
    pub plugin: String,
}

/// Arguments of `plugin test`.
#[derive(Debug, Clone, Args)]
pub struct PluginTestArgs {
    /// Id of the plugin, or path of its file.
    pub plugin: String,
    /// Sets a setting of a component, such as `csv-images.root=mine`; repeatable.
    #[arg(short, long, value_name = "COMPONENT.KEY=VALUE")]
    pub set: Vec<String>,
}

/// Arguments of `plugin new`.
#[derive(Debug, Clone, Args)]
pub struct PluginNewArgs {
    /// Folder of the plugin; its last part is the name of the plugin and its component.
    pub name: PathBuf,
    /// What the plugin brings
    #[arg(long, env = "NASHOST_KIND", value_enum)]
    pub kind: NewKind,
    /// Takes nashost-plugin-api from this folder instead of the registry.
    #[arg(long, env = "NASHOST_API_PATH", value_name = "DIR", conflicts_with = "api_git")]
    pub api_path: Option<PathBuf>,
    /// Takes nashost-plugin-api from this git repository instead of the registry.
    #[arg(long, env = "NASHOST_API_GIT", value_name = "URL")]
    pub api_git: Option<String>,
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
    /// Tries every rule of the contract on a plugin, in processes of their own.
    Test(PluginTestArgs),
    /// Begins a new plugin: a crate that builds, with tests.
    New(PluginNewArgs),
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
    /// Compares the plugins that are found with nashost-plugins.lock.
    Verify,
    /// Prints the folders that plugins are looked for in.
    Path,
    /// Loads a plugin and prints what it says, for the parent process.
    #[command(hide = true)]
    Probe {
        /// The plugin's file.
        file: PathBuf,
    },
    /// Tries the rules on one component, for the parent process.
    #[command(hide = true)]
    Conform {
        /// What to try.
        task: PathBuf,
        /// Where to write how it comes out.
        report: PathBuf,
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
        assert!(
            matches!(parse("plugin test x -s a.b=1 -s a.c=2"), Some(PluginCommand::Test(args)) if args.set.len() == 2)
        );
        assert!(
            matches!(parse("plugin new x --kind metric"), Some(PluginCommand::New(args)) if args.kind == NewKind::Metric)
        );
        assert!(parse("plugin new x --kind metric --api-path a --api-git b").is_none(), "one source");
        assert!(matches!(parse("plugin verify"), Some(PluginCommand::Verify)));
        assert!(matches!(parse("plugin probe libx.so"), Some(PluginCommand::Probe { .. })));
        assert!(parse("plugin check").is_none(), "nothing to check");
    }
}
