//! Lines with a checksum.
//!
//! A line is the JSON object of a [`Record`] whose last field, `check`, holds the first eight
//! hexadecimal digits of the SHA-256 of everything before `,"check":`.

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{Record, RunEvent, VERSION};
use crate::{
    error::{Error, Exit, Result},
    run::time::Timestamp,
};

const FIELD: &str = ",\"check\":\"";
/// The eight digits, the quote and the brace.
const DIGITS: usize = 8;
const END: &str = "\"}";
/// Bytes of a line's checksum with the line end.
pub(super) const END_OF_LINE: usize = FIELD.len() + DIGITS + END.len() + 1;

/// The digits of the checksum that `end` of a file closes with, if it is the end of a whole line.
pub(super) fn check_of_end(end: &[u8]) -> Option<&str> {
    let digits = end.strip_prefix(FIELD.as_bytes())?.strip_suffix(b"\n")?.strip_suffix(END.as_bytes())?;
    std::str::from_utf8(digits).ok().filter(|digits| digits.len() == DIGITS)
}

fn check(body: &[u8]) -> String {
    Sha256::digest(body)[..DIGITS / 2].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes `record` as a line, without the line end.
///
/// # Errors
///
/// Fails if the line would not read back as `record`: JSON has no way to write a number that is
/// infinite or not a number.
pub(super) fn encode(record: &Record) -> Result<String> {
    let unfit = |why: String| {
        Error::new(Exit::Bug, "E0709", format!("event {} cannot be recorded: {why}", record.seq))
            .help("this is a bug of nashost; please report it")
    };
    let mut line = serde_json::to_string(record).map_err(|e| unfit(e.to_string()))?;
    match read(line.as_bytes()) {
        Ok(back) if back == *record => {}
        Ok(_) => return Err(unfit("it holds a number that is not finite".to_owned())),
        Err(error) => return Err(unfit(error.to_string())),
    }
    line.pop();
    let check = check(line.as_bytes());
    line.push_str(FIELD);
    line.push_str(&check);
    line.push_str(END);
    Ok(line)
}

/// Why a line cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    /// The line is not what was written.
    #[error("its checksum does not match its content")]
    Damaged,
    /// Lines are missing or repeated.
    #[error("it is event {found}, not event {expected}")]
    OutOfOrder {
        /// Number on the line.
        found: u64,
        /// Number of the line.
        expected: u64,
    },
    /// A newer version wrote it.
    #[error("it has version {0}, this nashost reads version {VERSION}")]
    Newer(u32),
    /// The checksum is right, yet it is no event.
    #[error("it is no event of version {VERSION}: {0}")]
    Unknown(String),
}

/// Reads a line without its line end, which must be event number `seq`.
pub(super) fn decode(line: &[u8], seq: u64) -> std::result::Result<Record, LineError> {
    let body_length = line.len().checked_sub(FIELD.len() + DIGITS + END.len()).ok_or(LineError::Damaged)?;
    let (body, rest) = line.split_at(body_length);
    if rest != format!("{FIELD}{}{END}", check(body)).as_bytes() {
        return Err(LineError::Damaged);
    }
    let record = read(line).map_err(|error| unknown(line, &error))?;
    if record.v > VERSION {
        Err(LineError::Newer(record.v))
    } else if record.seq == seq {
        Ok(record)
    } else {
        Err(LineError::OutOfOrder { found: record.seq, expected: seq })
    }
}

/// How the event of a candidate begins.
const CANDIDATE: &str = "{\"type\":\"candidate\",";

/// Reads the object of a record. Long searches consist of candidates, which are read at once; for the other
/// kinds serde first puts the fields aside until it knows the kind, in twice the time.
fn read(line: &[u8]) -> serde_json::Result<Record> {
    #[derive(Deserialize)]
    struct Line<'a> {
        v: u32,
        seq: u64,
        time: Timestamp,
        #[serde(borrow)]
        event: &'a RawValue,
    }
    let Line { v, seq, time, event } = serde_json::from_slice(line)?;
    let event = if event.get().starts_with(CANDIDATE) {
        RunEvent::Candidate(serde_json::from_str(event.get())?)
    } else {
        serde_json::from_str(event.get())?
    };
    Ok(Record { v, seq, time, event })
}

