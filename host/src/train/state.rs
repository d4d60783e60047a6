//! What a training is taken up from: one file that is whole or not there.
//!
//! `ckpt/<trial>/state.safetensors` holds everything that the next step depends on and everything
//! that was told. Its header carries a checksum of the whole file, so a damaged file is never
//! trained on, and the identity of the trial, so neither is that of another one.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

use nashost_plugin_torch::to_safetensors;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tch::{Kind, Tensor};

use super::{checkpoint, error::OrFail as _};
use crate::{
    error::{Error, Exit, Result},
    run::{atomic, io_error, trial::TrialEvent},
};

/// Name of the file in the trial's folder.
pub const STATE: &str = "state.safetensors";
/// Version of the format.
const FORMAT: u32 = 1;

/// Keys of the header's metadata.
const PROGRESS: &str = "progress";
const EVENTS: &str = "events";
const CHECKSUM: &str = "sha256";
/// What the checksum stands behind in the header. Quotes in values are escaped, so it comes once.
const BEFORE_CHECKSUM: &[u8] = b"\"sha256\":\"";
/// The checksum's place while the checksum is computed.
const BLANK: [u8; 64] = [b'0'; 64];

/// How far a training has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Epoch of the next step, from 1; one more than there are epochs if training is complete.
    pub(super) epoch: u32,
    /// Steps of that epoch that are done.
    pub(super) step: u64,
    /// Seconds spent on them.
    pub(super) seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    /// SHA-256 of the identity.
    identity: String,
    progress: Progress,
}

/// What was told so far, one event per line; written once per event, because all of it is part of
/// every state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Story(String);

impl Story {
    /// Adds an event.
    ///
    /// # Errors
    ///
    /// Fails with E0709 if the event would not read back: JSON has no infinite numbers.
    pub(super) fn push(&mut self, event: &TrialEvent) -> Result<()> {
        let line = serde_json::to_string(event).ok();
        match line {
            Some(line) if serde_json::from_str::<TrialEvent>(&line).is_ok_and(|back| back == *event) => {
                self.0.push_str(&line);
                self.0.push('\n');
                Ok(())
            }
            _ => Err(Error::new(
                Exit::Bug,
                "E0709",
                format!("this cannot be recorded, it holds a number that is not finite: {event:?}"),
            )
            .help("this is a bug of nashost; please report it")),
        }
    }

    fn events(&self) -> serde_json::Result<Vec<TrialEvent>> {
        self.0.lines().map(serde_json::from_str).collect()
    }
}

/// A training as it was saved.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) progress: Progress,
    pub(super) story: Story,
    pub(super) events: Vec<TrialEvent>,
    /// By name; none if training is complete.
    pub(super) tensors: BTreeMap<String, Tensor>,
}

/// The state file of one trial.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    /// SHA-256 of the identity.
    identity: String,
}

impl StateFile {
    /// Names the state of `trial`, which `identity` tells from all other trials.
    pub(super) fn new(run_dir: &Path, trial: &str, identity: &str) -> Self {
        Self { path: path(run_dir, trial), identity: hex(&Sha256::digest(identity)) }
    }

    /// Replaces the file. It is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// Fails with E0508 if the file cannot be written; the earlier one then stays as it was.
    pub(super) fn write(
        &self,
        progress: &Progress,
        story: &Story,
        tensors: &[(String, Tensor)],
    ) -> Result<()> {
        let header = Header { format: FORMAT, identity: self.identity.clone(), progress: progress.clone() };
        let header =
            serde_json::to_string(&header).map_err(|error| checkpoint::unwritable(&self.path, error))?;
        let metadata = HashMap::from([
            (PROGRESS.to_owned(), header),
            (EVENTS.to_owned(), story.0.clone()),
            (CHECKSUM.to_owned(), String::from_utf8_lossy(&BLANK).into_owned()),
        ]);
        let tensors = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
        let mut data = to_safetensors(tensors, metadata).or_fail("saving the state of the training")?;
        let sum = hex(&Sha256::digest(&data));
        let place = checksum(&data).expect("the header has the checksum's key");
        data[place].copy_from_slice(sum.as_bytes());
        atomic::write_with(&self.path, |file| file.write_all(&data)).map_err(checkpoint::not_written)
    }

