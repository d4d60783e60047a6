//! `nashost data`.

use std::path::Path;

use super::{
    Context,
    args::{ConfigArgs, DataCommand, Format},
};
use crate::{
    data::{Catalogue, ImageSource, Limits, SplitFile, check, fetch, known_download},
    error::{Error, Exit, Result},
    pipeline::{PluginSource, split},
};

/// Runs `nashost data …`.
pub(super) fn command(command: &DataCommand, context: &Context) -> Result<Exit> {
    match command {
        DataCommand::Check { config } => check_data(config, context),
        DataCommand::Split { file, config } => write_split(file, config, context),
        DataCommand::Fetch { name, to, url } => download(name, to, url.as_deref(), context),
    }
}

fn check_data(config: &ConfigArgs, context: &Context) -> Result<Exit> {
    let (registry, resolved) = context.resolve(config)?;
    let source = PluginSource::new(&registry, &resolved.config)?;
    let bar = context.progress.decode(source.records().map_err(as_answer)?.len() as u64);
    let report = check(&source, &|_, _| bar.advance(1)).map_err(as_answer)?;
    drop(bar);
    match context.out.format() {
        Format::Json => context.out.json(&report)?,
        _ => context.out.text(&report.to_string())?,
    }
    Ok(if report.has_errors() { Exit::No } else { Exit::Ok })
}

/// An index that cannot be read is what the check found, and its advice was followed.
fn as_answer(error: Error) -> Error {
    if error.code == "E0300" { Error { exit: Exit::No, help: None, ..error } } else { error }
}

fn write_split(file: &Path, config: &ConfigArgs, context: &Context) -> Result<Exit> {
    let (registry, resolved) = context.resolve(config)?;
    let catalogue = Catalogue::read(&PluginSource::new(&registry, &resolved.config)?)?;
    let (split, origin) = split(&resolved.config, &catalogue.records)?;
    SplitFile::new(&split, &catalogue.records).write(file)?;
    context.out.note(&format!("wrote {} ({origin}), sha256 {}", file.display(), split.hash));
    Ok(Exit::Ok)
}

fn download(name: &str, to: &Path, url: Option<&str>, context: &Context) -> Result<Exit> {
    let known = known_download(name)?;
    let file = to.join(known.file);
    fetch(url.unwrap_or(known.url), known.checksum, &file, Limits::default(), &|done, all| {
        tracing::info!(done, all, "downloading");
    })?;
    context.out.note(&format!("wrote {}; {}", file.display(), known.source));
    Ok(Exit::Ok)
}
