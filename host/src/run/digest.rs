//! `digest.json`: what comparisons need of a run, so that the results of many trials are read in a moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use nashost_plugin_api::metric::OutputInfo;
use serde::{Deserialize, Serialize};

use super::{
    atomic,
    dir::RunDir,
    events::{self, Stamp},
    fault::io_error,
    state::State,
    tables,
};
use crate::error::Result;

/// Name of the file in the run directory.
pub const DIGEST: &str = "digest.json";
/// Version of [`Digest`]; a file of another version is not used.
const SCHEMA_VERSION: u32 = 1;

/// Results of the trials of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    schema_version: u32,
    /// The events that it was made from; none if the last of them is torn.
    events: Option<Stamp>,
    /// Label names; none before the data is ready.
    pub labels: Option<Vec<String>>,
    /// Hash of the split.
    pub split: Option<String>,
    /// Values of metrics of predictions.
    pub outputs: Vec<OutputInfo>,
    /// Trivial predictors by their name, as they came, with their values.
    pub trivial: Vec<(String, BTreeMap<String, Option<f64>>)>,
    /// Names of the single values that trials have on the test part.
    pub metrics: Vec<String>,
    /// Its trials.
    pub trials: Vec<DigestedTrial>,
}

/// What comparisons need of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DigestedTrial {
    /// Its number.
    pub trial: u32,
    /// Its method.
    pub method: String,
    /// Its seed.
    pub seed: u64,
    /// Test values, in the order of [`Digest::metrics`]; nothing for a trial without a test result.
    pub test: Option<Vec<Option<f64>>>,
}

impl Digest {
    /// Sums up `state`, to which the events with the stamp `events` add up.
    pub(super) fn of(state: &State, events: Option<Stamp>) -> Self {
        let reports = || state.trials.values().filter_map(|trial| trial.test());
        let metrics: BTreeSet<&String> = reports().flat_map(|test| test.test.overall.keys()).collect();
        let trials = state.trials.values().map(|trial| DigestedTrial {
            trial: trial.request.trial,
            method: trial.request.method.clone(),
            seed: trial.request.seed,
            test: trial.test().map(|test| {
                metrics
                    .iter()
                    .map(|name| test.test.overall.get(*name).and_then(|value| value.value))
                    .collect()
            }),
        });
        let trivial = state.baselines.iter().map(|baseline| {
            let values = baseline.test.overall.iter().map(|(name, value)| (name.clone(), value.value));
            (baseline.name.clone(), values.collect())
        });
        Self {
            schema_version: SCHEMA_VERSION,
            events,
            labels: state.data.as_ref().map(|data| data.info.labels.clone()),
            split: state.split.as_ref().map(|split| split.hash.clone()),
            outputs: state.started.iter().flat_map(|(_, started)| started.metrics.clone()).collect(),
            trivial: trivial.collect(),
            trials: trials.collect(),
            metrics: metrics.into_iter().cloned().collect(),
        }
    }

    /// Writes the digest of `run`, whose events add up to `state`.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn write(run: &RunDir, state: &State) -> Result<()> {
        let file = run.file(DIGEST);
        let digest = Self::of(state, Stamp::of(&run.file(events::FILE))?);
        // Without indentation, which would be most of it.
        let text = serde_json::to_vec(&digest).map_err(|why| io_error("write", &file, &why.into()))?;
        atomic::write(&file, &text)
    }

    /// Reads the digest of `run`. It is made from the events where the file is missing, or is not that of
    /// the events as they are.
    ///
    /// # Errors
    ///
    /// Fails if the events are then damaged or contradict each other.
    pub fn read(run: &RunDir) -> Result<Self> {
        let stamp = Stamp::of(&run.file(events::FILE))?;
        let kept =
            fs::read(run.file(DIGEST)).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        match kept {
            Some(kept)
                if kept.schema_version == SCHEMA_VERSION && kept.events == stamp && stamp.is_some() =>
            {
                Ok(kept)
            }
            _ => Ok(Self::of(&tables::read(run)?, stamp)),
        }
    }

    /// Value of `trial` by the metric `name`, if it has one.
    pub fn value(&self, trial: &DigestedTrial, name: &str) -> Option<f64> {
        let place = self.metrics.binary_search_by(|known| known.as_str().cmp(name)).ok()?;
        *trial.test.as_ref()?.get(place)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Recorder, testing};

    fn written(out: &std::path::Path) -> (RunDir, Recorder) {
        let mut recorder = Recorder::create(RunDir::create(out, "neck").unwrap()).unwrap();
        for event in testing::run() {
            recorder.record(event).unwrap();
        }
        recorder.write_tables().unwrap();
        (recorder.dir().clone(), recorder)
    }

    #[test]
    fn a_digest_is_that_of_the_events() {
        let out = tempfile::tempdir().unwrap();
        let (run, _recorder) = written(out.path());
        let kept = Digest::read(&run).unwrap();
        fs::remove_file(run.file(DIGEST)).unwrap();
        assert_eq!(Digest::read(&run).unwrap(), kept);
        assert_eq!(kept.value(&kept.trials[0], "macro_f1"), Some(0.25));
        assert_eq!(kept.value(&kept.trials[0], "macro_auroc"), None);
        assert_eq!(kept.value(&kept.trials[1], "macro_f1"), None, "it failed");
    }

    #[test]
    fn a_digest_of_other_events_is_not_believed() {
        let out = tempfile::tempdir().unwrap();
        let (run, mut recorder) = written(out.path());
        let file = run.file(DIGEST);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("\"zennas\"", "\"forged\"")).unwrap();
        assert_eq!(Digest::read(&run).unwrap().trials[0].method, "forged", "the file is what is read");
        recorder.record(crate::run::events::RunEvent::Warning { message: "one more".to_owned() }).unwrap();
        assert_eq!(Digest::read(&run).unwrap().trials[0].method, "zennas");
        fs::write(&file, "{").unwrap();
        assert_eq!(Digest::read(&run).unwrap().trials[0].method, "zennas");
    }
}
