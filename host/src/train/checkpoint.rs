//! Which weights are kept, and where.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use nashost_plugin_api::metric::MetricReport;
use nashost_plugin_torch::{Network, Weights};
use sha2::{Digest as _, Sha256};

use super::{error::OrFail as _, job::Trained, state::hex};
use crate::{
    error::{Error, Exit, Result},
    run::{
        atomic,
        trial::{CheckpointReport, TrialEvent},
    },
};

/// Kind of the checkpoint with the best subset accuracy on the validation part.
pub const BEST_SUBSET_ACCURACY: &str = "best-subset-accuracy";
/// Kind of the checkpoint with the best macro F1 on the validation part.
pub const BEST_MACRO_F1: &str = "best-macro-f1";
/// Kind of the checkpoint after the last epoch.
pub const LAST: &str = "last";

/// A kind of checkpoint, the metric that decides, and its best report so far.
#[derive(Debug)]
struct Best {
    kind: &'static str,
    metric: &'static str,
    report: Option<CheckpointReport>,
}

impl Best {
    /// Whether an epoch with `value` replaces the one kept: by strict improvement, so the first
    /// of equals stays. Undefined is worse than any number; the first epoch is always kept.
    fn improves(&self, value: Option<f64>) -> bool {
        let Some(kept) = &self.report else { return true };
        match (value, kept.value) {
            (Some(new), Some(old)) => new > old,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

/// The checkpoints of one trial.
///
/// A file is never replaced by other weights: those of a later epoch get a name of their own, and
/// [`Checkpoints::sweep`] removes the earlier file once nothing names it any more.
#[derive(Debug)]
pub struct Checkpoints<'a> {
    network: &'a Network,
    run_dir: &'a Path,
    /// Relative to `run_dir`.
    folder: PathBuf,
    best: [Best; 2],
    last: Option<CheckpointReport>,
}

impl<'a> Checkpoints<'a> {
    /// Prepares `ckpt/<trial>` in `run_dir`.
    ///
    /// # Errors
    ///
    /// Fails with E0508 if the folder cannot be made.
    pub fn new(network: &'a Network, run_dir: &'a Path, trial: &str) -> Result<Self> {
        let folder = folder(trial);
        let path = run_dir.join(&folder);
        fs::create_dir_all(&path).map_err(|error| unwritable(&path, error))?;
        let best = [(BEST_SUBSET_ACCURACY, "subset_accuracy"), (BEST_MACRO_F1, "macro_f1")]
            .map(|(kind, metric)| Best { kind, metric, report: None });
        Ok(Self { network, run_dir, folder, best, last: None })
    }

    /// Takes up what an earlier process told.
    ///
    /// # Errors
    ///
    /// Fails with E0511 if a file is missing or is not what was reported.
    pub(super) fn restore(&mut self, events: &[TrialEvent]) -> Result<()> {
        for event in events {
            let TrialEvent::Checkpoint(report) = event else { continue };
            match self.best.iter_mut().find(|best| best.kind == report.kind) {
                Some(best) => best.report = Some(report.clone()),
                None => self.last = Some(report.clone()),
            }
        }
        for report in self.reports() {
            let path = self.run_dir.join(&report.path);
            let problem = match sha256(&path) {
                Ok(found) if found == report.sha256 => continue,
                Ok(_) => "it is not what was written".to_owned(),
                Err(error) => error.to_string(),
            };
            let message = format!("checkpoint {} is damaged: {problem}", path.display());
            return Err(Error::new(Exit::Environment, "E0511", message)
                .help("remove `state.safetensors` beside it to train this trial from its start"));
        }
        Ok(())
    }

    /// Saves `weights` under each kind whose metric improved in `validation`.
    ///
    /// # Errors
    ///
    /// Fails with E0505 if a metric is missing, E0508 if a file cannot be written; the files of
    /// earlier epochs stay as they were.
    pub fn consider(
        &mut self,
        epoch: u32,
        validation: &MetricReport,
        weights: &Weights,
    ) -> Result<Vec<CheckpointReport>> {
        let mut saved = Vec::new();
        for position in 0..self.best.len() {
            let Best { kind, metric, .. } = self.best[position];
            let value = validation.overall.get(metric).ok_or_else(|| {
                Error::new(Exit::Usage, "E0505", format!("validation did not report `{metric}`"))
                    .help("keep the plugin `metrics` installed: it decides which weights are kept")
            })?;
            if self.best[position].improves(value.value) {
                let name = format!("{kind}-{epoch:04}.safetensors");
                let report = self.save(kind, &name, epoch, value.value, weights)?;
                self.best[position].report = Some(report.clone());
                saved.push(report);
            }
        }
        Ok(saved)
    }

    /// Saves `weights` as [`LAST`].
    ///
    /// # Errors
    ///
    /// Fails with E0508 if the file cannot be written.
    pub fn last(&mut self, epoch: u32, weights: &Weights) -> Result<CheckpointReport> {
        let report = self.save(LAST, &format!("{LAST}.safetensors"), epoch, None, weights)?;
        self.last = Some(report.clone());
        Ok(report)
    }

    /// Removes files of earlier epochs that have a successor, and what a killed process left half
    /// written. To be called when what is kept has been told.
    pub fn sweep(&self) {
        let folder = self.run_dir.join(&self.folder);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                return tracing::warn!("cannot look for old files in {}: {error}", folder.display());
            }
        };
        for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            let superseded = self.best.iter().filter_map(|best| best.report.as_ref()).any(|kept| {
                kept.path.file_name().is_some_and(|kept| kept != name.as_str()) && is_of(&name, &kept.kind)
            });
            if superseded || atomic::is_temporary(&name) {
                let path = folder.join(&name);
                if let Err(error) = fs::remove_file(&path) {
                    tracing::warn!("cannot remove {}: {error}", path.display());
                }
            }
        }
    }

    /// Returns the three checkpoints of a complete training; `None` before that.
    pub(super) fn trained(&self) -> Option<Trained> {
        let [subset_accuracy, macro_f1] = &self.best;
        Some(Trained {
            best_subset_accuracy: subset_accuracy.report.clone()?,
            best_macro_f1: macro_f1.report.clone()?,
            last: self.last.clone()?,
        })
    }

    fn reports(&self) -> impl Iterator<Item = &CheckpointReport> {
        self.best.iter().filter_map(|best| best.report.as_ref()).chain(&self.last)
    }

    fn save(
        &self,
        kind: &str,
        name: &str,
        epoch: u32,
        value: Option<f64>,
        weights: &Weights,
    ) -> Result<CheckpointReport> {
        let path = self.folder.join(name);
        let data = weights.to_safetensors(self.network).or_fail("saving a checkpoint")?;
        atomic::write_with(&self.run_dir.join(&path), |file| file.write_all(&data)).map_err(not_written)?;
        Ok(CheckpointReport {
            kind: kind.to_owned(),
            epoch,
            path,
            sha256: hex(&Sha256::digest(&data)),
            value,
        })
    }
}