    /// Reads the file; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Fails with E0510 if it is the state of another trial, E0511 if it is damaged, E0704 if it
    /// cannot be read.
    pub(super) fn read(&self) -> Result<Option<Snapshot>> {
        let data = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            data => data.map_err(|error| io_error("read", &self.path, &error))?,
        };
        self.parse(data).map(Some)
    }

    fn parse(&self, mut data: Vec<u8>) -> Result<Snapshot> {
        let place = checksum(&data).ok_or_else(|| self.damaged("its header is cut or has no checksum"))?;
        let claimed = data[place.clone()].to_vec();
        data[place].copy_from_slice(&BLANK);
        if hex(&Sha256::digest(&data)).as_bytes() != claimed {
            return Err(self.damaged("its checksum does not match its content"));
        }
        // The bytes are those of a nashost. What does not fit from here on is of another version.
        let foreign = |what: &dyn std::fmt::Display| self.foreign(what);
        let (_, metadata) = SafeTensors::read_metadata(&data).map_err(|error| foreign(&error))?;
        let text = |key: &str| metadata.metadata().as_ref().and_then(|map| map.get(key)).cloned();
        let header = text(PROGRESS).unwrap_or_default();
        let header: Header = serde_json::from_str(&header).map_err(|error| foreign(&error))?;
        if header.format != FORMAT {
            return Err(foreign(&format!("its format is {}, this nashost reads {FORMAT}", header.format)));
        }
        if header.identity != self.identity {
            return Err(foreign(&"it belongs to another trial, or settings, data or plugins have changed"));
        }
        let story = Story(text(EVENTS).unwrap_or_default());
        let events = story.events().map_err(|error| foreign(&error))?;
        let file = SafeTensors::deserialize(&data).map_err(|error| foreign(&error))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let kind = match view.dtype() {
                Dtype::F32 => Kind::Float,
                Dtype::F64 => Kind::Double,
                Dtype::I64 => Kind::Int64,
                other => return Err(foreign(&format!("`{name}` holds {other:?} values"))),
            };
            let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
            let tensor = Tensor::f_from_data_size(view.data(), &shape, kind).or_fail("reading a state")?;
            tensors.insert(name.to_owned(), tensor);
        }
        Ok(Snapshot { progress: header.progress, story, events, tensors })
    }

    fn damaged(&self, why: &str) -> Error {
        let message = format!("{} is damaged: {why}", self.path.display());
        Error::new(Exit::Environment, "E0511", message)
            .help("remove the file to train this trial from its start, and check the disk (`dmesg`)")
    }

    /// A sound file that this training cannot be taken up from.
    pub(super) fn foreign(&self, why: impl std::fmt::Display) -> Error {
        let message = format!("{} does not belong to this training: {why}", self.path.display());
        Error::new(Exit::Identity, "E0510", message)
            .help("resume with what the run was started with, or remove the file to train from the start")
    }
}

/// Removes the state of `trial`. To be called once the trial's last event is recorded.
///
/// # Errors
///
/// Fails if there is a state and it cannot be removed.
pub fn forget_state(run_dir: &Path, trial: &str) -> Result<()> {
    let path = path(run_dir, trial);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &path, &error)),
        _ => Ok(()),
    }
}

fn path(run_dir: &Path, trial: &str) -> PathBuf {
    run_dir.join(checkpoint::folder(trial)).join(STATE)
}

/// Finds the checksum in a state file, if the file has a header with one.
fn checksum(data: &[u8]) -> Option<std::ops::Range<usize>> {
    let (length, rest) = data.split_first_chunk::<8>()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let start = header.windows(BEFORE_CHECKSUM.len()).position(|window| window == BEFORE_CHECKSUM)?;
    let start = length.len() + start + BEFORE_CHECKSUM.len();
    data.get(start..start + BLANK.len()).map(|_| start..start + BLANK.len())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    /// Writes the checksum of a changed file, as a process with another idea of its content would.
    fn seal(data: &mut [u8]) {
        let place = checksum(data).unwrap();
        data[place.clone()].copy_from_slice(&BLANK);
        let sum = hex(&Sha256::digest(&*data));
        data[place].copy_from_slice(sum.as_bytes());
    }

    #[test]
    fn a_state_reads_back_and_one_of_another_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("ckpt/T0001")).unwrap();
        let file = StateFile::new(dir.path(), "T0001", "a trial");
        assert!(file.read().unwrap().is_none());
        let progress = Progress { epoch: 2, step: 3, seconds: 0.1 };
        let mut story = Story::default();
        story.push(&TrialEvent::Started { params: 1, macs: 2 }).unwrap();
        let tensors = [
            ("a".to_owned(), Tensor::from_slice(&[0.1_f64, f64::NAN])),
            ("b".to_owned(), Tensor::ones([2, 3], (Kind::Float, Device::Cpu))),
            ("c".to_owned(), Tensor::from(7_i64)),
        ];
        file.write(&progress, &story, &tensors).unwrap();
        let read = file.read().unwrap().unwrap();
        assert_eq!((&read.progress, &read.story), (&progress, &story));
        assert_eq!(read.events, [TrialEvent::Started { params: 1, macs: 2 }]);
        for (name, tensor) in &tensors {
            let found = &read.tensors[name];
            assert_eq!((found.kind(), found.size()), (tensor.kind(), tensor.size()));
            assert!(found.allclose(tensor, 0.0, 0.0, true), "{name}");
        }

        let mut data = fs::read(&file.path).unwrap();
        let format = br#"\"format\":1"#;
        let place = data.windows(format.len()).position(|window| window == format).unwrap();
        data[place + format.len() - 1] = b'2';
        fs::write(&file.path, &data).unwrap();
        assert_eq!(file.read().unwrap_err().code, "E0511");
        seal(&mut data);
        fs::write(&file.path, &data).unwrap();
        let error = file.read().unwrap_err();
        assert_eq!(error.code, "E0510");
        assert!(error.message.contains("its format is 2"), "{}", error.message);
    }

    #[test]
    fn what_would_not_read_back_is_not_saved() {
        let mut story = Story::default();
        let event = |train_loss| {
            TrialEvent::Epoch(crate::run::trial::EpochReport {
                epoch: 1,
                train_loss,
                val_loss: 0.1,
                lr: 0.1,
                val: Default::default(),
                train_seconds: 0.1,
                val_seconds: 0.1,
            })
        };
        assert_eq!(story.push(&event(f64::NAN)).unwrap_err().code, "E0709");
        assert_eq!(story, Story::default());
        story.push(&event(0.3)).unwrap();
        assert_eq!(story.events().unwrap(), [event(0.3)]);
    }
}
