//! JPEG 2000 code streams (ITU-T T.800) of one unsigned component.

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use super::{CodecError, Samples, Shape, check_depth, check_size, fit, has_end};

/// Tiles that a code stream can number (T.800, A.4.2).
const MAX_TILES: usize = 65_535;

pub(super) fn decode(data: &[u8], shape: Shape) -> Result<Samples, CodecError> {
    let size = Size::read(data).ok_or_else(|| CodecError::damaged("its JPEG 2000 data have no size"))?;
    check_size(size.rows, size.columns, size.components, shape)?;
    if size.signed {
        return Err(CodecError::Unsupported("JPEG 2000 of signed values".to_owned()));
    }
    check_depth(size.precision, shape)?;
    if size.tiles > MAX_TILES {
        return Err(CodecError::damaged("more JPEG 2000 tiles than can be"));
    }
    if !has_end(data) {
        return Err(CodecError::Unfinished("JPEG 2000"));
    }
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let image = Image::new(data, &settings).map_err(CodecError::damaged)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(CodecError::damaged)?;
    let [component] = decoded.components() else {
        return Err(CodecError::damaged("its JPEG 2000 data decode to several components"));
    };
    let samples = component.samples();
    if samples.len() != shape.pixels() {
        return Err(CodecError::Short(samples.len(), shape.pixels()));
    }
    let largest = ((1u32 << size.precision) - 1) as f32;
    // Lossy streams overshoot.
    let values = samples.iter().map(|&value| value.round().clamp(0.0, largest) as u16);
    Ok(fit(values.collect(), shape))
}

/// The SIZ segment (T.800, A.5.1).
struct Size {
    rows: usize,
    columns: usize,
    components: usize,
    precision: u16,
    signed: bool,
    tiles: usize,
}

impl Size {
    fn read(data: &[u8]) -> Option<Self> {
        let siz = data.strip_prefix(&[0xFF, 0x4F, 0xFF, 0x51])?;
        let word = |at: usize| Some(u32::from_be_bytes(*siz.get(at..)?.first_chunk()?) as usize);
        let (right, bottom, left, top) = (word(4)?, word(8)?, word(12)?, word(16)?);
        let (tile_width, tile_height, tile_left, tile_top) = (word(20)?, word(24)?, word(28)?, word(32)?);
        let components = u16::from_be_bytes(*siz.get(36..)?.first_chunk()?).into();
        let depth = *siz.get(38)?;
        if tile_width == 0 || tile_height == 0 {
            return None;
        }
        Some(Self {
            rows: bottom.checked_sub(top)?,
            columns: right.checked_sub(left)?,
            components,
            precision: u16::from(depth & 0x7F) + 1,
            signed: depth & 0x80 != 0,
            tiles: right
                .checked_sub(tile_left)?
                .div_ceil(tile_width)
                .checked_mul(bottom.checked_sub(tile_top)?.div_ceil(tile_height))?,
        })
    }
}
