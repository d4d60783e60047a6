//! What of a run's folder is kept.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{atomic, dir::RunDir, fault::io_error, state::State};
use crate::error::Result;

/// A file that nothing needs any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// Its path, relative to the run's folder.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Why nothing needs it.
    pub why: &'static str,
}

/// Lists what can go without loss: rests of files that were being written, states of trials that have
/// ended, checkpoints that were superseded, and, with `keep`, checkpoints of all but the best trials.
///
/// # Errors
///
/// Fails if the folder cannot be read.
pub fn garbage(run: &RunDir, state: &State, keep: Option<usize>) -> Result<Vec<Garbage>> {
    let named: BTreeSet<PathBuf> =
        state.trials.values().flat_map(|t| t.checkpoints.values()).map(|c| c.path.clone()).collect();
    let others: BTreeSet<String> = keep.map(|keep| all_but_best(state, keep)).unwrap_or_default();
    let mut garbage = Vec::new();
    for path in files(run.path(), Path::new(""))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let trial = path.strip_prefix("ckpt").ok().and_then(|rest| rest.iter().next());
        let trial = trial.map(|name| name.to_string_lossy().into_owned());
        let ended = trial.as_ref().and_then(|name| {
            let trial = state.trials.values().find(|trial| trial.request.name() == *name)?;
            trial.ended.as_ref()
        });
        let why = if atomic::is_temporary(&name) {
            "it was being written when its process died"
        } else if trial.as_ref().is_some_and(|trial| others.contains(trial)) {
            "its trial is not among the best"
        } else if ended.is_some_and(|(_, end)| end.is_ok()) && !named.contains(&path) {
            "its trial has ended"
        } else {
            continue;
        };
        let size = fs::metadata(run.file(&path)).map_or(0, |meta| meta.len());
        garbage.push(Garbage { path, size, why });
    }
    Ok(garbage)
}

/// Removes files.
///
/// # Errors
///
/// Fails at the first file that cannot be removed.
pub fn remove(run: &RunDir, garbage: &[Garbage]) -> Result<()> {
    for file in garbage {
        let path = run.file(&file.path);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_error("remove", &path, &cause));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Names of the trials with a result that are not among the `keep` best.
fn all_but_best(state: &State, keep: usize) -> BTreeSet<String> {
    state.ranked().into_iter().skip(keep).map(|trial| trial.request.name()).collect()
}

fn files(root: &Path, below: &Path) -> Result<Vec<PathBuf>> {
    let folder = root.join(below);
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|e| io_error("read", &folder, &e))? {
        let entry = entry.map_err(|e| io_error("read", &folder, &e))?;
        let path = below.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(root, &path)?),
            _ => found.push(path),
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing;

    fn paths(garbage: &[Garbage]) -> Vec<String> {
        garbage.iter().map(|file| file.path.display().to_string()).collect()
    }

    #[test]
    fn only_what_nothing_needs_is_garbage() {
        let out = tempfile::tempdir().unwrap();
        let claim = RunDir::create(out.path(), "a").unwrap();
        let run = claim.dir();
        let records: Vec<_> =
            testing::run().into_iter().zip(1..).map(|(event, seq)| testing::record(seq, event)).collect();
        let state = State::fold(&records).unwrap();
        let kept = state.trials[&1].checkpoints.values().next().unwrap().path.clone();
        for path in [
            kept.to_str().unwrap(),
            "ckpt/T0001/state.safetensors",
            "ckpt/T0002/state.safetensors",
            ".nashost-abc.tmp",
            "log/T0001.log",
        ] {
            fs::create_dir_all(run.file(path).parent().unwrap()).unwrap();
            fs::write(run.file(path), "12345").unwrap();
        }
        let found = garbage(run, &state, None).unwrap();
        assert_eq!(paths(&found), [".nashost-abc.tmp", "ckpt/T0001/state.safetensors"]);
        assert_eq!(found[0].size, 5);
        assert!(
            paths(&garbage(run, &state, Some(1)).unwrap())
                .iter()
                .all(|path| *path != kept.display().to_string())
        );
        let none_kept = garbage(run, &state, Some(0)).unwrap();
        assert!(paths(&none_kept).contains(&kept.display().to_string()), "{none_kept:?}");
        remove(run, &none_kept).unwrap();
        assert!(!run.file(&kept).exists() && run.file("ckpt/T0002/state.safetensors").exists());
        remove(run, &none_kept).unwrap();
    }
}
