//! The file `events.jsonl`: appended to, synced, never rewritten.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    Candidate, Record, RunEvent, VERSION,
    codec::{self, LineError},
};
use crate::{
    error::{Error, Exit, Result},
    run::{atomic, fault::io_error, time::Timestamp},
};

/// The writing end. One process at a time may have one: see [`Claim`](crate::run::Claim).
#[derive(Debug)]
pub struct EventLog {
    file: File,
    path: PathBuf,
    /// Events written.
    seq: u64,
    /// Bytes of whole lines.
    length: u64,
}

impl EventLog {
    /// Starts a log.
    ///
    /// # Errors
    ///
    /// Fails if `path` exists or cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let open = || {
            let file = OpenOptions::new().append(true).create_new(true).open(path)?;
            atomic::sync_folder(path.parent().unwrap_or(Path::new(".")))?;
            Ok(file)
        };
        let file = open().map_err(|e| io_error("create", path, &e))?;
        Ok(Self { file, path: path.to_owned(), seq: 0, length: 0 })
    }

    /// Continues a log after showing `visit` what it holds. The rest of a line that was being
    /// written when the last process died is cut off: nobody was told that it was written.
    ///
    /// # Errors
    ///
    /// Fails if a whole line is damaged, `visit` fails, or the file cannot be written.
    pub fn reopen(path: &Path, mut visit: impl FnMut(&Record) -> Result<()>) -> Result<Self> {
        let mut reader = Reader::open(path)?;
        for record in &mut reader {
            visit(&record?)?;
        }
        let (seq, length) = (reader.seq, reader.length);
        let open = || {
            let file = OpenOptions::new().append(true).open(path)?;
            if file.metadata()?.len() > length {
                file.set_len(length)?;
                file.sync_all()?;
            }
            Ok(file)
        };
        let file = open().map_err(|e| io_error("write to", path, &e))?;
        Ok(Self { file, path: path.to_owned(), seq, length })
    }

    /// Writes `events` and returns when they are on the disk: all of them, for one sync.
    ///
    /// # Errors
    ///
    /// Fails if an event cannot be written as JSON or the disk refuses; the log is then as before.
    pub fn append(&mut self, events: Vec<RunEvent>) -> Result<Vec<Record>> {
        let time = Timestamp::now();
        let mut lines = String::new();
        let mut records = Vec::with_capacity(events.len());
        for (seq, event) in (self.seq + 1..).zip(events) {
            let record = Record { v: VERSION, seq, time, event };
            lines.push_str(&codec::encode(&record)?);
            lines.push('\n');
            records.push(record);
        }
        if let Err(error) = self.write(lines.as_bytes()) {
            // A failed cut leaves what the next `write`, or `reopen`, cuts.
            let _ = self.file.set_len(self.length);
            return Err(io_error("write to", &self.path, &error));
        }
        self.seq += records.len() as u64;
        self.length += lines.len() as u64;
        Ok(records)
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.file.metadata()?.len() != self.length {
            self.file.set_len(self.length)?;
        }
        self.file.write_all(lines)?;
        self.file.sync_data()
    }
}

/// Most lines that are decoded side by side.
const BLOCK: usize = 512;

/// The reading end: yields the events in order, and stops before a torn last line. Lines are decoded in
/// threads, more and more of them at a time: some readers want no more than the first.
#[derive(Debug)]
pub struct Reader {
    file: BufReader<File>,
    path: PathBuf,
    /// Lines to decode next.
    block: usize,
    /// Decoded lines that nobody took yet, each with its bytes.
    ready: VecDeque<(usize, std::result::Result<Record, Unreadable>)>,
    /// Events read.
    seq: u64,
    /// Bytes of the lines read.
    length: u64,
}

