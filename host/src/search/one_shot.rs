//! The steps of a one-shot search.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use nashost_plugin_api::abi::foreign::ForeignStrategy;
use nashost_plugin_torch::{ForeignOneShot, OneShotPlan, OneShotTask as Task, Samples, StepReport};

use crate::{
    error::{Error, Exit, Result},
    run::{
        atomic,
        events::{OneShotPlanned, OneShotStep},
        trial::Control,
    },
    worker::{FromWorker, OneShotTask, one_shot_state},
};

/// How often the strategy is saved. What it did since is done again, to the same result.
const SAVE: Duration = Duration::from_secs(5);
/// First line of a saved state.
const MAGIC: &[u8] = b"nashost one-shot state 1\n";

/// Everything a one-shot search needs.
pub(crate) struct OneShotSetup<'a> {
    /// Searches.
    pub(crate) strategy: &'a mut ForeignStrategy,
    /// For what.
    pub(crate) task: &'a Task,
    /// The images it sees.
    pub(crate) samples: &'a mut dyn Samples,
    /// The run's folder, for states.
    pub(crate) folder: &'a Path,
}

/// Makes the search from where `start` says to its end, and tells `sink` the plan, each step and each
/// saved state. The search is over when this returns.
///
/// # Errors
///
/// Fails if the strategy does, a state cannot be read or written, or `sink` says stop; the search was
/// saved then.
pub(crate) fn one_shot(
    setup: OneShotSetup<'_>,
    start: &OneShotTask,
    sink: &mut dyn FnMut(FromWorker) -> Control,
) -> Result<()> {
    let OneShotSetup { strategy, task, samples, folder } = setup;
    let mut search = ForeignOneShot::new(strategy)?;
    let OneShotPlan { roles, details, steps } = search.begin(task, samples)?;
    let mut control = sink(FromWorker::OneShotPlanned { plan: OneShotPlanned { roles, details }, steps });
    let mut made = start.saved;
    if made > 0 {
        search.strategy().restore(&read(&folder.join(one_shot_state(made)))?)?;
    }
    let (mut saved, mut finished) = (Instant::now(), false);
    loop {
        if control == Control::Stop || saved.elapsed() >= SAVE && !finished {
            write(&folder.join(one_shot_state(made)), &search.strategy().checkpoint()?)?;
            sink(FromWorker::OneShotSaved { steps: made });
            saved = Instant::now();
        }
        if control == Control::Stop {
            return Err(Error::new(Exit::Interrupted, "E0811", "the search was stopped"));
        }
        if finished {
            return Ok(());
        }
        let began = Instant::now();
        let StepReport { phase, epoch, numbers, steps, finished: last } = search.step(samples)?;
        made += 1;
        finished = last;
        let seconds = began.elapsed().as_secs_f64();
        let step = OneShotStep { step: made, phase, epoch, numbers, seconds };
        control = sink(FromWorker::OneShotStep { step, steps });
        if finished {
            // Nothing is left to stop; what follows takes no time.
            control = Control::Continue;
        }
    }
}

fn write(path: &Path, state: &[u8]) -> Result<()> {
    atomic::write_with(path, |file| {
        file.write_all(MAGIC)?;
        file.write_all(state)
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).map_err(|cause| crate::run::io_error("read", path, &cause))?;
    let state = bytes.strip_prefix(MAGIC).map(<[u8]>::to_vec);
    state.ok_or_else(|| {
        let message = format!("{} holds no state of a one-shot search", path.display());
        Error::new(Exit::Environment, "E0707", message)
            .help("delete the file; the search then starts from an older state or anew, to the same result")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_its_file_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(one_shot_state(3));
        write(&path, &[1, 0, 255]).unwrap();
        assert_eq!(read(&path).unwrap(), [1, 0, 255]);
        fs::write(&path, b"nashost").unwrap();
        assert_eq!(read(&path).unwrap_err().code, "E0707");
    }
}
