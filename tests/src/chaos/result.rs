//! What the run in peace came to, and whether another came to the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::round::recorded;
use crate::{Run, Sandbox};

/// Folders whose files are the same each time a run is made.
const FOLDERS: [&str; 3] = ["archs", "ckpt", "predictions"];
/// Files of which that is true.
const FILES: [&str; 3] = ["summary.json", "results.csv", "split.json"];
/// Columns of `search.csv` that differ each time.
const OWN: [&str; 2] = ["run_id", "seconds"];

/// What a run came to that nothing disturbed.
#[derive(Debug)]
pub(super) struct Peace {
    files: BTreeMap<PathBuf, Vec<u8>>,
    search: Vec<BTreeMap<String, String>>,
    names: BTreeSet<PathBuf>,
}

impl Peace {
    pub(super) fn of(run: &Run) -> Self {
        Self { files: files(run), search: search(run), names: names(run) }
    }

    /// Says in what the run in `place` differs, once `nashost clean` has tidied it.
    pub(super) fn compare(&self, place: &Sandbox, line: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let Some(run) = recorded(place).next() else { return vec!["there is no run".to_owned()] };
        let id = run.0.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let strays: BTreeSet<PathBuf> = names(&run).into_iter().filter(|name| is_temporary(name)).collect();
        let listed = place.output(&format!("clean {id} --dry-run --format json"));
        for stray in strays.iter().filter(|stray| !listed.contains(&stray.display().to_string())) {
            problems.push(format!("`nashost clean` does not name {}", stray.display()));
        }
        place.output(&format!("clean {id}"));
        let now = names(&run);
        problems.extend(now.difference(&self.names).map(|name| format!("{} should not be", name.display())));
        problems.extend(self.names.difference(&now).map(|name| format!("{} is missing", name.display())));
        let files = files(&run);
        for (name, bytes) in &self.files {
            if files.get(name).is_some_and(|now| now != bytes) {
                problems.push(format!("{} differs from that of the undisturbed run", name.display()));
            }
        }
        if search(&run) != self.search {
            problems.push("search.csv differs from that of the undisturbed run".to_owned());
        }
        for entry in fs::read_dir(run.file("log")).into_iter().flatten().flatten() {
            let text = fs::read(entry.path()).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains("panicked") {
                problems.push(format!("there was a panic: {}", entry.path().display()));
            }
        }
        problems.extend(repeated(place, &id, line));
        problems
    }
}

/// Has `nashost` itself make the run again and compare.
fn repeated(place: &Sandbox, id: &str, line: &str) -> Option<String> {
    let output = place.nashost(&format!("repeat {id} --format json")).output().expect("nashost starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let same = serde_json::from_str(&said).is_ok_and(|value: serde_json::Value| value["same"] == true);
    (!same).then(|| {
        format!("`nashost repeat` of `{line}` says: {said}{}", String::from_utf8_lossy(&output.stderr))
    })
}

/// Contents by name, without the run's own.
fn files(run: &Run) -> BTreeMap<PathBuf, Vec<u8>> {
    let id = run.0.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let below = FOLDERS.iter().flat_map(|folder| walk(&run.0, Path::new(folder)));
    let names = below.chain(FILES.iter().map(PathBuf::from)).filter(|name| !is_temporary(name));
    let content = |name: PathBuf| {
        let bytes = fs::read(run.0.join(&name)).ok()?;
        // Weights have no name in them, and are no text.
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => text.replace(&id, "RUN").into_bytes(),
            Err(error) => error.into_bytes(),
        };
        Some((name, bytes))
    };
    names.filter_map(content).collect()
}

fn search(run: &Run) -> Vec<BTreeMap<String, String>> {
    let mut rows = run.table("search.csv");
    rows.iter_mut().for_each(|row| row.retain(|column, _| !OWN.contains(&column.as_str())));
    rows
}

/// Names of all files, but for logs: a log is only there if there was something to say.
fn names(run: &Run) -> BTreeSet<PathBuf> {
    walk(&run.0, Path::new("")).into_iter().filter(|name| !name.starts_with("log")).collect()
}

fn walk(root: &Path, below: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(below)).into_iter().flatten().flatten();
    let names = entries.flat_map(|entry| {
        let name = below.join(entry.file_name());
        if entry.path().is_dir() { walk(root, &name) } else { vec![name] }
    });
    names.collect()
}

fn is_temporary(name: &Path) -> bool {
    name.extension().is_some_and(|extension| extension == "tmp")
}
