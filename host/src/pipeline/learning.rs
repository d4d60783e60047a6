//! The driver's side of a one-shot search: a worker makes steps, the driver records them.

use std::{fs, path::Path};

use super::{Session, Stop, searching::TICK};
use crate::{
    run::events::RunEvent,
    worker::{Ended, FromWorker, OneShotTask, Pool, Report, SEARCH_LOG, TaskError, ToWorker, one_shot_state},
};

impl Session<'_> {
    /// Lets a worker make the search once, or what is left of it; the inner error is what ended it early.
    ///
    /// Steps that the worker makes again, because it was saved before them, are recorded already: they
    /// come to the same.
    pub(super) fn attempt_one_shot(
        &mut self,
        pool: &mut Pool,
    ) -> std::result::Result<std::result::Result<(), TaskError>, Stop> {
        let saved = self.last_saved();
        self.forget_steps(saved);
        let slot = pool.idle().unwrap_or(0);
        let task = ToWorker::OneShot(Box::new(OneShotTask { saved }));
        pool.start(slot, task, Path::new(SEARCH_LOG))?;
        let bar = self.host.progress.one_shot();
        let mut stopping = None;
        loop {
            if stopping.is_none()
                && let Some(why) = self.must_stop()
            {
                stopping = Some(why);
                pool.stop();
            }
            match pool.next(TICK).map(|(_, report)| report) {
                None => {}
                Some(Report::Told(FromWorker::OneShotPlanned { plan, steps })) => {
                    bar.expect(steps);
                    if self.recorded().is_some_and(|search| search.plan.is_none()) {
                        self.host.progress.note(&format!("the search reads images: {}", plan.roles));
                        self.recorder.record(RunEvent::OneShotPlanned(plan))?;
                    }
                }
                Some(Report::Told(FromWorker::OneShotStep { step, steps })) => {
                    bar.expect(steps);
                    bar.update(step.step, &step.phase, step.epoch, &step.numbers);
                    if step.step > self.steps() {
                        self.recorder.record(RunEvent::OneShotStep(step))?;
                    }
                }
                // The steps before it were told before it, so they are recorded.
                Some(Report::Told(FromWorker::OneShotSaved { steps })) => self.forget_steps(steps),
                Some(Report::Told(FromWorker::SearchDone { result, seconds, details })) => {
                    self.recorder.record(RunEvent::SearchFinished { result, seconds, details })?;
                }
                Some(Report::Told(FromWorker::Warning { line })) => tracing::warn!("search: {line}"),
                Some(Report::Told(_)) => {}
                Some(Report::Ended(Ended::Done)) => return Ok(Ok(())),
                Some(Report::Ended(Ended::Failed(error))) if stopping.is_none() => return Ok(Err(error)),
                Some(Report::Ended(_)) => {
                    return Err(stopping.unwrap_or_else(|| Stop::Error(super::interrupted())));
                }
            }
        }
    }

    /// Number of recorded steps.
    fn steps(&self) -> u64 {
        self.recorded().map_or(0, |search| search.steps.len() as u64)
    }

    /// The steps of every saved state.
    fn states(&self) -> Vec<u64> {
        let files = fs::read_dir(self.recorder.dir().path()).into_iter().flatten().flatten();
        let steps = files.filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            name.strip_prefix("search.")?.strip_suffix(".state")?.parse().ok()
        });
        steps.collect()
    }

    /// The steps of the last saved state that is not ahead of the record; 0 if there is none.
    fn last_saved(&self) -> u64 {
        let recorded = self.steps();
        self.states().into_iter().filter(|&steps| steps <= recorded).max().unwrap_or(0)
    }

    /// Removes every saved state but that after `kept` steps.
    pub(super) fn forget_steps(&self, kept: u64) {
        for steps in self.states().into_iter().filter(|&steps| steps != kept) {
            // A file that stays costs nothing but its room.
            let _ = fs::remove_file(self.recorder.dir().file(one_shot_state(steps)));
        }
    }
}
