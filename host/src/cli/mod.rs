//! The command line: what can be written, what it leads to, what is printed.

pub mod args;
mod compare;
mod comparison;
mod completions;
mod config;
mod crash;
mod data;
pub mod doctor;
pub mod explain;
mod export;
mod external;
pub mod output;
mod plugin;
mod predict;
mod proxy_check;
mod repeat;
mod report;
mod reproduce;
mod resume;
mod run;
mod runs;
mod sandbox;
mod score;
mod self_check;
mod signals;
mod stats;
mod study;
mod worker;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{ArgMatches, CommandFactory, FromArgMatches, parser::ValueSource};
use serde_json::Value;

use self::{
    args::{Cli, Command, ConfigArgs, GlobalArgs},
    output::Output,
};
use crate::{
    config::{Layer, Origin, Precautions, Resolved, Sources, user_file},
    device,
    error::{Error, Exit, Result},
    pipeline::{self, Host},
    plugin::{
        Registry, SearchPath, Trust,
        lock::{self, Lock},
        manifest,
    },
    run::{
        RunDir,
        log::{Log, Verbosity, init_logging},
        progress::{Mode, Progress},
    },
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
    /// Where progress is shown.
    pub progress: Progress,
    /// The log of this process.
    pub log: Log,
}

impl Context {
    /// Where plugins are looked for.
    fn search_path(&self) -> SearchPath {
        SearchPath::new(self.global.plugin_path.iter().cloned())
    }

    /// Looks at all plugins; those that are not trusted are refused.
    fn registry(&self) -> Result<Registry> {
        let sources = ConfigArgs::default().sources(&self.from_environment)?;
        self.registry_with(self.search_path(), &self.precautions(sources)?)
    }

    /// Looks at all plugins for a worker. Its driver has heard the configuration of the run, and decided on the
    /// sandbox for both.
    fn registry_of_driver(&self) -> Result<Registry> {
        let sources = ConfigArgs::default().sources(&self.from_environment)?;
        let precautions = Precautions { sandbox: false, ..self.precautions(sources)? };
        self.registry_with(self.search_path(), &precautions)
    }

    /// Looks at all plugins for a command about `run`; if that began in the sandbox, they are not loaded outside.
    fn registry_of(&self, run: &RunDir) -> Result<Registry> {
        let sources = ConfigArgs::default().sources(&self.from_environment)?;
        let mut precautions = self.precautions(sources)?;
        precautions.sandbox |= sandbox::is_wanted_by(run, self)?;
        self.registry_with(self.search_path(), &precautions)
    }

    fn registry_with(&self, path: SearchPath, precautions: &Precautions) -> Result<Registry> {
        let lock = self.global.locked.then(|| Lock::read(Path::new(lock::FILE_NAME))).transpose()?;
        let trust = Trust::new(lock, &precautions.plugins)?;
        let registry = Registry::new(&path, trust, device::libtorch_abi());
        let is_outside = precautions.sandbox && crate::sandbox::inside().is_none();
        Ok(if is_outside { registry.loading_nothing(sandbox::not_here) } else { registry })
    }

    /// What the user's files and flags say of plugins.
    pub(crate) fn precautions(&self, mut sources: Sources) -> Result<Precautions> {
        // What the user's own file demands holds for runs that are taken up as well.
        sources.user = user_file().filter(|path| path.exists());
        sources.overrides.extend(self.layers());
        let mut precautions = sources.precautions()?;
        precautions.plugins.keys.extend(self.global.plugin_key.iter().cloned());
        Ok(precautions)
    }

    /// The global flags that belong to the configuration.
    fn layers(&self) -> Vec<Layer> {
        let layer = |flag: &str, keys: &[&str], value: Value| {
            let origin = match self.from_environment.contains(&flag.replace('-', "_")) {
                true => Origin::Environment(format!("NASHOST_{}", flag.to_uppercase().replace('-', "_"))),
                false => Origin::Flag(format!("--{flag}")),
            };
            Layer::single(keys, value, origin)
        };
        let mut layers = Vec::new();
        if self.global.require_signed {
            layers.push(layer("require-signed", &["plugins", "require_signed"], Value::Bool(true)));
        }
        if self.global.sandbox {
            layers.push(layer("sandbox", &["run", "sandbox"], Value::Bool(true)));
        }
        for (name, key) in &self.global.plugin_key {
            layers.push(layer("plugin-key", &["plugins", "keys", name], Value::String(key.clone())));
        }
        layers
    }

    /// Finds a run. In the sandbox, the process outside has found it.
    fn open_run(&self, run: &str, out: &Path) -> Result<RunDir> {
        match crate::sandbox::inside().and_then(|inside| inside.of.as_ref()).and_then(|path| path.to_str()) {
            Some(path) => RunDir::open(path, out),
            None => RunDir::open(run, out),
        }
    }

    /// Resolves a configuration against the plugins that are there. `--plugin` takes a file too.
    fn resolve(&self, args: &ConfigArgs) -> Result<(Registry, Resolved)> {
        self.resolve_sources(args.sources(&self.from_environment)?)
    }

    /// Resolves the configuration of a run, with the changes that `args` makes.
    fn resolve_run(&self, run: &RunDir, args: &ConfigArgs) -> Result<(Registry, Resolved)> {
        let mut sources = args.sources(&self.from_environment)?;
        // A run's own file has every value, whatever the user's file says today.
        (sources.plugin, sources.user) = (None, None);
        sources.project = Some(run.file(pipeline::RUN_CONFIG));
        self.resolve_sources(sources)
    }

