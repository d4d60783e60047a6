//! `nashost data`.

use std::path::Path;

use nashost_plugin_api::dataset::{Part, Record};
use nashost_report::Table;
use nashost_survey::{Look, Looked, Survey, preview};

use super::{
    Context,
    args::{ConfigArgs, DataCommand, Format},
};
use crate::{
    data::{Catalogue, Fetched, ImageSource, Limits, SplitFile, check, fetch, known_download, look_at_all},
    error::{Error, Exit, Result},
    pipeline::{PluginSource, split},
    run::{atomic, trial::ComponentRef},
};

/// Runs `nashost data …`.
pub(super) fn command(command: &DataCommand, context: &Context) -> Result<Exit> {
    match command {
        DataCommand::Check { config } => check_data(config, context),
        DataCommand::Stats { show_ids, config } => stats(*show_ids, config, context),
        DataCommand::Preview { file, show_ids, config } => write_preview(file, *show_ids, config, context),
        DataCommand::Split { file, config } => write_split(file, config, context),
        DataCommand::Fetch { name, to, url } => download(name, to, url.as_deref(), context),
    }
}

fn check_data(config: &ConfigArgs, context: &Context) -> Result<Exit> {
    let (registry, resolved) = context.resolve(config)?;
    let source = PluginSource::new(&registry, &resolved.config)?;
    let bar = context.progress.decode(source.records().map_err(as_answer)?.len() as u64);
    let split = |records: &[Record]| Ok(split(&resolved.config, records)?.0);
    let report = check(&source, split, &|_, _| bar.advance(1)).map_err(as_answer)?;
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

/// A dataset, every image of which was looked at.
struct Seen {
    dataset: String,
    catalogue: Catalogue,
    parts: Vec<Part>,
    looks: Vec<Option<Look>>,
}

impl Seen {
    /// Splits the dataset of `config` as a run would, and looks at every image.
    fn new(config: &ConfigArgs, context: &Context) -> Result<Self> {
        let (registry, resolved) = context.resolve(config)?;
        let source = PluginSource::new(&registry, &resolved.config)?;
        // Contradictions between labels are part of the answer, so they do not end the command.
        let catalogue = Catalogue { info: source.info()?, records: source.records()? };
        if catalogue.records.iter().any(|record| record.targets.len() != catalogue.info.labels.len()) {
            Catalogue::read(&source)?;
        }
        let (split, _) = split(&resolved.config, &catalogue.records)?;
        let images = catalogue.records.len();
        let bar = context.progress.decode(images as u64);
        let looks = look_at_all(&source, images, &|_, _| bar.advance(1));
        drop(bar);
        // Reasons may hold names of files; `data check` tells them.
        let looks: Vec<_> = looks.into_iter().map(|look| look.ok()).collect();
        let dataset = ComponentRef::from(&resolved.config.data).id;
        Ok(Self { dataset, catalogue, parts: split.parts, looks })
    }

    fn looked(&self) -> Looked<'_> {
        let Catalogue { info, records } = &self.catalogue;
        Looked { info, records, parts: &self.parts, looks: &self.looks }
    }

    /// Whether every image could be decoded.
    fn exit(&self) -> Exit {
        if self.looks.iter().all(Option::is_some) { Exit::Ok } else { Exit::No }
    }
}

fn stats(show_ids: bool, config: &ConfigArgs, context: &Context) -> Result<Exit> {
    let seen = Seen::new(config, context)?;
    let survey = Survey::new(&seen.looked(), show_ids);
    let tables = |form: fn(&Table) -> String| {
        context.out.text(&survey.tables().iter().map(form).collect::<Vec<_>>().join("\n"))
    };
    match context.out.format() {
        Format::Json => context.out.json(&survey)?,
        Format::Table => context.out.text(&survey.to_string())?,
        Format::Csv => tables(Table::csv)?,
        Format::Md => tables(Table::markdown)?,
        Format::Latex => tables(Table::latex)?,
        Format::Html => tables(Table::html)?,
    }
    Ok(seen.exit())
}

fn write_preview(file: &Path, show_ids: bool, config: &ConfigArgs, context: &Context) -> Result<Exit> {
    let seen = Seen::new(config, context)?;
    let survey = Survey::new(&seen.looked(), show_ids);
    let title = format!("Dataset {}", seen.dataset);
    let source = &seen.catalogue.info.source;
    let about = format!("{source} · written by nashost {}", env!("CARGO_PKG_VERSION"));
    let page = preview(&survey, &seen.looked(), &title, &about, show_ids);
    atomic::write(file, page.html().as_bytes())?;
    for finding in survey.findings() {
        context.out.warn(&finding);
    }
    context.out.text(&format!("{}\n", file.display()))?;
    Ok(seen.exit())
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
    let fetched = fetch(url.unwrap_or(known.url), known.checksum, &file, Limits::default(), &|done, all| {
        tracing::info!(done, all, "downloading");
    })?;
    let what = match fetched {
        Fetched::Bytes(_) => format!("wrote {}", file.display()),
        Fetched::AlreadyThere => format!("{} was there already, and is right", file.display()),
    };
    context.out.note(&format!("{what}; {}", known.source));
    Ok(Exit::Ok)
}
