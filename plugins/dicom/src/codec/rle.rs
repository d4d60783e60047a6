//! RLE (DICOM PS3.5, annex G): one PackBits segment per byte of a pixel, the highest byte first.

use super::{CodecError, Samples, Shape};

/// Number of segments and 15 offsets, 32 bit each.
const HEADER: usize = 64;

pub(super) fn decode(data: &[u8], shape: Shape) -> Result<Samples, CodecError> {
    let header = data.first_chunk::<HEADER>().ok_or(CodecError::Short(data.len(), HEADER))?;
    let number = |i: usize| {
        u32::from_le_bytes([header[4 * i], header[4 * i + 1], header[4 * i + 2], header[4 * i + 3]])
    };
    let expected = usize::from(shape.allocated / 8);
    if number(0) as usize != expected {
        let found = format!("{} RLE segments", number(0));
        return Err(CodecError::Mismatch { found, expected: expected.to_string() });
    }
    let segment = |i: usize| {
        let start = number(i + 1) as usize;
        let end = if i + 1 < expected { number(i + 2) as usize } else { data.len() };
        data.get(start.max(HEADER)..end).ok_or_else(|| CodecError::damaged("RLE offsets beyond its end"))
    };
    let high = unpack(segment(0)?, shape.pixels())?;
    if expected == 1 {
        return Ok(Samples::Byte(high));
    }
    let low = unpack(segment(1)?, shape.pixels())?;
    let words = high.iter().zip(&low).map(|(&high, &low)| u16::from_be_bytes([high, low]));
    Ok(Samples::Word(words.collect()))
}

/// Unpacks exactly `length` bytes.
fn unpack(mut packed: &[u8], length: usize) -> Result<Vec<u8>, CodecError> {
    // A pair of bytes makes 128 at most, so `length` may not decide alone what is allocated.
    let mut bytes = Vec::with_capacity(length.min(packed.len().saturating_mul(64)));
    while bytes.len() < length {
        let Some((&control, rest)) = packed.split_first() else {
            return Err(CodecError::Short(bytes.len(), length));
        };
        let room = length - bytes.len();
        packed = match control {
            0..=127 => {
                let count = usize::from(control) + 1;
                let literal = rest.get(..count).ok_or(CodecError::Short(bytes.len(), length))?;
                bytes.extend_from_slice(&literal[..count.min(room)]);
                &rest[count..]
            }
            128 => rest,
            129..=255 => {
                let (&value, rest) = rest.split_first().ok_or(CodecError::Short(bytes.len(), length))?;
                bytes.resize(bytes.len() + (257 - usize::from(control)).min(room), value);
                rest
            }
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Apple's Technical Note TN1023 on PackBits.
    #[test]
    fn packbits_example() {
        let packed =
            [0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7, 0xAA];
        let mut expected =
            vec![0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22];
        expected.extend([0xAA; 10]);
        assert_eq!(unpack(&packed, 24).unwrap(), expected);
        assert!(unpack(&packed[..14], 24).unwrap_err().to_string().contains("truncated"));
        assert!(unpack(&packed, 25).is_err());
    }
}