    fn resolve_sources(&self, sources: Sources) -> Result<(Registry, Resolved)> {
        self.resolve_with(sources.clone(), sources)
    }

    /// Resolves `sources` against the plugins that are trusted by what `cautious` say.
    fn resolve_with(&self, mut sources: Sources, cautious: Sources) -> Result<(Registry, Resolved)> {
        let mut path = self.search_path();
        if let Some(file) = sources.plugin.as_ref().filter(|plugin| plugin.contains('/')).map(PathBuf::from) {
            let manifest = manifest::read(&file).map_err(|why| {
                Error::new(Exit::Plugin, "E0411", format!("plugin {}: {why}", file.display()))
            })?;
            sources.plugin = Some(manifest.plugin.id);
            path.places.insert(0, file);
        }
        let precautions = self.precautions(cautious)?;
        let registry = self.registry_with(path, &precautions)?;
        sources.overrides.extend(self.layers());
        sources.overrides.extend(precautions.overruling);
        // Before the problems of a configuration that is of no use here.
        registry.may_load()?;
        let resolved = sources.resolve(&registry)?;
        Ok((registry, resolved))
    }

    /// What a run takes from this process.
    fn host<'a>(&'a self, registry: &'a Registry, device: &'a device::ResolvedDevice) -> Host<'a> {
        let places = registry.places().iter();
        let mut arguments: Vec<OsString> =
            places.flat_map(|place| ["--plugin-path".into(), place.clone().into_os_string()]).collect();
        if self.global.locked {
            arguments.push("--locked".into());
        }
        arguments.extend(registry.trust().arguments());
        Host {
            registry,
            device,
            libtorch: device::libtorch_abi().map(device::version_text).unwrap_or_default(),
            progress: &self.progress,
            log: &self.log,
            arguments,
            reserved: crate::sandbox::inside().and_then(|inside| inside.run.clone()),
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // First of all: see `device`.
    device::map_cuda();
    nashost_plugin_torch::keep_freed_memory();
    crash::record_panics();
    let exit = crash::guard(|| run_line(std::env::args_os()));
    ExitCode::from(exit as u8)
}

/// Runs a command line and reports what went wrong.
fn run_line(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let (cli, from_environment) = match parse(arguments) {
        Ok(parsed) => parsed,
        // Help and version are "errors" of the parser too; it knows which stream they belong on.
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            return if error.print().is_ok() { exit } else { Exit::Environment };
        }
    };
    let out = Output::new(&cli.global);
    let progress = Progress::new(Mode::detect(cli.global.quiet, cli.global.no_progress));
    let log = match init_logging(Verbosity::new(cli.global.quiet, cli.global.verbose), &progress) {
        Ok(log) => log,
        Err(error) => {
            out.error(&error);
            return error.exit;
        }
    };
    let context = Context { out, global: cli.global, from_environment, progress, log };
    match sandbox::enter(&cli.command, &context).and_then(|ended| match ended {
        Some(exit) => Ok(exit),
        None => dispatch(cli.command, &context),
    }) {
        Ok(exit) => exit,
        Err(error) => {
            context.out.error(&error);
            if error.exit == Exit::Interrupted { signals::exit(error.exit) } else { error.exit }
        }
    }
}

/// Leads every command to its function.
fn dispatch(command: Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Run(args) => run::command(&args, context),
        Command::Resume(args) => resume::command(&args, context),
        Command::Repeat(args) => repeat::command(&args, context),
        Command::Study(args) => study::command(&args, context),
        Command::StudyCell(args) => study::cell(&args, context),
        Command::Score(args) => score::command(&args, context),
        Command::Worker(args) => worker::command(&args, context),
        Command::Plugin(command) => plugin::command(command, context),
        Command::Data(command) => data::command(&command, context),
        Command::SelfCheck(args) => self_check::command(&args, context),
        Command::Show(args) => runs::show(&args, context),
        Command::Runs(args) => runs::runs(&args, context),
        Command::Report(args) => report::command(&args, context),
        Command::Compare(args) => compare::command(&args, context),
        Command::Stats(args) => stats::command(&args, context),
        Command::ProxyCheck(args) => proxy_check::command(&args, context),
        Command::Reproduce(command) => reproduce::command(&command, context),
        Command::Export(args) => export::command(&args, context),
        Command::Predict(args) => predict::command(&args, context),
        Command::Rebuild(args) => runs::rebuild(&args, context),
        Command::Clean(args) => runs::clean(&args, context),
        Command::Config(command) => config::command(command, context),
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
        const WITHOUT: [&str; 6] = ["help", "version", "set", "origin", "to", "show-ids"];
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
        assert_eq!(run_line(words("nashost doctor --no-such-flag")), Exit::Usage);
        assert_eq!(run_line(words("nashost")), Exit::Usage);
        assert_eq!(run_line(words("nashost --version")), Exit::Ok);
    }

    #[test]
    fn global_flags_stand_anywhere() {
        for line in ["nashost --format json doctor", "nashost doctor --format json"] {
            let (cli, _) = parse(words(line)).unwrap();
            assert_eq!(cli.global.format, args::Format::Json, "{line}");
        }
    }
}