/// Folder of a trial's checkpoints, relative to the run directory.
pub(super) fn folder(trial: &str) -> PathBuf {
    Path::new("ckpt").join(trial)
}

/// Whether a file is a checkpoint of `kind` after some epoch.
fn is_of(name: &str, kind: &str) -> bool {
    let epoch = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-'));
    let epoch = epoch.and_then(|rest| rest.strip_suffix(".safetensors"));
    epoch.is_some_and(|epoch| !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(super) fn unwritable(path: &Path, error: impl Into<anyhow::Error>) -> Error {
    not_written(format!("cannot write checkpoint `{}`: {:#}", path.display(), error.into()))
}

/// A failure to write, whose text names the file.
pub(super) fn not_written(error: impl std::fmt::Display) -> Error {
    Error::new(Exit::Environment, "E0508", error.to_string())
        .help("check free space and permissions; checkpoints of earlier epochs are intact")
}

/// Returns the SHA-256 of a file, in lowercase hexadecimal digits.
fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&block[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::metric::MetricValue;

    use super::*;
    use crate::train::tests::network;

    fn report(subset_accuracy: Option<f64>, macro_f1: Option<f64>) -> MetricReport {
        let value = |value: Option<f64>| MetricValue { value, support: 1, why: None };
        let overall = [("subset_accuracy", subset_accuracy), ("macro_f1", macro_f1)];
        MetricReport {
            overall: overall.map(|(name, v)| (name.to_owned(), value(v))).into(),
            ..MetricReport::default()
        }
    }

    #[test]
    fn keeps_the_first_of_the_best_and_undefined_is_worst() {
        let network = network(0.0, true);
        let dir = tempfile::tempdir().unwrap();
        let mut checkpoints = Checkpoints::new(&network, dir.path(), "T0001").unwrap();
        let f1 = [None, None, Some(0.0), Some(0.2), Some(0.2), Some(0.1), None, Some(0.3)];
        let mut kept = Vec::new();
        for (epoch, value) in (1..).zip(f1) {
            let weights = network.initialize(u64::from(epoch));
            let saved = checkpoints.consider(epoch, &report(Some(0.5), value), &weights).unwrap();
            kept.extend(saved.into_iter().map(|report| (report.epoch, report.kind)));
        }
        let f1_epochs = [1, 3, 4, 8].map(|epoch| (epoch, BEST_MACRO_F1.to_owned()));
        assert_eq!(kept[0], (1, BEST_SUBSET_ACCURACY.to_owned()));
        assert_eq!(kept[1..], f1_epochs);
        assert_eq!(checkpoints.trained(), None, "there is no last epoch yet");
        checkpoints.last(8, &network.initialize(8)).unwrap();
        let best = checkpoints.trained().unwrap().best_macro_f1;
        assert_eq!((best.epoch, best.value), (8, Some(0.3)));
        assert_eq!(best.path, Path::new("ckpt/T0001/best-macro-f1-0008.safetensors"));
        let path = dir.path().join(&best.path);
        let loaded = Weights::load(&network, &path).unwrap();
        assert_eq!(loaded.tensors(), network.initialize(8).tensors());
        let bytes = fs::read(path).unwrap();
        assert_eq!(best.sha256, hex(&Sha256::digest(bytes)));
    }

    #[test]
    fn files_go_when_they_have_a_successor_and_others_stay() {
        let network = network(0.0, true);
        let dir = tempfile::tempdir().unwrap();
        let mut checkpoints = Checkpoints::new(&network, dir.path(), "T0001").unwrap();
        let folder = dir.path().join("ckpt/T0001");
        let names = || {
            let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        for strange in ["notes.txt", "best-macro-f1-x.safetensors", ".nashost-a1.tmp"] {
            fs::write(folder.join(strange), "").unwrap();
        }
        // A record may still name the files of a process whose state is lost.
        fs::write(folder.join("best-macro-f1-0009.safetensors"), "").unwrap();
        checkpoints.sweep();
        let strange = ["best-macro-f1-0009.safetensors", "best-macro-f1-x.safetensors", "notes.txt"];
        assert_eq!(names(), strange);
        for (epoch, f1) in [(1, 0.1), (2, 0.2)] {
            let weights = network.initialize(u64::from(epoch));
            checkpoints.consider(epoch, &report(Some(0.5), Some(f1)), &weights).unwrap();
        }
        assert_eq!(names().len(), 6, "nothing goes before it is told");
        checkpoints.sweep();
        assert_eq!(
            names(),
            [
                "best-macro-f1-0002.safetensors",
                "best-macro-f1-x.safetensors",
                "best-subset-accuracy-0001.safetensors",
                "notes.txt"
            ]
        );
    }

    #[test]
    fn says_what_is_missing_or_in_the_way() {
        let network = network(0.0, true);
        let dir = tempfile::tempdir().unwrap();
        let mut checkpoints = Checkpoints::new(&network, dir.path(), "T0001").unwrap();
        let error = checkpoints.consider(1, &MetricReport::default(), &network.initialize(1)).unwrap_err();
        assert_eq!(error.code, "E0505");
        fs::write(dir.path().join("file"), "").unwrap();
        let error = Checkpoints::new(&network, &dir.path().join("file"), "T0001").unwrap_err();
        assert_eq!((error.code, error.exit), ("E0508", Exit::Environment));
        fs::remove_dir_all(dir.path().join("ckpt")).unwrap();
        assert_eq!(checkpoints.last(1, &network.initialize(1)).unwrap_err().code, "E0508");
    }
}
