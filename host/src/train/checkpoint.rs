//! Which weights are kept, and where.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use nashost_plugin_api::metric::MetricReport;
use nashost_plugin_torch::{Network, Weights};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, Exit, Result},
    run::trial::CheckpointReport,
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
#[derive(Debug)]
pub struct Checkpoints<'a> {
    network: &'a Network,
    run_dir: &'a Path,
    /// Relative to `run_dir`.
    folder: PathBuf,
    best: [Best; 2],
}

impl<'a> Checkpoints<'a> {
    /// Prepares `ckpt/<trial>` in `run_dir`.
    ///
    /// # Errors
    ///
    /// Fails with E0508 if the folder cannot be made.
    pub fn new(network: &'a Network, run_dir: &'a Path, trial: &str) -> Result<Self> {
        let folder = Path::new("ckpt").join(trial);
        let path = run_dir.join(&folder);
        fs::create_dir_all(&path).map_err(|error| unwritable(&path, error))?;
        let best = [(BEST_SUBSET_ACCURACY, "subset_accuracy"), (BEST_MACRO_F1, "macro_f1")]
            .map(|(kind, metric)| Best { kind, metric, report: None });
        Ok(Self { network, run_dir, folder, best })
    }

    /// Saves `weights` under each kind whose metric improved in `validation`.
    ///
    /// # Errors
    ///
    /// Fails with E0505 if a metric is missing, E0508 if a file cannot be written; the file of an
    /// earlier epoch then stays as it was.
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
                let report = self.save(kind, epoch, value.value, weights)?;
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
    pub fn last(&self, epoch: u32, weights: &Weights) -> Result<CheckpointReport> {
        self.save(LAST, epoch, None, weights)
    }

    /// Returns the best checkpoints, by subset accuracy and by macro F1; `None` before the first
    /// epoch.
    pub fn into_best(self) -> Option<[CheckpointReport; 2]> {
        let [subset_accuracy, macro_f1] = self.best.map(|best| best.report);
        Some([subset_accuracy?, macro_f1?])
    }

    fn save(
        &self,
        kind: &str,
        epoch: u32,
        value: Option<f64>,
        weights: &Weights,
    ) -> Result<CheckpointReport> {
        let path = self.folder.join(format!("{kind}.safetensors"));
        let full = self.run_dir.join(&path);
        weights.save(self.network, &full).map_err(|error| unwritable(&full, error))?;
        let sha256 = sha256(&full).map_err(|error| unwritable(&full, error))?;
        Ok(CheckpointReport { kind: kind.to_owned(), epoch, path, sha256, value })
    }
}

fn unwritable(path: &Path, error: impl Into<anyhow::Error>) -> Error {
    let message = format!("cannot write checkpoint `{}`: {:#}", path.display(), error.into());
    Error::new(Exit::Environment, "E0508", message)
        .help("check free space and permissions; checkpoints of earlier epochs are intact")
}

/// Returns the SHA-256 of a file, in lowercase hexadecimal digits.
fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
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
        let [_, best] = checkpoints.into_best().unwrap();
        assert_eq!((best.epoch, best.value), (8, Some(0.3)));
        let path = dir.path().join("ckpt/T0001/best-macro-f1.safetensors");
        let loaded = Weights::load(&network, &path).unwrap();
        assert_eq!(loaded.tensors(), network.initialize(8).tensors());
        let bytes = fs::read(path).unwrap();
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(best.sha256, hex);
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
