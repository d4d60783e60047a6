//! JPEG (ITU-T T.81) of one component: 8-bit baseline, extended and progressive, lossless to 16 bit.

use jpeg_decoder::{Decoder, PixelFormat};

use super::{CodecError, Samples, Shape, check_depth, check_size, fit, has_end};

pub(super) fn decode(data: &[u8], shape: Shape) -> Result<Samples, CodecError> {
    let frame = Frame::find(data).ok_or_else(|| CodecError::damaged("its JPEG data have no frame"))?;
    check_size(frame.rows, frame.columns, frame.components, shape)?;
    if !frame.lossless && frame.precision != 8 {
        return Err(CodecError::Unsupported(format!("lossy JPEG of {} bit", frame.precision)));
    }
    check_depth(frame.precision, shape)?;
    // The decoder fills what is missing and says nothing.
    if !has_end(data) {
        return Err(CodecError::Unfinished("JPEG"));
    }
    let mut decoder = Decoder::new(data);
    decoder.set_max_decoding_buffer_size(shape.pixels() * 2);
    let bytes = decoder.decode().map_err(CodecError::damaged)?;
    let info = decoder.info().ok_or_else(|| CodecError::damaged("its JPEG data have no frame"))?;
    check_size(info.height.into(), info.width.into(), 1, shape)?;
    match info.pixel_format {
        PixelFormat::L8 if bytes.len() == shape.pixels() => Ok(if shape.allocated == 8 {
            Samples::Byte(bytes)
        } else {
            Samples::Word(bytes.into_iter().map(u16::from).collect())
        }),
        PixelFormat::L16 if bytes.len() == 2 * shape.pixels() => {
            let values = bytes.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]]));
            Ok(fit(values.collect(), shape))
        }
        other => Err(CodecError::damaged(format!("its JPEG data decode to {other:?}"))),
    }
}

/// The frame header of a stream.
struct Frame {
    lossless: bool,
    precision: u16,
    rows: usize,
    columns: usize,
    components: usize,
}

impl Frame {
    /// Finds the start-of-frame segment (T.81, B.2.2).
    fn find(data: &[u8]) -> Option<Self> {
        let mut rest = data.strip_prefix(&[0xFF, 0xD8])?;
        loop {
            let [0xFF, marker, tail @ ..] = rest else { return None };
            if *marker == 0xFF {
                rest = &rest[1..];
                continue;
            }
            let length = usize::from(u16::from_be_bytes(*tail.first_chunk()?));
            let segment = tail.get(2..length)?;
            if matches!(marker, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF) {
                let [precision, r1, r0, c1, c0, components, ..] = *segment else { return None };
                return Some(Self {
                    lossless: *marker == 0xC3,
                    precision: precision.into(),
                    rows: u16::from_be_bytes([r1, r0]).into(),
                    columns: u16::from_be_bytes([c1, c0]).into(),
                    components: components.into(),
                });
            }
            rest = &tail[length..];
        }
    }
}
