//! The one writer of a run.

use super::{
    claim::{Claim, Ending},
    dir::RunDir,
    events::{self, Candidate, EventLog, Failure, RunEvent},
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
        Ok(Self { claim, log, state: State::default(), tabled: None })
    }

    /// Takes up the record of a run that has events.
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
        Ok(Self { claim, log, state, tabled: None })
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

    /// What the events add up to.
    pub fn state(&self) -> &State {
        &self.state
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
        if self.tabled == candidates {
            return tables::write_small(self.claim.dir(), &self.state);
        }
        tables::write(self.claim.dir(), &self.state)?;
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
        report::write(self.dir(), &self.state)?;
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
        report::write(self.dir(), &self.state)?;
        self.claim.finish(ending)
    }
}