/// Why a whole line is no event: a newer version may have events that this one cannot read.
fn unknown(line: &[u8], error: &serde_json::Error) -> LineError {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    match serde_json::from_slice(line) {
        Ok(Version { v }) if v > VERSION => LineError::Newer(v),
        _ => LineError::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::RunEvent, *};
    use crate::run::{
        events::Candidate,
        testing,
        time::Timestamp,
        trial::{EpochReport, TrialEvent},
    };

    fn record(seq: u64, event: RunEvent) -> Record {
        Record { v: VERSION, seq, time: Timestamp::from_millis(1_788_258_127_123).unwrap(), event }
    }

    #[test]
    fn a_line_ends_in_the_checksum_of_what_comes_before() {
        let line = encode(&record(1, RunEvent::Warning { message: "ä\n".to_owned() })).unwrap();
        // The checksum is Python's hashlib.sha256 of the text before `,"check":`.
        assert_eq!(
            line,
            "{\"v\":2,\"seq\":1,\"time\":\"2026-09-01T10:22:07.123Z\",\
             \"event\":{\"type\":\"warning\",\"message\":\"ä\\n\"},\"check\":\"8c3957b8\"}"
        );
    }

    #[test]
    fn lines_of_version_1_are_still_read() {
        let line = "{\"v\":1,\"seq\":1,\"time\":\"2026-09-01T10:22:07.123Z\",\
             \"event\":{\"type\":\"warning\",\"message\":\"ä\\n\"},\"check\":\"6b1bf663\"}";
        let event = RunEvent::Warning { message: "ä\n".to_owned() };
        assert_eq!(decode(line.as_bytes(), 1), Ok(Record { v: 1, ..record(1, event) }));
    }

    #[test]
    fn every_kind_of_event_is_read_back() {
        for (i, event) in testing::run().into_iter().chain(testing::one_shot()).enumerate() {
            let record = record(i as u64 + 1, event);
            let line = encode(&record).unwrap();
            assert_eq!(decode(line.as_bytes(), i as u64 + 1), Ok(record));
        }
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_before_it_is_written() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let candidate = Candidate { value: Some(value), ..testing::candidate(0, 1.0) };
            let error = encode(&record(1, RunEvent::Candidate(candidate))).unwrap_err();
            assert_eq!((error.code, error.exit), ("E0709", Exit::Bug));
        }
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let line = encode(&record(1, testing::run().remove(0))).unwrap().into_bytes();
        for i in 0..line.len() {
            let mut damaged = line.clone();
            damaged[i] ^= 1;
            assert_eq!(decode(&damaged, 1), Err(LineError::Damaged), "byte {i}");
        }
    }

    #[test]
    fn newer_versions_and_wrong_numbers_are_named() {
        let newer = Record { v: VERSION + 1, ..record(1, testing::run().remove(0)) };
        assert_eq!(decode(encode(&newer).unwrap().as_bytes(), 1), Err(LineError::Newer(VERSION + 1)));
        let body = format!("{{\"v\":{},\"seq\":1,\"event\":{{\"type\":\"of-the-future\"}}", VERSION + 1);
        let line = format!("{body}{FIELD}{}{END}", check(body.as_bytes()));
        assert_eq!(
            decode(line.as_bytes(), 1),
            Err(LineError::Newer(VERSION + 1)),
            "an event of another form"
        );
        let line = encode(&record(3, testing::run().remove(0))).unwrap();
        assert_eq!(decode(line.as_bytes(), 2), Err(LineError::OutOfOrder { found: 3, expected: 2 }));
    }

    fn number() -> impl Strategy<Value = f64> {
        use prop::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
        POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
    }

    proptest! {
        #[test]
        fn every_finite_number_and_text_is_read_back(
            value in number(), spread in prop::option::of(number()), seconds in number(),
            origin in any::<String>(), spec in any::<Vec<(String, i64)>>(), id in any::<u64>(),
        ) {
            let spec = spec.into_iter().map(|(k, v)| (k, v.into())).collect::<serde_json::Map<_, _>>();
            let candidate = Candidate {
                id, origin, spread, seconds, value: Some(value), spec: spec.into(),
                ..testing::candidate(0, 0.0)
            };
            let record = record(id, RunEvent::Candidate(candidate));
            prop_assert_eq!(decode(encode(&record).unwrap().as_bytes(), id), Ok(record));
        }

        #[test]
        fn every_epoch_is_read_back(
            epoch in any::<u32>(), train_loss in number(), val_loss in number(), lr in number(),
            values in prop::collection::btree_map(any::<String>(), prop::option::of(number()), 0..4),
        ) {
            let report = EpochReport {
                epoch, train_loss, val_loss, lr,
                val: testing::report(values),
                train_seconds: 1.0, val_seconds: 0.1,
            };
            let event = RunEvent::Trial { trial: 1, attempt: 1, report: TrialEvent::Epoch(report) };
            let record = record(1, event);
            prop_assert_eq!(decode(encode(&record).unwrap().as_bytes(), 1), Ok(record));
        }
    }
}
