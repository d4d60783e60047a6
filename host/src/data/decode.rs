//! Decoding all images of a dataset once, to squares of one resolution.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use fast_image_resize::{
    FilterType, PixelType as ResizeType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use nashost_plugin_api::dataset::{PixelType, Pixels, Record};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::{ImageSource, Progress, catalogue::count, digest::hex};
use crate::error::{Error, Exit, Result};

/// All images, resized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) dtype: PixelType,
    /// 1 or 3.
    pub(super) channels: usize,
    /// Rows and columns.
    pub(super) resolution: usize,
    /// Images × channels × rows × columns, native byte order.
    pub(super) data: Vec<u8>,
    /// SHA-256 over the pixels at their own size, in the order of the images.
    pub(super) digest: String,
}

/// One image, resized to channels × rows × columns.
pub(super) struct Square {
    digest: [u8; 32],
    dtype: PixelType,
    data: Vec<u8>,
}

/// Decodes and resizes all images.
///
/// # Errors
///
/// Fails with E0302 and every image that cannot be used.
pub(super) fn decode_all(
    source: &dyn ImageSource,
    records: &[Record],
    channels: usize,
    resolution: usize,
    progress: Progress<'_>,
) -> Result<Decoded> {
    let (mut squares, mut errors) = (Vec::with_capacity(records.len()), Vec::new());
    let decoded = decode_each(source, 0..records.len(), channels, resolution, progress);
    for (outcome, record) in decoded.into_iter().zip(records) {
        match outcome {
            Ok(square) => squares.push(square),
            Err(reason) => errors.push(format!("image \"{}\": {reason}", record.id)),
        }
    }
    if !errors.is_empty() {
        let message = format!("{} cannot be used:\n{}", count(errors.len(), "image"), errors.join("\n"));
        return Err(Error::new(Exit::Usage, "E0302", message)
            .help("repair these files or remove their rows; `nashost data check` looks at everything"));
    }
    Ok(join(squares, channels, resolution))
}

/// Decodes and resizes the images `indices` in parallel; one that cannot be used says why.
pub(super) fn decode_each(
    source: &dyn ImageSource,
    indices: Range<usize>,
    channels: usize,
    resolution: usize,
    progress: Progress<'_>,
) -> Vec<std::result::Result<Square, String>> {
    let (done, images) = (AtomicUsize::new(0), indices.len());
    let decode = |index: usize| {
        let pixels = source.pixels(index).map_err(|error| error.message);
        let square = pixels.and_then(|pixels| square(&pixels, channels, resolution));
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, images);
        square
    };
    indices.into_par_iter().map(decode).collect()
}

/// Joins images to one array. If any has 16 bits, all get 16 bits.
pub(super) fn join(squares: Vec<Square>, channels: usize, resolution: usize) -> Decoded {
    let deep = squares.iter().any(|square| square.dtype == PixelType::U16);
    let dtype = if deep { PixelType::U16 } else { PixelType::U8 };
    let mut hash = Sha256::new();
    let mut data = Vec::with_capacity(squares.len() * channels * resolution * resolution * dtype.size());
    for square in squares {
        hash.update(square.digest);
        if square.dtype == dtype {
            data.extend_from_slice(&square.data);
        } else {
            // 0xAB becomes 0xABAB: 255 and 65535 both stand for 1.
            data.extend(square.data.iter().flat_map(|&value| [value, value]));
        }
    }
    Decoded { dtype, channels, resolution, data, digest: hex(&hash.finalize()) }
}

/// Checks that the buffer fits the sizes that come with it.
fn examine(pixels: &Pixels) -> std::result::Result<(), String> {
    let Pixels { height, width, channels, dtype, data } = pixels;
    if *height == 0 || *width == 0 {
        return Err(format!("{height} rows, {width} columns"));
    }
    if !matches!(channels, 1 | 3) {
        return Err(format!("{channels} channels, neither 1 nor 3"));
    }
    let expected = [*width, *channels, dtype.size()].into_iter().try_fold(*height, usize::checked_mul);
    if expected != Some(data.len()) {
        return Err(format!(
            "{} for {}, {}, {}",
            count(data.len(), "byte"),
            count(*height, "row"),
            count(*width, "column"),
            count(*channels, "channel")
        ));
    }
    Ok(())
}

/// SHA-256 of size, type and values of an image.
pub(super) fn pixel_digest(pixels: &Pixels) -> [u8; 32] {
    let mut hash = Sha256::new();
    for size in [pixels.height, pixels.width, pixels.channels, pixels.dtype.size()] {
        hash.update((size as u64).to_le_bytes());
    }
    hash.update(&pixels.data);
    hash.finalize().into()
}

