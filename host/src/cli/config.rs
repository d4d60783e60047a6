//! `nashost config`.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    Context,
    args::{ConfigCommand, Format},
    output::Table,
};
use crate::{
    config::{Resolved, Sources, dotted, flatten, inline, schemas, template},
    error::{Error, Exit, Result},
};

/// Runs `nashost config …`.
pub(super) fn command(command: ConfigCommand, context: &Context) -> Result<Exit> {
    match command {
        ConfigCommand::Show { config, origin: true } => origins(&context.resolve(&config)?.1, context)?,
        ConfigCommand::Show { config, origin: false } => show(&context.resolve(&config)?.1, context)?,
        ConfigCommand::Check { config } => {
            context.resolve(&config)?;
            context.out.note("the configuration has no problems");
        }
        ConfigCommand::Schema => context.out.json(&schemas::config())?,
        ConfigCommand::Init { file, config } => {
            let all = config.sources(&context.from_environment)?;
            // What a project file says already does not belong into a new one; what it says of plugins holds.
            let wanted = Sources { project: config.config, ..all.clone() };
            init(&file, &context.resolve_with(wanted, all)?.1, context)?;
        }
    }
    Ok(Exit::Ok)
}

fn show(resolved: &Resolved, context: &Context) -> Result<()> {
    match context.out.format() {
        Format::Json => context.out.json(&resolved.config),
        _ => context.out.text(&resolved.config.to_toml()?),
    }
}

fn origins(resolved: &Resolved, context: &Context) -> Result<()> {
    let mut table = Table::new(&["key", "value", "origin"]);
    for (pointer, value) in flatten(&json!(resolved.config)) {
        let value = match context.out.format() {
            Format::Json => value,
            _ => Value::String(inline(&value)),
        };
        table.row([json!(dotted(&pointer)), value, json!(resolved.origins.of(&pointer).to_string())]);
    }
    context.out.table(&table)
}

fn init(file: &Path, resolved: &Resolved, context: &Context) -> Result<()> {
    let text = template(resolved);
    if file == Path::new("-") {
        return context.out.text(&text);
    }
    if file.exists() && !context.global.yes {
        let message = format!("{} exists", file.display());
        return Err(
            Error::new(Exit::Usage, "E0210", message).help("name another file, or overwrite it with `-y`")
        );
    }
    std::fs::write(file, text).map_err(|cause| {
        Error::new(Exit::Environment, "E0211", format!("cannot write {}: {cause}", file.display()))
    })?;
    context.out.note(&format!("wrote {}", file.display()));
    Ok(())
}
