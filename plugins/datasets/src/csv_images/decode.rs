//! Image files to pixels, at their own size and depth.

use std::{
    fs::File,
    io::{self, Cursor, Read as _},
    path::Path,
};

use image::{DynamicImage, ImageFormat, ImageReader};
use nashost_plugin_api::dataset::{PixelType, Pixels};

/// An image that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is none of PNG, JPEG and TIFF")]
    Format,
    #[error("is truncated: the JPEG data have no end")]
    Truncated,
    #[error("is damaged or unsupported: {0}")]
    Decode(#[from] image::ImageError),
    #[error("is no regular file")]
    Special,
    #[error("has more than {most} MiB", most = MAX_BYTES >> 20)]
    Large,
    #[error("claims {0} × {1} pixels; {most} million are the most", most = MAX_PIXELS / 1_000_000)]
    Size(u32, u32),
    #[error("has pixels of type {0:?}; 8 and 16 bit are supported")]
    Depth(image::ColorType),
}

/// Bytes of the largest file.
const MAX_BYTES: u64 = 1 << 30;
/// Pixels of the largest image: a detector of 40 by 40 cm at 0.05 mm has as many.
const MAX_PIXELS: u64 = 1 << 26;

/// Reads a file, but none without an end and none that leads to a device.
fn read(path: &Path) -> Result<Vec<u8>, DecodeError> {
    // Opening a pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Err(DecodeError::Special);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES { Err(DecodeError::Large) } else { Ok(bytes) }
}

/// Decodes a PNG, JPEG or TIFF file. The content decides, not the name. Transparency is dropped.
pub(super) fn decode(path: &Path) -> Result<Pixels, DecodeError> {
    let bytes = read(path)?;
    let format = match image::guess_format(&bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Tiff)) => format,
        _ => return Err(DecodeError::Format),
    };
    // The decoder fills what is missing with grey and says nothing.
    if format == ImageFormat::Jpeg && !jpeg_is_complete(&bytes) {
        return Err(DecodeError::Truncated);
    }
    let (width, height) = ImageReader::with_format(Cursor::new(&bytes), format).into_dimensions()?;
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DecodeError::Size(width, height));
    }
    let image = image::load_from_memory_with_format(&bytes, format)?;
    let (height, width) = (image.height() as usize, image.width() as usize);
    let (channels, dtype, data) = match image {
        DynamicImage::ImageLuma8(image) => (1, PixelType::U8, image.into_raw()),
        DynamicImage::ImageRgb8(image) => (3, PixelType::U8, image.into_raw()),
        image @ DynamicImage::ImageLumaA8(_) => (1, PixelType::U8, image.into_luma8().into_raw()),
        image @ DynamicImage::ImageRgba8(_) => (3, PixelType::U8, image.into_rgb8().into_raw()),
        image @ (DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_)) => {
            (1, PixelType::U16, native_bytes(&image.into_luma16()))
        }
        image @ (DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgba16(_)) => {
            (3, PixelType::U16, native_bytes(&image.into_rgb16()))
        }
        other => return Err(DecodeError::Depth(other.color())),
    };
    Ok(Pixels { height, width, channels, dtype, data })
}

fn native_bytes(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

/// Whether the segments of a JPEG file reach its end marker (ITU-T T.81, annex B).
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const END: u8 = 0xD9;
    const SCAN: u8 = 0xDA;
    // Behind the start marker.
    let mut rest = &bytes[2..];
    loop {
        rest = match rest {
            // Fill byte.
            [0xFF, 0xFF, ..] => &rest[1..],
            [0xFF, END, ..] => return true,
            [0xFF, marker, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let Some(after) = rest.get(2 + length..) else { return false };
                if *marker == SCAN { skip_scan(after) } else { after }
            }
            _ => return false,
        }
    }
}