fn square(pixels: &Pixels, channels: usize, resolution: usize) -> std::result::Result<Square, String> {
    let data = to_square(pixels, channels, resolution)?;
    Ok(Square { digest: pixel_digest(pixels), dtype: pixels.dtype, data })
}

/// Converts an image to `channels` (1 or 3) and resizes it to a square of `resolution` rows and columns,
/// without keeping its aspect; returns channels × rows × columns values of the image's type.
///
/// # Errors
///
/// Fails with the reason if the buffer does not fit the sizes that come with it.
pub fn to_square(
    pixels: &Pixels,
    channels: usize,
    resolution: usize,
) -> std::result::Result<Vec<u8>, String> {
    examine(pixels)?;
    let size = pixels.dtype.size();
    let grey;
    let (native, data) = if pixels.channels == 3 && channels == 1 {
        grey = to_grey(pixels);
        (1, &grey)
    } else {
        (pixels.channels, &pixels.data)
    };
    let resized = resize(data, [pixels.height, pixels.width], native, pixels.dtype, resolution)?;
    let plane = resolution * resolution;
    Ok(match (native, channels) {
        (1, 3) => resized.repeat(3),
        (3, 3) => (0..3)
            .flat_map(|channel| {
                let resized = &resized;
                (0..plane).flat_map(move |i| resized[(i * 3 + channel) * size..][..size].iter().copied())
            })
            .collect(),
        _ => resized,
    })
}

