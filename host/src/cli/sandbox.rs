//! Which commands work in the sandbox, and what each of them needs there.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{
    Context,
    args::{
        Command, ConfigArgs, ConfigCommand, DataCommand, PluginCommand, ProxyCheckArgs, ReproduceCommand,
        ReproduceStudyArgs,
    },
};
use crate::{
    config::{Layer, Origin, Precautions, Sources, memory, named, wants_sandbox},
    error::{Error, Exit, Result},
    pipeline,
    run::RunDir,
    sandbox::{Stay, inside, supervise},
    study::{Folder, StudyConfig},
};

/// Makes the whole command in the sandbox if it is wanted there, and returns how it ended; `None` if the command
/// is to be made by this process.
pub(super) fn enter(command: &Command, context: &Context) -> Result<Option<Exit>> {
    if let Some(inside) = inside() {
        inside.settle()?;
        return Ok(None);
    }
    let stay = stay(command, context)?;
    stay.map(|stay| supervise(&stay)).transpose()
}

/// The error of a command that loads plugins and cannot do so in the sandbox.
pub(super) fn not_here() -> Error {
    Error::new(Exit::Usage, "E0459", "plugins are to work in the sandbox, but this command has none").help(
        "`run`, `resume`, `repeat`, `study`, `reproduce study`, `score`, `proxy-check`, `data check`, `config show`, `config check` and `plugin` have one",
    )
}

/// What the command needs, or `None` if it loads no plugin or nobody asked for the sandbox.
fn stay(command: &Command, context: &Context) -> Result<Option<Stay>> {
    let sources = |args: &ConfigArgs| args.sources(&context.from_environment);
    match command {
        Command::Run(args) => {
            let Some((mut stay, wanted)) = of_sources(sources(&args.config())?, context)? else {
                return Ok(None);
            };
            if !args.dry_run {
                stay.run = Some(RunDir::reserve(&wanted.out, &wanted.name)?);
            }
            Ok(Some(stay))
        }
        Command::Resume(args) => {
            let run = RunDir::open(&args.run, &args.out)?;
            if !run.file(pipeline::RUN_CONFIG).exists() {
                // It died before its record began; the command says so and loads nothing.
                return Ok(None);
            }
            let found = of_sources(of_run(&run, sources(&args.config())?), context)?;
            Ok(found.map(|(stay, _)| Stay { of: Some(run.path().to_owned()), writes: true, ..stay }))
        }
        Command::Repeat(args) => {
            let run = RunDir::open(&args.run, &args.out)?;
            let Some((mut stay, wanted)) = of_sources(of_run(&run, Sources::default()), context)? else {
                return Ok(None);
            };
            stay.run = Some(RunDir::reserve(&args.out, &wanted.name)?);
            stay.of = Some(run.path().to_owned());
            Ok(Some(stay))
        }
        Command::Score(args) => {
            let found = of_sources(sources(&args.config)?, context)?;
            Ok(found.map(|(mut stay, _)| {
                stay.read.extend(args.specs.iter().map(PathBuf::from));
                stay
            }))
        }
        Command::ProxyCheck(args) if !args.score.is_empty() => {
            of_runs(args, sources(&ConfigArgs::default())?, context)
        }
        Command::Data(DataCommand::Check { config } | DataCommand::Stats { config, .. }) => {
            Ok(of_sources(sources(config)?, context)?.map(|found| found.0))
        }
        Command::Config(ConfigCommand::Show { config, .. } | ConfigCommand::Check { config }) => {
            Ok(of_sources(sources(config)?, context)?.map(|found| found.0))
        }
        Command::Plugin(PluginCommand::Inspect(args) | PluginCommand::Check(args)) => {
            Ok(of_sources(sources(&ConfigArgs::default())?, context)?.map(|(mut stay, _)| {
                stay.plugins.push(PathBuf::from(&args.plugin));
                stay
            }))
        }
        Command::Plugin(PluginCommand::Test(args)) => {
            Ok(of_sources(sources(&ConfigArgs::default())?, context)?.map(|(mut stay, _)| {
                stay.plugins.push(PathBuf::from(&args.plugin));
                stay
            }))
        }
        Command::Study(args) => of_study(&args.config, &args.studies, !args.dry_run, context),
        Command::Reproduce(ReproduceCommand::Study(ReproduceStudyArgs {
            config: Some(config),
            studies,
            ..
        })) => of_study(config, studies, true, context),
        Command::Plugin(PluginCommand::Schema { .. }) => {
            Ok(of_sources(sources(&ConfigArgs::default())?, context)?.map(|found| found.0))
        }
        command if context.global.sandbox && loads_plugins(command) => Err(not_here()),
        _ => Ok(None),
    }
}

