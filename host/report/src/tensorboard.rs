//! Learning curves as TensorBoard reads them.
//!
//! A file is a sequence of records of TensorFlow's TFRecord format, each a protocol buffer `Event` of
//! `tensorflow/core/util/event.proto`; only what scalars need of both is written.

use std::path::PathBuf;

use crate::data::{ReportData, Trial};

/// Reflected polynomial of CRC-32C (Castagnoli).
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// What TFRecord adds to a rotated checksum.
const MASK: u32 = 0xa282_ead8;

/// Wire types of protocol buffers.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// Returns one event file per training, with its path below a log folder: `zennas-T0001/events.out…`.
///
/// Tags are `loss/train`, `loss/val` and `val/<metric>`; the step is the epoch. The clock of TensorBoard
/// shows seconds since the training began. Undefined values are left out.
pub fn tensorboard(data: &ReportData) -> Vec<(PathBuf, Vec<u8>)> {
    let trained = data.methods.iter().flat_map(|method| {
        method.trials.iter().filter(|trial| !trial.epochs.is_empty()).map(move |trial| (method, trial))
    });
    trained
        .map(|(method, trial)| {
            let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
            let folder = format!("{}-{}", method.name, trial.name).chars().map(plain).collect::<String>();
            // TensorBoard tells event files by this part of their name.
            (PathBuf::from(folder).join("events.out.tfevents.0.nashost"), events(trial))
        })
        .collect()
}

fn events(trial: &Trial) -> Vec<u8> {
    let mut file = Vec::new();
    let mut version = Message::default();
    version.double(1, 0.0);
    version.bytes(3, b"brain.Event:2");
    record(&mut file, &version.0);
    let mut seconds = 0.0;
    for epoch in &trial.epochs {
        seconds += epoch.seconds;
        let losses = [("loss/train".to_owned(), epoch.train_loss), ("loss/val".to_owned(), epoch.val_loss)];
        let metrics = epoch.val.iter().filter_map(|(name, value)| Some((format!("val/{name}"), (*value)?)));
        let mut summary = Message::default();
        for (tag, number) in losses.into_iter().chain(metrics) {
            let mut value = Message::default();
            value.bytes(1, tag.as_bytes());
            value.float(2, number as f32);
            summary.bytes(1, &value.0);
        }
        let mut event = Message::default();
        event.double(1, seconds);
        event.integer(2, u64::from(epoch.epoch));
        event.bytes(5, &summary.0);
        record(&mut file, &event.0);
    }
    file
}

/// Adds a record: length, its checksum, data, their checksum.
fn record(file: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked(&length).to_le_bytes());
    file.extend(data);
    file.extend(masked(data).to_le_bytes());
}

fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(MASK)
}

fn crc32c(data: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
    !data.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// A protocol buffer being written.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn integer(&mut self, field: u64, value: u64) {
        self.key(field, VARINT);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, FIXED64);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, FIXED32);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, BYTES);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, B.4: 32 zeros, and the check value of the catalogue of CRCs.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_file_is_records_of_events() {
        let files = tensorboard(&testing::report());
        let names: Vec<_> = files.iter().map(|(path, _)| path.to_string_lossy().into_owned()).collect();
        assert_eq!(
            names,
            ["zennas-T0001/events.out.tfevents.0.nashost", "resnet-T0001/events.out.tfevents.0.nashost"]
        );
        let mut rest = &files[0].1[..];
        let mut events = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let number = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            assert_eq!(number(8), masked(&rest[..8]));
            let data = &rest[12..12 + length];
            assert_eq!(number(12 + length), masked(data));
            events.push(data);
            rest = &rest[16 + length..];
        }
        assert_eq!(events.len(), 5, "the version and four epochs");
        assert_eq!(&events[0][9..], b"\x1a\x0dbrain.Event:2");
        // Seconds, step 1, a summary with two losses and one metric: the other is undefined.
        assert_eq!(events[1][..11], [&[9][..], &2.5_f64.to_le_bytes(), &[16, 1]].concat());
        let text = String::from_utf8_lossy(events[1]);
        assert!(
            text.contains("loss/train") && text.contains("val/macro_f1") && !text.contains("macro_auroc")
        );
    }
}
