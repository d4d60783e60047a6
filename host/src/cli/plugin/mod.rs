//! `nashost plugin`.

mod new;
mod test;
mod verify;

use std::path::{Path, PathBuf};

use nashost_plugin_api::component::Kind;
use nashost_trust::PluginFile;
use serde_json::{Value, json};

use crate::cli::{
    Context,
    args::{Format, PluginArgs, PluginCommand},
    output::{Style, Table},
};
use crate::{
    device,
    error::{Error, Exit, Result},
    plugin::{
        Found, Registry, Status, Trust,
        lock::{FILE_NAME, Lock, Pin},
        manifest,
        probe::{self, Probed},
    },
    run::atomic,
};

/// All kinds of component, in the order of tables.
const KINDS: [Kind; 5] =
    [Kind::Strategy, Kind::Architecture, Kind::Dataset, Kind::PredictionMetric, Kind::ArchitectureMetric];

/// Runs `nashost plugin …`.
pub(super) fn command(command: PluginCommand, context: &Context) -> Result<Exit> {
    match command {
        PluginCommand::List => list(context),
        PluginCommand::Inspect(args) => inspect(&args, context),
        PluginCommand::Check(args) => check(&args, context),
        PluginCommand::Schema { component } => schema(&component, context),
        PluginCommand::Test(args) => test::command(&args, context),
        PluginCommand::New(args) => new::command(&args, context),
        PluginCommand::Conform { task, report } => test::conform(&task, &report, context),
        PluginCommand::Trust { plugins } => trust(&plugins, context),
        PluginCommand::Verify => verify::command(context),
        PluginCommand::Path => path(context),
        PluginCommand::Probe { file } => {
            context.out.json(&probe::probe_here(&file, device::libtorch_abi())?)?;
            Ok(Exit::Ok)
        }
    }
}

fn status(found: &Found) -> (&'static str, Style, &str) {
    match &found.status {
        Status::Ok => ("ok", Style::Good, ""),
        Status::Incompatible(why) => ("incompatible", Style::Bad, why),
        Status::Untrusted(why) => ("untrusted", Style::Bad, why),
        Status::Shadowed(why) => ("shadowed", Style::Faint, why),
        Status::Broken(why) => ("broken", Style::Bad, why),
    }
}

fn list(context: &Context) -> Result<Exit> {
    let registry = context.registry()?;
    if context.out.format() == Format::Json {
        context.out.json(registry.found())?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["plugin", "version", "status", "signed by", "components", "why", "file"]);
    for found in registry.found() {
        let (name, _, why) = status(found);
        let manifest = found.manifest.as_ref();
        let components: Vec<String> =
            manifest.iter().flat_map(|m| m.plugin.components.values().flatten().cloned()).collect();
        table.row([
            json!(found.id()),
            json!(manifest.map(|m| m.version.as_str())),
            json!(name),
            json!(found.signed_by),
            json!(components.join(", ")),
            json!(why),
            json!(found.path),
        ]);
    }
    context.out.table(&table)?;
    context.out.note("plugins are trusted code: they run with your privileges (docs/trust.md)");
    Ok(Exit::Ok)
}

fn path(context: &Context) -> Result<Exit> {
    let places = context.search_path().places;
    let lines: String = places.iter().map(|place| format!("{}\n", place.display())).collect();
    context.out.text(&lines)?;
    Ok(Exit::Ok)
}

/// A plugin file: the argument itself, or the file of the plugin of that id, the one that runs would take if there
/// are several.
fn file_of(plugin: &str, registry: &Registry) -> Result<PathBuf> {
    if plugin.contains('/') || plugin.ends_with(".so") {
        return Ok(PathBuf::from(plugin));
    }
    let of_that_id = registry.found().iter().filter(|found| found.id() == plugin);
    if let Some(found) = of_that_id.min_by_key(|found| found.status != Status::Ok) {
        return Ok(found.path.clone());
    }
    // For the message with the nearest name.
    registry.manifest(plugin).map(|_| PathBuf::new())
}

/// The file of this program, for children.
fn this_program() -> Result<PathBuf> {
    std::env::current_exe()
        .map_err(|e| Error::new(Exit::Environment, "E0419", format!("nashost does not find itself: {e}")))
}

/// Loads a plugin in a child process, where a crash costs nothing.
fn probe(file: &Path) -> Result<Probed> {
    let mut child = std::process::Command::new(this_program()?);
    child.args(["plugin", "probe"]).arg(file);
    probe::probe_child(child, file, probe::TIMEOUT)
}

fn refused(file: &Path, code: &'static str, why: impl std::fmt::Display) -> Error {
    Error::new(Exit::Plugin, code, format!("plugin {}: {why}", file.display()))
}

/// The error by which runs refuse to load a plugin that is not trusted; what cannot be read is told elsewhere.
fn objection(file: &Path, registry: &Registry) -> Option<Error> {
    let content = PluginFile::open(file).ok()?;
    let manifest = manifest::parse(content.bytes()).ok()?;
    let objection = registry.trust().judge(&content, &manifest).objection?;
    Some(refused(file, "E0425", objection))
}

