//! `nashost plugin verify`.

use std::path::Path;

use nashost_trust::PluginFile;
use serde::Serialize;
use serde_json::json;

use crate::{
    cli::{Context, args::Format, output::Table},
    error::{Exit, Result},
    plugin::{
        Found, Status,
        lock::{FILE_NAME, Lock, Pin},
    },
};

/// How a plugin stands to its pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Standing {
    /// It is the pinned one.
    Ok,
    /// It is another one, or must not be loaded for another reason.
    Refused,
    /// It is not pinned.
    NotPinned,
    /// It is pinned and was not found.
    Missing,
}

/// A row of the answer.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    plugin: String,
    version: Option<String>,
    standing: Standing,
    signed_by: Option<String>,
    why: String,
}

/// Compares every plugin that could be loaded with its pin, and looks for every pinned one.
pub(super) fn command(context: &Context) -> Result<Exit> {
    let lock = Lock::read(Path::new(FILE_NAME))?;
    let registry = context.registry()?;
    let mut rows: Vec<Row> = registry.found().iter().filter_map(|found| judge(found, &lock)).collect();
    let gone = lock.plugins.iter().filter(|pin| !rows.iter().any(|row| row.plugin == pin.id));
    let gone: Vec<Row> = gone.map(missing).collect();
    rows.extend(gone);
    let bad = rows.iter().filter(|row| row.standing != Standing::Ok).count();
    if context.out.format() == Format::Json {
        context.out.json(&rows)?;
    } else {
        let mut table = Table::new(&["plugin", "version", "standing", "signed by", "why"]);
        for row in &rows {
            table.row([
                json!(row.plugin),
                json!(row.version),
                json!(row.standing),
                json!(row.signed_by),
                json!(row.why),
            ]);
        }
        context.out.table(&table)?;
    }
    context.out.note(&match bad {
        0 => format!("all {} plugins are those that {FILE_NAME} pins", rows.len()),
        _ => format!("{bad} of {} plugins are not what {FILE_NAME} pins", rows.len()),
    });
    Ok(if bad == 0 { Exit::Ok } else { Exit::No })
}

/// Judges a file that would be loaded, but for its pin or for trust; others are never loaded.
fn judge(found: &Found, lock: &Lock) -> Option<Row> {
    let manifest = found.manifest.as_ref()?;
    let pin = lock.plugins.iter().find(|pin| pin.id == manifest.plugin.id);
    let (standing, why) = match (&found.status, pin) {
        (Status::Incompatible(_) | Status::Shadowed(_) | Status::Broken(_), _) => return None,
        (Status::Untrusted(why), _) => (Standing::Refused, why.clone()),
        (Status::Ok, None) => (Standing::NotPinned, "`nashost plugin trust` pins it".to_owned()),
        (Status::Ok, Some(pin)) => match PluginFile::open(&found.path) {
            Err(cause) => (Standing::Refused, format!("cannot be read: {cause}")),
            Ok(file) => match pin.difference(&Pin::of(&pin.id, &manifest.version, &file)) {
                Some(difference) => (Standing::Refused, difference),
                None => (Standing::Ok, String::new()),
            },
        },
    };
    Some(Row {
        plugin: manifest.plugin.id.clone(),
        version: Some(manifest.version.clone()),
        standing,
        signed_by: found.signed_by.clone(),
        why,
    })
}

fn missing(pin: &Pin) -> Row {
    Row {
        plugin: pin.id.clone(),
        version: Some(pin.version.clone()),
        standing: Standing::Missing,
        signed_by: None,
        why: format!("no usable plugin of this id was found; it was pinned as {}", pin.path.display()),
    }
}
