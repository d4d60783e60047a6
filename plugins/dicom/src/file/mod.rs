//! DICOM files (PS3.10): preamble, meta information, data set.

mod elements;
mod syntax;

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

pub(crate) use self::{
    elements::{Elements, Encoding, PixelBytes, Tag},
    syntax::{Codec, Syntax},
};

/// Bytes of a file, and of what a deflated one unfolds to, at most: a small file must not fill the memory.
const MAX_BYTES: u64 = 1 << 30;
/// A deflated part may unfold to so many bytes whatever its length,
const SMALL: u64 = 64 << 20;
/// and else to so many times its length. Radiographs come to two or three times, a bomb to a thousand.
const MOST_TIMES: u64 = 200;
/// Bytes read for a header at first; icons and private elements may need more.
const HEADER_BYTES: u64 = 64 << 10;
/// (0002,0010)
const TRANSFER_SYNTAX: Tag = 0x0002_0010;
/// Preamble and mark.
const PREAMBLE: usize = 132;

/// A file that cannot be read as DICOM.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is no DICOM file: the mark DICM is missing")]
    Mark,
    #[error("is larger than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    #[error("is truncated")]
    Truncated,
    #[error("is damaged: {0}")]
    Structure(&'static str),
    #[error("is damaged: its deflated part cannot be unfolded")]
    Deflate,
    #[error("is no image: its {packed} deflated bytes unfold to more than {most}")]
    Bomb { packed: usize, most: u64 },
    #[error("has no transfer syntax")]
    NoSyntax,
    #[error(
        "has the unsupported transfer syntax {0}; convert it, for example with dcmtk's dcmconv or dcmdjpeg"
    )]
    Syntax(String),
}

/// The bytes of a file's data set, and how they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataSet {
    pub(crate) syntax: Syntax,
    bytes: Vec<u8>,
    /// Where the data set begins in `bytes`.
    start: usize,
}

impl DataSet {
    /// Reads a whole file.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        Self::parse(read_at_most(path, MAX_BYTES + 1)?)
    }

    /// Reads `bytes` as a whole file.
    pub(crate) fn parse(mut bytes: Vec<u8>) -> Result<Self, FileError> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(FileError::TooLarge);
        }
        let (uid, body) = split(&bytes)?;
        let syntax = Syntax::of(&uid).ok_or_else(|| unsupported(&uid))?;
        let mut start = bytes.len() - body.len();
        if syntax.deflated {
            let mut inflated = Vec::new();
            let most = (body.len() as u64 * MOST_TIMES).clamp(SMALL, MAX_BYTES);
            let mut inflater = flate2::read::DeflateDecoder::new(body).take(most + 1);
            inflater.read_to_end(&mut inflated).map_err(|_| FileError::Deflate)?;
            if inflated.len() as u64 > most {
                return Err(FileError::Bomb { packed: body.len(), most });
            }
            bytes = inflated;
            start = 0;
        }
        Ok(Self { syntax, bytes, start })
    }

    /// The elements in front of the pixel data.
    pub(crate) fn elements(&self) -> Result<Elements<'_>, FileError> {
        Ok(Elements::read(&self.bytes[self.start..], self.syntax.encoding)?.0)
    }

    /// The elements in front of the pixel data, and the pixel data.
    pub(crate) fn image(&self) -> Result<(Elements<'_>, Option<PixelBytes<'_>>), FileError> {
        let (elements, cursor) = Elements::read(&self.bytes[self.start..], self.syntax.encoding)?;
        let pixels = cursor.map(|cursor| cursor.pixels()).transpose()?;
        Ok((elements, pixels))
    }
}

/// Calls `look` with the elements in front of the pixel data and whether there are pixel data, reading no
/// more of the file than it takes. Pixels of an unknown transfer syntax are compressed in some way, and headers of
/// such files are in explicit little endian (PS3.5, annex A.4), so it is known whose they are.
pub(crate) fn with_header<T>(
    path: &Path,
    look: impl FnOnce(&Elements<'_>, bool) -> T,
) -> Result<T, FileError> {
    let mut limit = HEADER_BYTES;
    loop {
        let bytes = read_at_most(path, limit)?;
        let all = (bytes.len() as u64) < limit;
        let (uid, body) = match split(&bytes) {
            Err(FileError::Truncated) if !all && limit < MAX_BYTES => {
                limit *= 16;
                continue;
            }
            other => other?,
        };
        let syntax = Syntax::of(&uid);
        if syntax.is_some_and(|syntax| syntax.deflated) {
            let whole = DataSet::read(path)?;
            let (elements, pixels) = Elements::read(&whole.bytes[whole.start..], whole.syntax.encoding)?;
            return Ok(look(&elements, pixels.is_some()));
        }
        match Elements::read(body, syntax.map_or(Encoding::EXPLICIT_LITTLE, |syntax| syntax.encoding)) {
            // Without pixel data in sight, the end of what was read need not be the end of the file.
            Ok((_, None)) | Err(FileError::Truncated) if !all && limit < MAX_BYTES => limit *= 16,
            Err(_) if syntax.is_none() => return Err(unsupported(&uid)),
            other => {
                let (elements, pixels) = other?;
                return Ok(look(&elements, pixels.is_some()));
            }
        }
    }
}

/// Whether a file carries the mark of DICOM.
pub(crate) fn has_mark(path: &Path) -> io::Result<bool> {
    let mut start = [0; PREAMBLE];
    match File::open(path)?.read_exact(&mut start) {
        Ok(()) => Ok(start.ends_with(b"DICM")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let expected = file.metadata()?.len().min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Transfer syntax of a file, and the bytes behind its meta information.
fn split(bytes: &[u8]) -> Result<(String, &[u8]), FileError> {
    if bytes.len() < PREAMBLE || !bytes[..PREAMBLE].ends_with(b"DICM") {
        return Err(FileError::Mark);
    }
    let (meta, body) = Elements::read_group(&bytes[PREAMBLE..], Encoding::EXPLICIT_LITTLE, 2)?;
    let uid = meta.text(TRANSFER_SYNTAX).ok_or(FileError::NoSyntax)?;
    Ok((uid, body))
}

fn unsupported(uid: &str) -> FileError {
    // A damaged file must not write what it likes into messages.
    FileError::Syntax(uid.chars().filter(|c| c.is_ascii_digit() || *c == '.').take(64).collect())
}