/// Luma of ITU-R BT.601 in 16-bit fixed point, as Pillow's `convert("L")`.
fn to_grey(pixels: &Pixels) -> Vec<u8> {
    let luma = |rgb: [u64; 3]| (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
    match pixels.dtype {
        PixelType::U8 => {
            pixels.data.chunks_exact(3).map(|rgb| luma([0, 1, 2].map(|i| rgb[i].into())) as u8).collect()
        }
        PixelType::U16 => {
            let value = |rgb: &[u8], i: usize| u16::from_ne_bytes([rgb[2 * i], rgb[2 * i + 1]]).into();
            let grey = |rgb: &[u8]| (luma([0, 1, 2].map(|i| value(rgb, i))) as u16).to_ne_bytes();
            pixels.data.chunks_exact(6).flat_map(grey).collect()
        }
    }
}

/// Resizes rows × columns × channels to a square with a bilinear filter that is widened when
/// shrinking, as Pillow's `BILINEAR`.
fn resize(
    data: &[u8],
    [height, width]: [usize; 2],
    channels: usize,
    dtype: PixelType,
    resolution: usize,
) -> std::result::Result<Vec<u8>, String> {
    let kind = match (dtype, channels) {
        (PixelType::U8, 1) => ResizeType::U8,
        (PixelType::U8, _) => ResizeType::U8x3,
        (PixelType::U16, 1) => ResizeType::U16,
        (PixelType::U16, _) => ResizeType::U16x3,
    };
    let side = |size: usize| u32::try_from(size).map_err(|_| format!("{size} pixels on a side"));
    let mut to = Image::new(side(resolution)?, side(resolution)?, kind);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let mut resizer = Resizer::new();
    let resized = match dtype {
        PixelType::U8 => {
            let from = ImageRef::new(side(width)?, side(height)?, data, kind).map_err(|e| e.to_string())?;
            resizer.resize(&from, &mut to, &options)
        }
        PixelType::U16 => {
            // A new image is aligned for 16-bit values; the plugin's buffer need not be.
            let mut from = Image::new(side(width)?, side(height)?, kind);
            from.buffer_mut().copy_from_slice(data);
            resizer.resize(&from, &mut to, &options)
        }
    };
    resized.map_err(|error| error.to_string())?;
    Ok(to.into_vec())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::testing::{MemorySource, damaged};

    fn fixture(name: &str) -> Vec<u8> {
        fs::read(format!("{}/../tests/fixtures/datasets/resize/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn native(data: &[u8]) -> Vec<u8> {
        data.chunks_exact(2).flat_map(|v| u16::from_le_bytes([v[0], v[1]]).to_ne_bytes()).collect()
    }

    /// Both round in fixed point, Pillow after each pass with other precision: 1 of 255 apart.
    #[test]
    fn resizing_equals_pillow() {
        for (from, to, size, channels, resolution) in [
            ("grey_61x47.raw", "grey_24.raw", [61, 47], 1, 24),
            ("grey_61x47.raw", "grey_64.raw", [61, 47], 1, 64),
            ("rgb_40x70.raw", "rgb_32.raw", [40, 70], 3, 32),
        ] {
            let resized = resize(&fixture(from), size, channels, PixelType::U8, resolution).unwrap();
            let expected = fixture(to);
            assert_eq!(resized.len(), expected.len());
            let worst = resized.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(1), "{to}: {worst:?}");
        }
        // Pillow's 32-bit float resize, rounded: at most 2 of 65535 apart.
        let resized = resize(&native(&fixture("grey16_61x47.raw")), [61, 47], 1, PixelType::U16, 24).unwrap();
        let value = |data: &[u8], i: usize| u16::from_ne_bytes([data[2 * i], data[2 * i + 1]]);
        let expected = native(&fixture("grey16_24.raw"));
        let worst = (0..24 * 24).map(|i| value(&resized, i).abs_diff(value(&expected, i))).max();
        assert!(worst <= Some(2), "{worst:?}");
    }

    #[test]
    fn grey_equals_pillow() {
        let data = fixture("rgb_40x70.raw");
        let pixels = Pixels { height: 40, width: 70, channels: 3, dtype: PixelType::U8, data };
        assert_eq!(to_grey(&pixels), fixture("grey_40x70.raw"));
        let deep = pixels.data.iter().flat_map(|&v| [v, v]).collect();
        let deep = to_grey(&Pixels { dtype: PixelType::U16, data: deep, ..pixels });
        let expected = fixture("grey_40x70.raw");
        for (i, grey) in expected.into_iter().enumerate() {
            let value = u16::from_ne_bytes([deep[2 * i], deep[2 * i + 1]]);
            assert!((f64::from(value) / 257.0 - f64::from(grey)).abs() <= 0.51, "{value} {grey}");
        }
    }

    #[test]
    fn channels_are_planes() {
        let data = [[10, 20, 30]; 12].concat();
        let rgb = Pixels { height: 3, width: 4, channels: 3, dtype: PixelType::U8, data };
        assert_eq!(square(&rgb, 3, 2).unwrap().data, [10, 10, 10, 10, 20, 20, 20, 20, 30, 30, 30, 30]);
        assert_eq!(square(&rgb, 1, 2).unwrap().data, [18; 4]);
        let grey = Pixels { channels: 1, data: vec![7; 12], ..rgb };
        assert_eq!(square(&grey, 3, 2).unwrap().data, [7; 12]);
    }

    #[test]
    fn depths_are_brought_together() {
        let mut source = MemorySource::new(2);
        let deep = [0u16, 65535, 0x1234, 1].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let shallow = vec![0, 255, 0x12, 1];
        let pixels = Pixels { height: 2, width: 2, channels: 1, dtype: PixelType::U8, data: shallow };
        source.pixels[1] = Ok(Pixels { dtype: PixelType::U16, data: deep, ..pixels });
        source.pixels[0] = Ok(pixels);
        let decoded = decode_all(&source, &source.records, 1, 2, &|_, _| {}).unwrap();
        assert_eq!(decoded.dtype, PixelType::U16);
        let values: Vec<_> = decoded.data.chunks_exact(2).map(|v| u16::from_ne_bytes([v[0], v[1]])).collect();
        assert_eq!(values, [0, 65535, 0x1212, 0x0101, 0, 65535, 0x1234, 1]);
    }

    #[test]
    fn all_unusable_images_are_named_at_once() {
        let mut source = MemorySource::new(12);
        source.pixels[4] = Err(damaged("b.png: is truncated"));
        source.pixels[9].as_mut().unwrap().channels = 2;
        let error = decode_all(&source, &source.records, 1, 8, &|_, _| {}).unwrap_err();
        assert_eq!((error.code, error.exit), ("E0302", Exit::Usage));
        assert_eq!(
            error.message,
            "2 images cannot be used:\nimage \"i4\": b.png: is truncated\n\
             image \"i9\": 2 channels, neither 1 nor 3"
        );
    }

    #[test]
    fn the_digest_sees_every_value_and_the_order() {
        let source = MemorySource::new(6);
        let digest =
            |source: &MemorySource| decode_all(source, &source.records, 1, 4, &|_, _| {}).unwrap().digest;
        let before = digest(&source);
        assert_eq!(before, digest(&MemorySource::new(6)));
        let mut swapped = MemorySource::new(6);
        swapped.pixels.swap(0, 5);
        assert_ne!(before, digest(&swapped));
        let mut changed = MemorySource::new(6);
        changed.pixels[3].as_mut().unwrap().data[0] ^= 1;
        assert_ne!(before, digest(&changed));
    }
}
