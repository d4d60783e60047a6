//! The one writer of a run.

use nashost_plugin_torch::release_freed_memory;

use super::{
    claim::{Claim, Ending},
    dir::RunDir,
    events::{self, Candidate, EventLog, Failure, RunEvent},
    shelf::Shelf,
    state::State,
    tables,
    trial::TrialEvent,
};
use crate::{error::Result, report};

/// Writes the events of a claimed run and knows what they add up to.
#[derive(Debug)]
pub struct Recorder {
    claim: Claim,
    log: EventLog,
    state: State,
    /// Trials with a result that the state does without.
    shelf: Shelf,
    /// Number of candidates in the table of the search, once this process has written it.
    tabled: Option<u64>,
}

impl Recorder {
    /// Starts the record of a fresh run.
    ///
    /// # Errors
    ///
    /// Fails if the run has events already or its directory cannot be written.
    pub fn create(claim: Claim) -> Result<Self> {
        let log = EventLog::create(&claim.dir().file(events::FILE))?;
        Ok(Self { claim, log, state: State::default(), shelf: Shelf::default(), tabled: None })
    }

    /// Takes up the record of a run that has events. One that has ended goes on with [`Recorder::go_on`].
    ///
    /// # Errors
    ///
    /// Fails if the events are damaged, contradict each other or cannot be written.
    pub fn reopen(claim: Claim) -> Result<Self> {
        let mut state = State::default();
        let log = EventLog::reopen(&claim.dir().file(events::FILE), |record| {
            state.check(&record.event)?;
            state.apply(record);
            Ok(())
        })?;
        Ok(Self { claim, log, state, shelf: Shelf::default(), tabled: None })
    }

    /// Marks the run as running, even if it has ended.
    ///
    /// # Errors
    ///
    /// Fails if the marker cannot be written.
    pub fn go_on(&self) -> Result<()> {
        self.claim.go_on()
    }

    /// Records an event; it is on the disk when this returns. Events that are for display only
    /// ([`RunEvent::is_stored`]) are left out.
    ///
    /// # Errors
    ///
    /// Fails if the event contradicts those before it or the disk refuses; the record is then as
    /// it was.
    pub fn record(&mut self, event: RunEvent) -> Result<()> {
        if !event.is_stored() {
            return Ok(());
        }
        self.state.check(&event)?;
        for record in self.log.append(vec![event])? {
            self.state.apply(&record);
        }
        Ok(())
    }

    /// Records what an attempt of a trial tells.
    ///
    /// # Errors
    ///
    /// As [`Recorder::record`].
    pub fn record_trial(&mut self, trial: u32, attempt: u32, report: TrialEvent) -> Result<()> {
        self.record(RunEvent::Trial { trial, attempt, report })
    }

    /// Records the answers of a batch of proposals, for one sync.
    ///
    /// # Errors
    ///
    /// As [`Recorder::record`].
    pub fn record_candidates(&mut self, candidates: Vec<Candidate>) -> Result<()> {
        self.state.check_candidates(&candidates)?;
        let events = candidates.into_iter().map(RunEvent::Candidate).collect();
        for record in self.log.append(events)? {
            self.state.apply(&record);
        }
        Ok(())
    }

    /// What the events add up to, without the trials that were set aside.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Number of trials, with those that were set aside.
    pub fn trials(&self) -> usize {
        self.state.trials.len() + self.shelf.len()
    }

    /// Takes the trials with a result out of [`Recorder::state`], so that the memory of a run does not
    /// grow with their number. [`Recorder::whole`] has them still.
    ///
    /// # Errors
    ///
    /// Fails if a trial cannot be packed.
    pub fn set_aside(&mut self) -> Result<()> {
        self.shelf.take(&mut self.state)
    }

    /// Lets `read` see what all events add up to.
    ///
    /// # Errors
    ///
    /// Passes on the error of `read`; fails if a trial that was set aside cannot be unpacked.
    pub fn whole<T>(&mut self, read: impl FnOnce(&RunDir, &State) -> Result<T>) -> Result<T> {
        let answer = match self.shelf.put_back(&mut self.state) {
            Ok(()) => read(self.claim.dir(), &self.state),
            Err(error) => Err(error),
        };
        if self.shelf.len() > 0 {
            self.shelf.remove(&mut self.state);
            release_freed_memory();
        }
        answer
    }

    /// Returns the run's lock, for workers.
    ///
    /// # Errors
    ///
    /// Fails if the process has too many files open.
    pub fn share_lock(&self) -> Result<std::fs::File> {
        self.claim.share_lock()
    }

    /// The run.
    pub fn dir(&self) -> &RunDir {
        self.claim.dir()
    }

    /// Writes all derived files but the report, which is for runs that have ended.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be written; each is then whole, old or new.
    pub fn write_tables(&mut self) -> Result<()> {
        let candidates = Some(self.state.search.as_ref().map_or(0, |search| search.candidates));
        let write = if self.tabled == candidates { tables::write_small } else { tables::write };
        self.whole(write)?;
        self.tabled = candidates;
        Ok(())
    }

    /// Lets go of a run that has ended before. Its process may have died between the record of the end
    /// and the derived files, so these are written if they are not as they must be.
    ///
    /// # Errors
    ///
    /// Fails if something cannot be written; the run then reads as interrupted.
    pub fn close(mut self) -> Result<()> {
        let Some((_, ending, _)) = self.state.finished else { return Ok(()) };
        self.write_tables()?;
        self.whole(report::write)?;
        self.claim.finish(ending)
    }

    /// Records the end, writes all derived files, marks the run, and lets go of it.
    ///
    /// # Errors
    ///
    /// Fails if something cannot be written; the run then reads as interrupted.
    pub fn finish(mut self, ending: Ending, failure: Option<Failure>) -> Result<()> {
        self.record(RunEvent::RunFinished { ending, failure })?;
        self.write_tables()?;
        self.whole(report::write)?;
        self.claim.finish(ending)
    }
}
