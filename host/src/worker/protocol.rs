//! What driver and worker tell each other: one JSON object a line, over the worker's standard input
//! and output.

use std::path::PathBuf;

use nashost_plugin_api::{architecture::Spec, metric::Score, strategy::SearchResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    cli::explain,
    config::Config,
    error::{Error, Exit},
    run::{
        events::{OneShotPlanned, OneShotStep, PluginIdentity},
        trial::{CheckpointReport, FailureKind, TrialEvent, TrialRequest},
    },
};

/// From the driver.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "kebab-case")]
pub(crate) enum ToWorker {
    /// Comes first, once.
    Setup(Box<Setup>),
    /// Search; the worker has nothing else to do.
    Search(Box<SearchTask>),
    /// Make a one-shot search; the worker has nothing else to do.
    OneShot(Box<OneShotTask>),
    /// Train and evaluate; the worker has nothing else to do.
    Trial {
        /// What.
        request: Box<TrialRequest>,
        /// What need not be told again.
        known: Known,
    },
    /// Finish the step, save the state, and end.
    Stop,
}

/// What is the same for all tasks of a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// The run's configuration.
    pub(crate) config: Config,
    /// The run's folder.
    pub(crate) run_dir: PathBuf,
    /// `cpu` or `cuda:N`.
    pub(crate) device: String,
    /// Number of labels.
    pub(crate) outputs: usize,
    /// Plugins that the driver loaded; the worker's must be the same.
    pub(crate) plugins: Vec<PluginIdentity>,
}

/// What the record knows of a trial from earlier attempts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Epochs.
    pub(crate) epochs: u32,
    /// Checkpoints.
    pub(crate) checkpoints: Vec<CheckpointReport>,
}

/// A one-shot search, from its start or from where it stood.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OneShotTask {
    /// Number of steps that the strategy had made when it was saved, in the file that
    /// `one_shot_state` names; 0 to start anew.
    pub saved: u64,
}

/// Returns the name of the file, in the run's folder, with the strategy's state after `steps` steps of
/// a one-shot search.
pub(crate) fn one_shot_state(steps: u64) -> String {
    format!("search.{steps}.state")
}

/// A search, from its start or from where it stood.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SearchTask {
    /// State of the strategy, if one was saved.
    pub state: Option<SearchState>,
    /// Answers that are recorded beyond that state, in order.
    pub answered: Vec<Answered>,
}

/// Where a search stands between two proposals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchState {
    /// Outcomes that the strategy has been told.
    pub told: u64,
    /// Proposals whose outcomes it has not been told, in order.
    pub open: Vec<Proposal>,
    /// What the strategy says of itself, in base64.
    pub strategy: String,
    /// Seconds that the search has taken.
    pub seconds: f64,
}

/// A proposal of a strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Number, from 0.
    pub id: u64,
    /// The structure.
    pub spec: Spec,
    /// Where it came from.
    pub origin: String,
}

/// A proposal with its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// Number, from 0.
    pub id: u64,
    /// The structure.
    pub spec: Spec,
    /// Where it came from.
    pub origin: String,
    /// Its score.
    pub score: Score,
}

/// From the worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum FromWorker {
    /// The process is alive.
    Beat {
        /// Steps and answers so far; a worker whose number stands still is stuck.
        progress: u64,
    },
    /// A warning for the user.
    Warning {
        /// One line.
        line: String,
    },
    /// The trial tells something.
    Trial {
        /// What.
        event: Box<TrialEvent>,
    },
    /// A proposal of the search has its answer.
    Answered(Box<Answered>),
    /// Where the search stands.
    SearchState(Box<SearchState>),
    /// A one-shot search says what it means to do.
    OneShotPlanned {
        /// The plan, for the record.
        plan: OneShotPlanned,
        /// Number of steps, as far as it is known.
        steps: Option<u64>,
    },
    /// A one-shot search made a step.
    OneShotStep {
        /// The step, for the record.
        step: OneShotStep,
        /// Number of steps, as far as it is known.
        steps: Option<u64>,
    },
    /// A one-shot search was saved after this many steps.
    OneShotSaved {
        /// Number of steps.
        steps: u64,
    },
    /// The search is over.
    SearchDone {
        /// What it found.
        result: SearchResult,
        /// Seconds it took.
        seconds: f64,
        /// What a one-shot search tells beside its result.
        #[serde(default)]
        details: Option<Value>,
    },
    /// The trial is over; its result was told.
    TrialDone,
    /// The task ended because it was asked to. What it has done is on the disk.
    Stopped,
    /// The task failed.
    Failed(TaskError),
}

/// An [`Error`] on its way between processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// How the task ended.
    pub kind: FailureKind,
    /// [`Error::code`].
    pub code: String,
    /// [`Error::message`].
    pub message: String,
    /// [`Error::help`].
    pub help: Option<String>,
    /// [`Error::exit`].
    pub exit: u8,
}

impl TaskError {
    /// Describes `error`, which ended a task as `kind`.
    pub(crate) fn new(kind: FailureKind, error: Error) -> Self {
        Self {
            kind,
            code: error.code.to_owned(),
            message: error.message,
            help: error.help,
            exit: error.exit as u8,
        }
    }

    /// The message with what to try.
    pub(crate) fn text(&self) -> String {
        match &self.help {
            Some(help) => format!("{} (help: {help})", self.message),
            None => self.message.clone(),
        }
    }
}

impl From<TaskError> for Error {
    fn from(error: TaskError) -> Self {
        let code = explain::known(&error.code).unwrap_or("E0814");
        let exit = Exit::from_status(error.exit).unwrap_or(Exit::No);
        Self { help: error.help, ..Self::new(exit, code, error.message) }
    }
}