fn inspect(args: &PluginArgs, context: &Context) -> Result<Exit> {
    let registry = context.registry()?;
    let file = file_of(&args.plugin, &registry)?;
    let content = PluginFile::open(&file).map_err(|e| refused(&file, "E0411", e))?;
    let manifest = manifest::parse(content.bytes()).map_err(|e| refused(&file, "E0411", e))?;
    let (sha256, size) = (content.sha256(), content.bytes().len());
    let verdict = registry.trust().judge(&content, &manifest);
    if let Some(objection) = verdict.objection {
        return Err(refused(&file, "E0425", objection));
    }
    let probed = probe(&file)?;
    if context.out.format() == Format::Json {
        context.out.json(&json!({
            "file": file, "sha256": sha256, "size": size, "signed_by": verdict.signed_by, "manifest": manifest,
            "components": probed.components,
        }))?;
        return Ok(Exit::Ok);
    }
    let about = &manifest.plugin;
    let yes_no = |value: Option<bool>| value.map_or("not said", |value| if value { "yes" } else { "no" });
    let mut text = format!(
        "{} {}\n{}\n\nfile         {}\nsha256       {sha256}\nsigned by    {}\nABI          {} (nashost-plugin-api {})\nlibtorch     {}\nuses images  {}\nlicence      {}\nrecipe       {}\n",
        context.out.paint(Style::Strong, &about.id),
        manifest.version,
        about.description,
        file.display(),
        verdict.signed_by.as_deref().unwrap_or("nobody that you know"),
        manifest.abi_major,
        manifest.sdk,
        manifest.libtorch.as_deref().unwrap_or("not used"),
        yes_no(about.uses_data),
        about.licence.as_deref().unwrap_or("not said"),
        yes_no(Some(about.recipe.is_some())),
    );
    for component in &probed.components {
        let kind = json!(component.kind);
        text += &format!(
            "\n{} ({})\n  {}\n  extensions: {}\n  settings:   {}\n",
            context.out.paint(Style::Strong, &component.id),
            kind.as_str().unwrap_or_default(),
            component.description,
            component.extensions.join(", "),
            settings(&component.config_schema),
        );
    }
    context.out.text(&text)?;
    Ok(Exit::Ok)
}

fn settings(schema: &Value) -> String {
    let properties = schema.get("properties").and_then(Value::as_object);
    let names: Vec<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn check(args: &PluginArgs, context: &Context) -> Result<Exit> {
    let registry = context.registry()?;
    let file = file_of(&args.plugin, &registry)?;
    let manifest =
        manifest::read(&file).map_err(|e| Error { exit: Exit::No, ..refused(&file, "E0411", e) })?;
    let mut problems = Vec::new();
    if let Err(misfit) = manifest::fits(&manifest) {
        problems.push(refused(&file, "E0411", misfit));
    }
    problems.extend(objection(&file, &registry));
    if problems.is_empty() {
        match probe(&file) {
            Err(error) => problems.push(error),
            Ok(probed) => {
                let differences = probed.differences(&manifest.plugin.components);
                problems.extend(differences.map(|difference| refused(&file, "E0411", difference)));
            }
        }
    }
    if let Some(error) = Error::all(problems) {
        return Err(Error { exit: Exit::No, ..error });
    }
    context.out.text(&format!(
        "{} {}: fits this host\n",
        context.out.paint(Style::Good, "✓"),
        manifest.plugin.id
    ))?;
    Ok(Exit::Ok)
}

fn schema(component: &str, context: &Context) -> Result<Exit> {
    let registry = context.registry()?;
    let kinds: Vec<Kind> =
        KINDS.into_iter().filter(|&kind| registry.ids(kind).iter().any(|id| id == component)).collect();
    let [kind] = kinds[..] else {
        let all: Vec<String> = KINDS.into_iter().flat_map(|kind| registry.ids(kind)).collect();
        let error = Error::new(Exit::Plugin, "E0401", format!("no component `{component}`"));
        return Err(match crate::config::suggest::help(component, all.iter().map(String::as_str)) {
            Some(help) => error.help(help),
            None => error,
        });
    };
    context.out.json(&registry.info(kind, component)?.config_schema)?;
    Ok(Exit::Ok)
}

fn trust(plugins: &[String], context: &Context) -> Result<Exit> {
    let registry = Registry::new(&context.search_path(), Trust::default(), device::libtorch_abi());
    let files: Vec<PathBuf> = if plugins.is_empty() {
        registry.found().iter().filter(|f| f.status == Status::Ok).map(|f| f.path.clone()).collect()
    } else {
        plugins.iter().map(|plugin| file_of(plugin, &registry)).collect::<Result<_>>()?
    };
    let path = Path::new(FILE_NAME);
    let mut lock = Lock::read(path)?;
    for file in files {
        let content = PluginFile::open(&file).map_err(|e| refused(&file, "E0411", e))?;
        let manifest = manifest::parse(content.bytes()).map_err(|e| refused(&file, "E0411", e))?;
        if let Some(objection) = registry.trust().judge(&content, &manifest).objection {
            return Err(refused(&file, "E0411", objection));
        }
        let pin = Pin::of(&manifest.plugin.id, &manifest.version, &content);
        context.out.note(&format!("pinned {} {}", pin.id, pin.sha256));
        lock.pin(pin);
    }
    atomic::write(path, lock.render()?.as_bytes())?;
    context.out.note(&format!("wrote {FILE_NAME}; `--locked` refuses everything else"));
    Ok(Exit::Ok)
}