/// Whether a command that has no sandbox loads plugins. It is refused at once if the flag asks for the sandbox; if a
/// file does, plugins are refused when they are to be loaded.
fn loads_plugins(command: &Command) -> bool {
    match command {
        Command::StudyCell(_)
        | Command::Compare(_)
        | Command::Predict(_)
        | Command::SelfCheck(_)
        | Command::Plugin(PluginCommand::Probe { .. } | PluginCommand::Conform { .. })
        | Command::Config(ConfigCommand::Init { .. }) => true,
        Command::Data(command) => !matches!(command, DataCommand::Fetch { .. }),
        _ => false,
    }
}

/// The sources of a run that is there already, changed by `changes`.
fn of_run(run: &RunDir, changes: Sources) -> Sources {
    Sources { plugin: None, user: None, project: Some(run.file(pipeline::RUN_CONFIG)), ..changes }
}

/// Whether the configuration of `run` asks for the sandbox.
pub(super) fn is_wanted_by(run: &RunDir, context: &Context) -> Result<bool> {
    // One that died before its record began has none.
    let is_recorded = run.file(pipeline::RUN_CONFIG).exists();
    Ok(is_recorded && context.precautions(of_run(run, Sources::default()))?.sandbox)
}

/// What scoring the structures of runs needs: it is in the sandbox if one of them was.
fn of_runs(args: &ProxyCheckArgs, mut sources: Sources, context: &Context) -> Result<Option<Stay>> {
    let runs = RunDir::open_all(&args.runs, &args.out)?;
    for run in &runs {
        if is_wanted_by(run, context)? {
            demand(&mut sources, run.file(pipeline::RUN_CONFIG));
        }
    }
    let Some((mut stay, _)) = of_sources(sources, context)? else { return Ok(None) };
    // Names of runs are looked up inside as well.
    stay.read.push(args.out.clone());
    stay.read.extend(runs.iter().map(|run| run.path().to_owned()));
    Ok(Some(stay))
}

/// Lets `sources` ask for the sandbox because the file at `path` does.
fn demand(sources: &mut Sources, path: PathBuf) {
    let origin = Origin::File { path, line: None };
    sources.overrides.push(Layer::single(&["run", "sandbox"], Value::Bool(true), origin));
}

/// What a study in a folder of `studies` needs: it is in the sandbox with all its runs if the flag, the user's file or
/// settings of any run say so, or if it was before.
fn of_study(config: &Path, studies: &Path, is_made: bool, context: &Context) -> Result<Option<Stay>> {
    let definition = StudyConfig::read(config)?;
    let folder = Folder::at(studies.join(&definition.name));
    let mut sources = ConfigArgs::default().sources(&context.from_environment)?;
    if definition.settings().any(|settings| wants_sandbox(&settings)) || folder.wants_sandbox() {
        demand(&mut sources, config.to_owned());
    }
    let Some((mut stay, _)) = of_sources(sources, context)? else { return Ok(None) };
    stay.read.push(config.to_owned());
    stay.read.extend(definition.settings().flat_map(|settings| named(&settings)));
    // Workers have limits of their own below this one.
    let memory = definition.settings().filter_map(|settings| memory(&settings)).map(|size| size.0).max();
    stay.memory = memory.or(stay.memory);
    if is_made {
        folder.create()?;
        stay.folder = Some(folder.path().to_owned());
    } else {
        stay.read.push(folder.path().to_owned());
    }
    Ok(Some(stay))
}

/// What every command with a configuration needs, if it is to work in the sandbox.
fn of_sources(sources: Sources, context: &Context) -> Result<Option<(Stay, Precautions)>> {
    let precautions = context.precautions(sources.clone())?;
    if !precautions.sandbox {
        return Ok(None);
    }
    let mut plugins = context.search_path().places;
    plugins.extend(sources.plugin.filter(|plugin| plugin.contains('/')).map(PathBuf::from));
    let mut read = precautions.named.clone();
    read.extend(crate::config::user_file());
    read.extend(sources.project);
    let memory = precautions.memory.map(|size| size.0);
    Ok(Some((Stay { plugins, read, memory, ..Stay::default() }, precautions)))
}
