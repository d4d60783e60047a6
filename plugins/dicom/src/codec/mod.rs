//! One frame's bytes to stored values.

mod jpeg;
mod jpeg2000;
mod jpegls;
mod rle;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::file::Codec;

/// What the header says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// 8 or 16.
    pub(crate) allocated: u16,
    /// Significant bits, the lowest ones.
    pub(crate) stored: u16,
    pub(crate) signed: bool,
    /// Uncompressed values stand in words whose higher byte comes first.
    pub(crate) big_endian: bool,
}

impl Shape {
    pub(crate) fn pixels(self) -> usize {
        self.rows * self.columns
    }

    fn bytes(self) -> usize {
        self.pixels() * usize::from(self.allocated / 8)
    }
}

/// Stored values, rows × columns; bits beyond the stored ones are not cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Samples {
    Byte(Vec<u8>),
    Word(Vec<u16>),
}

/// A frame that cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("is truncated: {0} of {1} bytes of pixels")]
    Short(usize, usize),
    #[error("is truncated: the {0} data have no end")]
    Unfinished(&'static str),
    #[error("is damaged: {0}")]
    Damaged(String),
    #[error("holds {found}, but its header says {expected}")]
    Mismatch { found: String, expected: String },
    #[error("is compressed in an unsupported way: {0}; convert it, for example with dcmtk's dcmdjpeg")]
    Unsupported(String),
}

impl CodecError {
    fn damaged(reason: impl ToString) -> Self {
        Self::Damaged(reason.to_string())
    }
}

/// Decodes one frame.
pub(crate) fn decode(codec: Codec, data: &[u8], shape: Shape) -> Result<Samples, CodecError> {
    match codec {
        Codec::Native => native(data, shape),
        Codec::Rle => rle::decode(data, shape),
        Codec::JpegLs => jpegls::decode(data, shape),
        Codec::Jpeg => guarded(|| jpeg::decode(data, shape)),
        Codec::Jpeg2000 => guarded(|| jpeg2000::decode(data, shape)),
    }
}

/// A library that panics over a damaged file costs that file, not the dataset.
fn guarded(decode: impl FnOnce() -> Result<Samples, CodecError>) -> Result<Samples, CodecError> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(CodecError::damaged("its decoder gave up over it")))
}

fn native(data: &[u8], shape: Shape) -> Result<Samples, CodecError> {
    let (length, expected) = (data.len(), shape.bytes());
    // Swapped words are whole, also for an odd number of bytes.
    let needed = if shape.big_endian { expected.next_multiple_of(2) } else { expected };
    let data = data.get(..needed).ok_or(CodecError::Short(length, needed))?;
    Ok(match (shape.allocated, shape.big_endian) {
        // Two pixels in one word, the first in the lower byte (PS3.5, section 8.1.1).
        (8, true) => Samples::Byte((0..expected).map(|i| data[i ^ 1]).collect()),
        (8, false) => Samples::Byte(data.to_vec()),
        (_, true) => Samples::Word(words(data, u16::from_be_bytes)),
        (_, false) => Samples::Word(words(data, u16::from_le_bytes)),
    })
}

fn words(data: &[u8], read: impl Fn([u8; 2]) -> u16) -> Vec<u16> {
    data.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect()
}

/// The size in a compressed stream must be that of the header.
fn check_size(rows: usize, columns: usize, components: usize, shape: Shape) -> Result<(), CodecError> {
    if (rows, columns, components) == (shape.rows, shape.columns, 1) {
        return Ok(());
    }
    Err(CodecError::Mismatch {
        found: format!("{rows} × {columns} pixels of {components} components"),
        expected: format!("{} × {} of 1", shape.rows, shape.columns),
    })
}

/// The depth in a compressed stream must fit into the header's.
fn check_depth(precision: u16, shape: Shape) -> Result<(), CodecError> {
    if (shape.stored..=shape.allocated).contains(&precision) {
        return Ok(());
    }
    Err(CodecError::Mismatch {
        found: format!("{precision} bit"),
        expected: format!("{} of {} bit", shape.stored, shape.allocated),
    })
}

/// Values of a stream of at most 16 bit as the header stores them.
fn fit(values: Vec<u16>, shape: Shape) -> Samples {
    if shape.allocated == 8 {
        Samples::Byte(values.into_iter().map(|value| value as u8).collect())
    } else {
        Samples::Word(values)
    }
}

/// Whether a JPEG stream of any kind ends with its end marker, but for padding.
fn has_end(data: &[u8]) -> bool {
    let end = data.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    data[..end].ends_with(&[0xFF, 0xD9])
}
