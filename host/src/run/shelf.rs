//! Trials with a result, packed.
//!
//! The driver of a run needs them again only to write the tables. As they are, each is some 25 KiB in
//! small pieces; packed it is one piece of a tenth of that, so a day of trainings needs no more memory
//! than an hour.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
};

use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};

use super::state::{State, TrialState};
use crate::error::{Error, Exit, Result};

/// Trials with a result, by their number.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    packed: BTreeMap<u32, Box<[u8]>>,
}

impl Shelf {
    /// Takes the trials with a result out of `state`.
    ///
    /// # Errors
    ///
    /// Fails if a trial cannot be packed; it then stays in `state`.
    pub(super) fn take(&mut self, state: &mut State) -> Result<()> {
        let done = state.trials.iter().filter(|(_, trial)| trial.test().is_some());
        for (&number, trial) in done {
            self.packed.insert(number, pack(trial).map_err(|error| unreadable(number, &error))?);
        }
        self.remove(state);
        Ok(())
    }

    /// Puts all of them back into `state`, until they are [taken](Self::remove) again.
    ///
    /// # Errors
    ///
    /// Fails if one cannot be unpacked.
    pub(super) fn put_back(&self, state: &mut State) -> Result<()> {
        for (&number, packed) in &self.packed {
            let trial = unpack(packed).map_err(|error| unreadable(number, &error))?;
            state.trials.insert(number, trial);
        }
        Ok(())
    }

    /// Removes from `state` what [`Self::put_back`] has put there.
    pub(super) fn remove(&self, state: &mut State) {
        state.trials.retain(|number, _| !self.packed.contains_key(number));
    }

    /// Number of trials here.
    pub(super) fn len(&self) -> usize {
        self.packed.len()
    }
}

fn pack(trial: &TrialState) -> std::io::Result<Box<[u8]>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&serde_json::to_vec(trial)?)?;
    Ok(encoder.finish()?.into_boxed_slice())
}

fn unpack(packed: &[u8]) -> std::io::Result<TrialState> {
    let mut json = Vec::new();
    DeflateDecoder::new(packed).read_to_end(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

fn unreadable(number: u32, error: &std::io::Error) -> Error {
    let message = format!("what is known of trial {number} cannot be packed or unpacked: {error}");
    Error::new(Exit::Environment, "E0713", message)
        .help("everything is in events.jsonl: go on with `nashost resume`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{events::Record, testing};

    #[test]
    fn trials_with_a_result_come_back_as_they_were() {
        let records: Vec<Record> =
            testing::run().into_iter().zip(1..).map(|(event, seq)| testing::record(seq, event)).collect();
        let whole = State::fold(&records).unwrap();
        let mut state = whole.clone();
        let mut shelf = Shelf::default();
        shelf.take(&mut state).unwrap();
        let phases: Vec<_> = state.trials.values().map(TrialState::phase).collect();
        assert_eq!((phases, shelf.len()), (vec!["failed"], 1));
        for _ in 0..2 {
            shelf.put_back(&mut state).unwrap();
            assert_eq!(state, whole);
            shelf.remove(&mut state);
            assert_eq!(state.trials.len(), 1);
        }
    }
}