impl Reader {
    /// Opens a log that another process may be writing.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| io_error("open", path, &e))?;
        let file = BufReader::new(file);
        Ok(Self { file, path: path.to_owned(), block: 1, ready: VecDeque::new(), seq: 0, length: 0 })
    }

    fn refuse(&self, error: LineError) -> Error {
        let line = self.seq + 1;
        let message = format!("{}, line {line}: {error}", self.path.display());
        match error {
            LineError::Newer(_) => Error::new(Exit::Environment, "E0708", message)
                .help("use the nashost that wrote this run, or a newer one"),
            LineError::Damaged | LineError::OutOfOrder { .. } | LineError::Unknown(_) => {
                Error::new(Exit::Environment, "E0707", message).help(format!(
                    "restore the file from a copy; {} events before that line are sound",
                    self.seq
                ))
            }
        }
    }

    /// Reads and decodes the next lines.
    fn fill(&mut self) {
        let mut lines = Vec::with_capacity(self.block);
        let mut failure = None;
        while lines.len() < self.block {
            let mut line = Vec::new();
            match self.file.read_until(b'\n', &mut line) {
                Err(error) => failure = Some((0, Err(Unreadable::File(error)))),
                Ok(_) if line.ends_with(b"\n") => {
                    lines.push(line);
                    continue;
                }
                Ok(_) => {}
            }
            break;
        }
        let first = self.seq + 1;
        let decoded: Vec<_> = lines
            .par_iter()
            .enumerate()
            .map(|(index, line)| {
                let record = codec::decode(&line[..line.len() - 1], first + index as u64);
                (line.len(), record.map_err(Unreadable::Line))
            })
            .collect();
        self.ready.extend(decoded);
        self.ready.extend(failure);
        self.block = (4 * self.block).min(BLOCK);
    }
}

/// Why a line has no event.
#[derive(Debug)]
enum Unreadable {
    File(io::Error),
    Line(LineError),
}

impl Iterator for Reader {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            self.fill();
        }
        let (bytes, decoded) = self.ready.pop_front()?;
        Some(match decoded {
            Ok(record) => {
                self.seq += 1;
                self.length += bytes as u64;
                Ok(record)
            }
            Err(Unreadable::File(error)) => Err(io_error("read", &self.path, &error)),
            Err(Unreadable::Line(error)) => Err(self.refuse(error)),
        })
    }
}

/// Returns the candidates of the log at `path`, in their order.
///
/// # Errors
///
/// Fails if the file cannot be opened; each item fails as those of [`Reader`].
pub fn candidates(path: &Path) -> Result<impl Iterator<Item = Result<Candidate>>> {
    Ok(Reader::open(path)?.filter_map(|record| match record.map(|record| record.event) {
        Ok(RunEvent::Candidate(candidate)) => Some(Ok(candidate)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    }))
}

/// The length of a log and the checksum of its last line. A log is only ever appended to, so equal stamps
/// of one log mean equal events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    bytes: u64,
    check: String,
}

