//! JPEG (ITU-T T.81) of one component: 8-bit baseline, extended and progressive, lossless to 16 bit.

use jpeg_decoder::{Decoder, PixelFormat};

use super::{CodecError, Samples, Shape, check_depth, check_size, fit, has_end};

const START_OF_SCAN: u8 = 0xDA;
const RESTART_INTERVAL: u8 = 0xDD;

pub(super) fn decode(data: &[u8], shape: Shape) -> Result<Samples, CodecError> {
    let frame = Frame::find(data).ok_or_else(|| CodecError::damaged("its JPEG data have no frame"))?;
    check_size(frame.rows, frame.columns, frame.components, shape)?;
    if !frame.lossless && frame.precision != 8 {
        return Err(CodecError::Unsupported(format!("lossy JPEG of {} bit", frame.precision)));
    }
    check_depth(frame.precision, shape)?;
    if frame.lossless {
        check_lossless(data)?;
    }
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
        let is_frame = |marker| matches!(marker, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF);
        let (marker, segment) = segments(data).find(|(marker, _)| is_frame(*marker))?;
        let [precision, r1, r0, c1, c0, components, ..] = *segment else { return None };
        Some(Self {
            lossless: marker == 0xC3,
            precision: precision.into(),
            rows: u16::from_be_bytes([r1, r0]).into(),
            columns: u16::from_be_bytes([c1, c0]).into(),
            components: components.into(),
        })
    }
}

/// Markers and contents of the segments up to the first scan header, which is the last (T.81, B.1.1.4).
fn segments(data: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = data.strip_prefix(&[0xFF, 0xD8]).unwrap_or_default();
    std::iter::from_fn(move || {
        while let [0xFF, 0xFF, ..] = rest {
            rest = &rest[1..];
        }
        let [0xFF, marker, tail @ ..] = rest else { return None };
        let length = usize::from(u16::from_be_bytes(*tail.first_chunk()?));
        let segment = tail.get(2..length)?;
        rest = if *marker == START_OF_SCAN { &[] } else { &tail[length..] };
        Some((*marker, segment))
    })
}

/// Refuses what the decoder turns into other pixels without saying so.
fn check_lossless(data: &[u8]) -> Result<(), CodecError> {
    let unsupported = |what: &str| Err(CodecError::Unsupported(format!("lossless JPEG with {what}")));
    for (marker, segment) in segments(data) {
        match (marker, segment) {
            (RESTART_INTERVAL, interval) if interval.iter().any(|&byte| byte != 0) => {
                return unsupported("restart intervals");
            }
            // Its lower half is Al (T.81, B.2.3).
            (START_OF_SCAN, [.., last]) if last & 0x0F != 0 => return unsupported("a point transform"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// A lossless stream of the fixtures, with the shape that its header says.
    fn stream() -> (Vec<u8>, Shape) {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/dicom/RG3_jpegll_sv1.dcm");
        let file = fs::read(path).unwrap();
        let start = file.windows(4).position(|bytes| bytes == [0xFF, 0xD8, 0xFF, 0xE0]).unwrap();
        let end = file.windows(2).rposition(|bytes| bytes == [0xFF, 0xD9]).unwrap() + 2;
        let data = file[start..end].to_vec();
        let Frame { precision, rows, columns, .. } = Frame::find(&data).unwrap();
        let shape =
            Shape { rows, columns, allocated: 16, stored: precision, signed: false, big_endian: false };
        (data, shape)
    }

    #[test]
    fn restart_intervals_of_lossless_streams_are_refused() {
        let (data, shape) = stream();
        let whole = decode(&data, shape).unwrap();
        let with_interval = |interval: u8| {
            let mut data = data.clone();
            data.splice(2..2, [0xFF, RESTART_INTERVAL, 0, 4, 0, interval]);
            decode(&data, shape)
        };
        assert_eq!(with_interval(0).unwrap(), whole, "0 means none");
        let error = with_interval(64).unwrap_err().to_string();
        assert!(error.contains("lossless JPEG with restart intervals"), "{error}");
    }

    #[test]
    fn point_transforms_of_lossless_streams_are_refused() {
        let (mut data, shape) = stream();
        let scan = data.windows(2).position(|bytes| bytes == [0xFF, START_OF_SCAN]).unwrap();
        let last = scan + 1 + usize::from(data[scan + 3]);
        assert_eq!(data[last], 0);
        data[last] = 1;
        let error = decode(&data, shape).unwrap_err().to_string();
        assert!(error.contains("lossless JPEG with a point transform"), "{error}");
    }
}