/// Returns what follows entropy-coded data: the next marker that is neither a stuffed byte nor a
/// restart.
fn skip_scan(data: &[u8]) -> &[u8] {
    let is_marker = |&at: &usize| data.get(at + 1).is_some_and(|next| !matches!(next, 0 | 0xD0..=0xD7));
    let end = memchr::memchr_iter(0xFF, data).find(is_marker);
    &data[end.unwrap_or(data.len())..]
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/datasets/images").join(name)
    }

    fn sample(pixels: &Pixels, at: usize) -> u32 {
        match pixels.dtype {
            PixelType::U8 => pixels.data[at].into(),
            PixelType::U16 => u16::from_ne_bytes([pixels.data[2 * at], pixels.data[2 * at + 1]]).into(),
        }
    }

    /// The fixtures hold value `scale · (row · width + column)` in grey, and its complement in the
    /// last of three channels.
    #[test]
    fn every_kind_keeps_its_depth_channels_and_values() {
        for (name, channels, dtype, scale) in [
            ("grey8.png", 1, PixelType::U8, 4),
            ("grey16.png", 1, PixelType::U16, 1000),
            ("rgb8.png", 3, PixelType::U8, 4),
            ("rgba8.png", 3, PixelType::U8, 4),
            ("grey8.tif", 1, PixelType::U8, 4),
            ("grey16.tif", 1, PixelType::U16, 1000),
            ("rgb8.tif", 3, PixelType::U8, 4),
        ] {
            let pixels = decode(&fixture(name)).unwrap();
            assert_eq!(
                (pixels.height, pixels.width, pixels.channels, pixels.dtype),
                (6, 9, channels, dtype),
                "{name}"
            );
            for i in 0..54 {
                let value = sample(&pixels, i * channels);
                assert_eq!(value, scale * i as u32, "{name}, pixel {i}");
                if channels == 3 {
                    assert_eq!(sample(&pixels, i * 3 + 2), 255 - value, "{name}, pixel {i}");
                }
            }
        }
    }

    #[test]
    fn jpeg_is_decoded_and_every_truncation_is_noticed() {
        for name in ["grey.jpeg", "progressive.jpeg"] {
            let pixels = decode(&fixture(name)).unwrap();
            assert_eq!((pixels.height, pixels.width, pixels.channels), (48, 40, 1), "{name}");
            let whole = fs::read(fixture(name)).unwrap();
            assert!(jpeg_is_complete(&whole));
            for length in 2..whole.len() {
                assert!(!jpeg_is_complete(&whole[..length]), "{name} cut to {length} bytes");
            }
        }
    }

    #[test]
    fn damaged_and_foreign_files_are_refused() {
        let folder = std::env::temp_dir().join(format!("nashost-decode-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).unwrap();
            decode(&path).unwrap_err().to_string()
        };
        for name in ["grey8.png", "grey16.tif"] {
            let whole = fs::read(fixture(name)).unwrap();
            assert!(write(name, &whole[..whole.len() * 2 / 3]).contains("damaged"), "{name}");
        }
        let jpeg = fs::read(fixture("grey.jpeg")).unwrap();
        assert!(write("cut.jpeg", &jpeg[..jpeg.len() - 20]).contains("truncated"));
        assert!(write("text.png", b"not an image").contains("none of PNG, JPEG and TIFF"));
        assert!(decode(&folder.join("missing.png")).unwrap_err().to_string().contains("cannot be read"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn images_that_claim_to_be_huge_are_refused_before_they_are_decoded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.png");
        let mut png = fs::read(fixture("grey8.png")).unwrap();
        // Width and height of the header, and its checksum.
        png[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
        let checksum = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        fs::write(&path, png).unwrap();
        let said = decode(&path).unwrap_err().to_string();
        assert_eq!(said, "claims 60000 × 60000 pixels; 67 million are the most");
    }

    /// The checksum of PNG (ISO/IEC 15948, annex D).
    fn crc32(bytes: &[u8]) -> u32 {
        let step = |sum: u32, _| if sum & 1 == 1 { 0xEDB8_8320 ^ (sum >> 1) } else { sum >> 1 };
        !bytes.iter().fold(u32::MAX, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), step))
    }

    #[test]
    fn links_that_lead_in_circles_and_to_devices_are_refused() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink(at("b.png"), at("a.png")).unwrap();
        symlink(at("a.png"), at("b.png")).unwrap();
        assert!(decode(&at("a.png")).unwrap_err().to_string().contains("cannot be read"));
        symlink("/dev/zero", at("endless.png")).unwrap();
        assert_eq!(decode(&at("endless.png")).unwrap_err().to_string(), "is no regular file");
        assert_eq!(decode(folder.path()).unwrap_err().to_string(), "is no regular file");
    }
}