impl Stamp {
    /// Reads the stamp of the log at `path`; there is none if its last line is torn, or it has no line.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        let read = || {
            let mut file = File::open(path)?;
            let bytes = file.metadata()?.len();
            let mut end = vec![0; bytes.min(codec::END_OF_LINE as u64) as usize];
            file.seek(SeekFrom::End(-(end.len() as i64)))?;
            file.read_exact(&mut end)?;
            Ok(codec::check_of_end(&end).map(|check| Self { bytes, check: check.to_owned() }))
        };
        read().map_err(|e| io_error("read", path, &e))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::run::testing;

    fn written(path: &Path) -> Vec<Record> {
        EventLog::create(path).unwrap().append(testing::run()).unwrap()
    }

    fn read(path: &Path) -> Result<Vec<Record>> {
        Reader::open(path)?.collect()
    }

    #[test]
    fn a_log_cut_at_any_byte_holds_a_prefix_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let warning = |message: &str| RunEvent::Warning { message: message.to_owned() };
        let events = vec![warning("ä"), RunEvent::Candidate(testing::candidate(0, 0.1)), warning("")];
        let records = EventLog::create(&path).unwrap().append(events).unwrap();
        let bytes = fs::read(&path).unwrap();
        for length in 0..=bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let kept = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(read(&path).unwrap(), records[..kept], "reading {length} bytes");
            let mut seen = Vec::new();
            let visit = |record: &Record| {
                seen.push(record.clone());
                Ok(())
            };
            let mut log = EventLog::reopen(&path, visit).unwrap();
            assert_eq!(seen, records[..kept], "reopening {length} bytes");
            let added = log.append(vec![warning("on")]).unwrap();
            let whole = read(&path).unwrap();
            assert_eq!(whole, [&records[..kept], &added].concat(), "going on after {length} bytes");
        }
    }

    #[test]
    fn damage_to_a_whole_line_is_refused_with_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        written(&path);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let changed = lines[3].replacen(':', ": ", 1);
        let mut damaged: Vec<&str> = lines.clone();
        damaged[3] = &changed;
        let mut missing = lines.clone();
        missing.remove(3);
        let mut repeated = lines.clone();
        repeated[3] = lines[2];
        let mut empty = lines.clone();
        empty[3] = "";
        for (what, lines) in
            [("damaged", damaged), ("missing", missing), ("repeated", repeated), ("empty", empty)]
        {
            let bytes = lines.join("\n") + "\n";
            fs::write(&path, &bytes).unwrap();
            for error in [read(&path).unwrap_err(), EventLog::reopen(&path, |_| Ok(())).unwrap_err()] {
                assert_eq!((error.code, error.exit), ("E0707", Exit::Environment), "{what}");
                assert!(error.message.contains("line 4"), "{what}: {}", error.message);
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), bytes, "a damaged log is left as it is");
        }
    }

    #[test]
    fn a_long_log_is_read_in_order_up_to_its_first_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let events = (0..3 * BLOCK as u64).map(|id| RunEvent::Candidate(testing::candidate(id, 0.1)));
        let records = EventLog::create(&path).unwrap().append(events.collect()).unwrap();
        assert_eq!(read(&path).unwrap(), records);
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        let fault = 2 * BLOCK + 7;
        lines[fault] = "damaged";
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        let mut reader = Reader::open(&path).unwrap();
        let sound: Vec<Record> = reader.by_ref().map_while(Result::ok).collect();
        assert_eq!(sound, records[..fault]);
        let error = read(&path).unwrap_err();
        assert!(error.message.contains(&format!("line {}", fault + 1)), "{}", error.message);
    }

    #[test]
    fn a_stamp_changes_with_every_event_and_a_torn_line_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = EventLog::create(&path).unwrap();
        assert_eq!(Stamp::of(&path).unwrap(), None);
        let mut seen = Vec::new();
        for message in ["a", "b", "b"] {
            log.append(vec![RunEvent::Warning { message: message.to_owned() }]).unwrap();
            let stamp = Stamp::of(&path).unwrap().unwrap();
            assert!(!seen.contains(&stamp));
            seen.push(stamp);
        }
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(Stamp::of(&path).unwrap(), None);
    }

    #[test]
    fn a_log_is_never_started_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        written(&path);
        assert_eq!(EventLog::create(&path).unwrap_err().code, "E0702");
    }

    #[test]
    fn an_event_that_cannot_be_written_leaves_the_log_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = EventLog::create(&path).unwrap();
        log.append(vec![testing::run().remove(0)]).unwrap();
        let good = fs::read(&path).unwrap();
        let bad = RunEvent::Candidate(testing::candidate(0, f64::NAN));
        assert_eq!(
            log.append(vec![RunEvent::Candidate(testing::candidate(1, 1.0)), bad]).unwrap_err().code,
            "E0709"
        );
        assert_eq!(fs::read(&path).unwrap(), good);
        log.append(vec![RunEvent::Candidate(testing::candidate(1, 1.0))]).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2);
    }

    #[test]
    fn the_rest_of_a_failed_write_is_cut_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = EventLog::create(&path).unwrap();
        let [first, second] = ["a", "b"].map(|text| RunEvent::Warning { message: text.to_owned() });
        log.append(vec![first]).unwrap();
        // Part of a line, as a write leaves it that fails in the middle and cannot be taken back.
        let mut rest = OpenOptions::new().append(true).open(&path).unwrap();
        rest.write_all(b"{\"v\":1,\"seq\":2,\"ti").unwrap();
        log.append(vec![second]).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2);
    }

    #[test]
    fn a_full_disk_has_its_own_code() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = EventLog::create(&path).unwrap();
        log.file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let error = log.append(vec![testing::run().remove(0)]).unwrap_err();
        assert_eq!((error.code, error.exit), ("E0703", Exit::Environment));
        assert_eq!(log.seq, 0);
    }
}
