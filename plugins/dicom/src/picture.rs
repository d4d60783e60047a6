//! One file to one picture.

use std::{borrow::Cow, path::Path};

use nashost_plugin_api::dataset::Pixels;

use crate::{
    codec::{CodecError, Samples, decode},
    config::{DicomConfig, Frames},
    file::{Codec, DataSet, FileError, PixelBytes},
    header::{HeaderError, PixelHeader},
    intensity::{IntensityError, shades},
};

/// A file that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PictureError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Intensity(#[from] IntensityError),
    #[error("has no pixel data")]
    NoPixels,
    #[error("has {0} frames; `frames = \"first\"` takes the first")]
    Frames(usize),
    #[error("is damaged: its pixel data are not stored as its transfer syntax says")]
    Storage,
    #[error("is damaged: it does not say where its first frame ends")]
    FirstFrame,
}

/// Decodes a file to shades of grey at its own size.
pub(crate) fn picture(path: &Path, config: &DicomConfig) -> Result<Pixels, PictureError> {
    let (samples, header) = stored(&DataSet::read(path)?, config.frames)?;
    Ok(shades(samples, &header, config)?)
}

/// Decodes the stored values of the only or first frame.
pub(crate) fn stored(data: &DataSet, frames: Frames) -> Result<(Samples, PixelHeader), PictureError> {
    let (elements, pixels) = data.image()?;
    let pixels = pixels.ok_or(PictureError::NoPixels)?;
    let mut header = PixelHeader::of(&elements, data.syntax.encoding.big_endian)?;
    if header.shape.allocated == 8 && matches!(pixels, PixelBytes::Native { words: false, .. }) {
        // Bytes have no order.
        header.shape.big_endian = false;
    }
    if header.frames > 1 && frames == Frames::Refuse {
        return Err(PictureError::Frames(header.frames));
    }
    let frame = frame(&pixels, data.syntax.codec, header.frames)?;
    Ok((decode(data.syntax.codec, &frame, header.shape)?, header))
}

/// The bytes of the first frame.
fn frame<'a>(pixels: &PixelBytes<'a>, codec: Codec, frames: usize) -> Result<Cow<'a, [u8]>, PictureError> {
    match (pixels, codec) {
        (PixelBytes::Native { bytes, .. }, Codec::Native) => Ok(Cow::Borrowed(bytes)),
        (PixelBytes::Encapsulated { .. }, Codec::Native) | (PixelBytes::Native { .. }, _) => {
            Err(PictureError::Storage)
        }
        (PixelBytes::Encapsulated { offsets, fragments }, _) => {
            let count = fragments_of_first(offsets, fragments, frames).ok_or(PictureError::FirstFrame)?;
            Ok(match &fragments[..count] {
                [only] => Cow::Borrowed(only),
                several => Cow::Owned(several.concat()),
            })
        }
    }
}

/// How many fragments the first frame has: all, one each, or those in front of the second offset (PS3.5,
/// annex A.4).
fn fragments_of_first(offsets: &[u8], fragments: &[&[u8]], frames: usize) -> Option<usize> {
    if fragments.is_empty() {
        return None;
    }
    if frames == 1 {
        return Some(fragments.len());
    }
    if frames == fragments.len() {
        return Some(1);
    }
    let second = u32::from_le_bytes(*offsets.get(4..)?.first_chunk()?) as usize;
    let mut end = 0;
    let count = fragments.iter().take_while(|fragment| {
        // Each stands behind its tag and length.
        end += 8 + fragment.len();
        end <= second
    });
    Some(count.count()).filter(|&count| count > 0)
}
