//! A trained network of a run.

use std::{fs, path::PathBuf};

use nashost_export::{Description, Input, Normalisation};
use nashost_plugin_api::{dataset::DatasetInfo, graph::Graph};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, Exit, Result},
    run::{
        RunDir,
        state::{State, TrialState},
        tables,
        trial::{TestReport, TrialRequest},
    },
};

/// The trial that is best on the validation part.
pub(crate) const BEST: &str = "best";

/// A network of a run with the weights that were evaluated.
#[derive(Debug)]
pub(crate) struct TrainedModel {
    /// What was trained, and how.
    pub(crate) request: TrialRequest,
    /// Its structure.
    pub(crate) graph: Graph,
    /// Hash of the structure.
    architecture: String,
    /// What was evaluated, with the thresholds.
    pub(crate) report: TestReport,
    /// Labels and channels of its data.
    pub(crate) info: DatasetInfo,
    /// How its images were normalised.
    pub(crate) normalisation: Normalisation,
    /// The run.
    run_id: String,
    /// File of its weights.
    pub(crate) path: PathBuf,
    /// Content of that file.
    pub(crate) weights: Vec<u8>,
}

impl TrainedModel {
    /// Reads the network of `trial` (`T0001`, `1`, or [`BEST`]) from `run`.
    ///
    /// # Errors
    ///
    /// Fails if there is no such trial or it has no result (E0920), if its checkpoint is gone or is not
    /// what was written (E0921), or if the run was made before normalisation was recorded (E0922).
    pub(crate) fn open(run: &RunDir, trial: &str) -> Result<Self> {
        let state = tables::read(run)?;
        let (trial, report) = choose(&state, trial)?;
        let data = state.data.as_ref().ok_or_else(|| unusable(trial, "its data are not recorded"))?;
        let normalisation = trial.normalisation.clone().ok_or_else(|| {
            let message = format!("run {} holds no mean and deviation of its images", run.id());
            Error::new(Exit::No, "E0922", message).help(format!(
                "it was made by an earlier nashost; `nashost repeat {}` makes it again",
                run.short_id()
            ))
        })?;
        let architecture = state.architectures.get(&trial.architecture);
        let graph =
            architecture.ok_or_else(|| unusable(trial, "its structure is not recorded"))?.graph.clone();
        let path = run.file(&report.checkpoint.path);
        let damaged = |why: String| {
            let message = format!("checkpoint {} cannot be used: {why}", path.display());
            Error::new(Exit::Environment, "E0921", message)
                .help("restore it from a copy, or choose another trial with --trial")
        };
        let weights = fs::read(&path).map_err(|cause| damaged(cause.to_string()))?;
        let found: String = Sha256::digest(&weights).iter().map(|byte| format!("{byte:02x}")).collect();
        if found != report.checkpoint.sha256 {
            return Err(damaged("it is not what the run wrote".to_owned()));
        }
        Ok(Self {
            request: trial.request.clone(),
            architecture: trial.architecture.clone(),
            report: report.clone(),
            info: data.info.clone(),
            normalisation,
            run_id: run.id().to_owned(),
            graph,
            path,
            weights,
        })
    }

    /// What a reader of the network must know, for a model that takes `input`.
    ///
    /// # Errors
    ///
    /// Fails if the normalisation fits neither grey images nor the network's channels (E0923).
    pub(crate) fn description(&self, input: Input) -> Result<Description> {
        let mut description = Description {
            schema_version: Description::SCHEMA_VERSION,
            nashost: env!("CARGO_PKG_VERSION").to_owned(),
            run_id: self.run_id.clone(),
            trial: self.request.name(),
            method: self.request.method.clone(),
            architecture: self.architecture.clone(),
            epoch: self.report.checkpoint.epoch,
            checkpoint_sha256: self.report.checkpoint.sha256.clone(),
            labels: self.info.labels.clone(),
            thresholds: self.report.thresholds.clone(),
            input,
            input_shape: self.graph.input,
            normalisation: self.normalisation.clone(),
        };
        description.input_shape =
            description.input_shape_of(self.graph.input).map_err(|e| not_exported(&e))?;
        Ok(description)
    }
}

/// A network that a format cannot hold.
pub(super) fn not_exported(why: &dyn std::fmt::Display) -> Error {
    Error::new(Exit::No, "E0923", format!("the network cannot be exported: {why}"))
}

fn unusable(trial: &TrialState, why: &str) -> Error {
    Error::new(Exit::No, "E0920", format!("trial {} cannot be used: {why}", trial.request.name()))
}

/// Finds a trial with a result. The best is chosen on the validation part, as `nashost clean` does.
fn choose<'a>(state: &'a State, name: &str) -> Result<(&'a TrialState, &'a TestReport)> {
    let trial = if name == BEST {
        state.ranked().into_iter().next().ok_or_else(|| {
            Error::new(Exit::No, "E0920", "no trial of the run has a result")
                .help("`nashost show` tells how its trials ended, `nashost resume` goes on")
        })?
    } else {
        let number = name.trim_start_matches(['T', 't']).parse::<u32>().ok();
        number.and_then(|number| state.trials.get(&number)).ok_or_else(|| {
            let known: Vec<String> = state.trials.values().map(|trial| trial.request.name()).collect();
            Error::new(Exit::Usage, "E0920", format!("the run has no trial `{name}`"))
                .help(format!("it has {}; `{BEST}` is the best on the validation part", known.join(", ")))
        })?
    };
    let report = trial.test().ok_or_else(|| unusable(trial, &format!("it is {}", trial.phase())))?;
    Ok((trial, report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing;

    #[test]
    fn trials_are_found_by_name_and_number_and_the_best_has_a_result() {
        let records: Vec<_> =
            testing::run().into_iter().zip(1..).map(|(event, seq)| testing::record(seq, event)).collect();
        let state = State::fold(&records).unwrap();
        for name in ["T0001", "t1", "1", BEST] {
            assert_eq!(choose(&state, name).unwrap().0.request.trial, 1, "{name}");
        }
        let failed = choose(&state, "T0002").unwrap_err();
        assert_eq!(
            (failed.code, failed.message.as_str()),
            ("E0920", "trial T0002 cannot be used: it is failed")
        );
        let missing = choose(&state, "T0009").unwrap_err();
        assert!(missing.help.unwrap().contains("T0001, T0002"));
        assert_eq!(choose(&State::default(), BEST).unwrap_err().code, "E0920");
    }
}
