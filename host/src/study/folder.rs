//! The folder of a study.

use std::{
    fs::{self, File},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::{cell::Cell, config::StudyConfig, plan::Plan};
use crate::{
    config::Config,
    error::{Error, Exit, Result},
    pipeline,
    run::{
        MIN_FREE, RunDir, RunStatus, atomic,
        events::{self, Reader},
        io_error, preflight,
    },
};

/// The runs, in the study's folder.
pub(super) const RUNS: &str = "runs";
const CELLS: &str = "cells";
const SPLITS: &str = "splits";
const LOGS: &str = "log";
const DEFINITION: &str = "study.json";
const LOCK: &str = "lock";

/// Path of the split of a fold, in the study's folder.
pub(super) fn split_file(dataset: &str, fold: u32) -> String {
    format!("{SPLITS}/{dataset}.f{fold}.json")
}

/// The folder of a study: its definition, its cells and their runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// The kernel's lock on a study, held while the value lives.
#[must_use = "the lock is let go when this is dropped"]
pub(crate) struct StudyLock {
    _file: File,
}

impl Folder {
    /// The folder at `path`, whether it exists or not.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the study.
    pub(crate) fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Log of a cell's process.
    pub(crate) fn log(&self, cell: &str) -> PathBuf {
        self.path.join(LOGS).join(format!("{cell}.log"))
    }

    /// Makes the folder, for its owner alone.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be made (E0702).
    pub(crate) fn create(&self) -> Result<()> {
        private(&self.path)
    }

    /// Whether a run was planned for the sandbox.
    pub(crate) fn wants_sandbox(&self) -> bool {
        let cells = fs::read_dir(self.path.join(CELLS)).into_iter().flatten().flatten();
        cells.filter_map(|cell| read_config(&cell.path()).ok()).any(|config| config.run.sandbox)
    }

    /// Writes what is new of the plan, and checks the rest against what the study was.
    ///
    /// Cells that the study had keep the number of threads that they were planned with. Seeds, methods
    /// and datasets may be added; what is there may not become something else.
    ///
    /// # Errors
    ///
    /// Fails if a cell or a split is not what it was (E0912), another process has the study (E0913), or
    /// the disk refuses.
    pub(crate) fn prepare(&self, study: &StudyConfig, plan: &mut Plan) -> Result<StudyLock> {
        preflight(&self.path, MIN_FREE)?;
        for name in [RUNS, CELLS, SPLITS, LOGS] {
            private(&self.path.join(name))?;
        }
        let lock = self.lock()?;
        let mut changes = Vec::new();
        for (name, split) in &plan.splits {
            let path = self.file(name);
            if !path.exists() {
                split.write(&path)?;
            } else if crate::data::SplitFile::read(&path)? != *split {
                changes.push(format!("{name}: the data or the seed of the split changed"));
            }
        }
        for cell in &mut plan.cells {
            let path = self.config_of(&cell.key.id());
            if !path.exists() {
                atomic::write(&path, cell.config.to_toml()?.as_bytes())?;
                continue;
            }
            let before = read_config(&path)?;
            cell.config.run.threads = before.run.threads;
            cell.config.run.jobs = before.run.jobs;
            let of_cell = pipeline::config_differences(&before, &cell.config);
            changes.extend(of_cell.into_iter().map(|change| format!("{}: {change}", cell.key.id())));
        }
        if !changes.is_empty() {
            let shown = changes.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
            let message = format!(
                "{} already holds this study with other settings ({} differences):\n{shown}",
                self.path.display(),
                changes.len()
            );
            return Err(Error::new(Exit::Identity, "E0912", message).help(
                "give the changed study another `name`, or remove the folder if nothing in it is needed",
            ));
        }
        atomic::write_json(&self.file(DEFINITION), study)?;
        Ok(lock)
    }

    /// Takes the study for writing.
    fn lock(&self) -> Result<StudyLock> {
        let path = self.file(LOCK);
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|e| io_error("open", &path, &e))?;
        file.try_lock().map_err(|_| {
            let message = format!("another process works on the study in {}", self.path.display());
            Error::new(Exit::Usage, "E0913", message).help("wait for it, or stop it first")
        })?;
        Ok(StudyLock { _file: file })
    }

    /// Configuration of the cell `id`.
    pub(crate) fn config_of(&self, id: &str) -> PathBuf {
        self.path.join(CELLS).join(format!("{id}.toml"))
    }

    /// Folder of the runs.
    pub(crate) fn runs_folder(&self) -> PathBuf {
        self.path.join(RUNS)
    }

    /// The run of the cell `id`: the newest that has a record, if a process was killed before its run
    /// began.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be read.
    pub(crate) fn run_of(&self, id: &str) -> Result<Option<RunDir>> {
        Ok(newest(&RunDir::list(&self.runs_folder())?, id))
    }

    /// The run of each cell that has one, in the order of `cells`.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be read.
    pub(crate) fn runs(&self, cells: &[Cell]) -> Result<Vec<Option<RunDir>>> {
        let runs = RunDir::list(&self.runs_folder())?;
        Ok(cells.iter().map(|cell| newest(&runs, &cell.key.id())).collect())
    }
}

/// The newest run of the cell `id` whose record has begun: a process that is killed before that leaves a
/// folder that nobody can take up.
fn newest(runs: &[RunDir], id: &str) -> Option<RunDir> {
    let begun = |run: &&RunDir| {
        let log = Reader::open(&run.file(events::FILE));
        log.is_ok_and(|mut log| log.next().is_some())
    };
    runs.iter().rev().filter(|run| run.name() == id).find(begun).cloned()
}

/// Where a cell stands.
pub(crate) fn status(run: Option<&RunDir>) -> Result<Option<RunStatus>> {
    run.map(RunStatus::of).transpose()
}

/// Makes a folder that is not there yet, for its owner alone.
fn private(folder: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|e| io_error("create the folder", folder, &e))
}

fn read_config(path: &Path) -> Result<Config> {
    let damaged = |why: String| {
        Error::new(Exit::Environment, "E0912", format!("{}: {why}", path.display()))
            .help("restore the file, or remove it and the runs of that name")
    };
    let text = fs::read_to_string(path).map_err(|error| damaged(error.to_string()))?;
    toml::from_str(&text).map_err(|error| damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{events::EventLog, testing};

    #[test]
    fn a_run_that_was_killed_before_its_record_began_is_none() {
        let study = tempfile::tempdir().unwrap();
        let folder = Folder::at(study.path().to_owned());
        let run = RunDir::create(&folder.runs_folder(), "cell").unwrap().dir().clone();
        let log = run.file(events::FILE);
        assert_eq!(folder.run_of("cell").unwrap(), None, "there is no record");
        for text in ["", "{\"seq\":1,"] {
            fs::write(&log, text).unwrap();
            assert_eq!(folder.run_of("cell").unwrap(), None, "`{text}` is no whole line");
        }
        fs::write(&log, "damaged\n").unwrap();
        assert_eq!(folder.run_of("cell").unwrap(), Some(run.clone()), "damage is no reason to start anew");
        fs::remove_file(&log).unwrap();
        EventLog::create(&log).unwrap().append(testing::run()).unwrap();
        assert_eq!(folder.run_of("cell").unwrap(), Some(run));
    }
}
