//! What is kept of one image after it was decoded.

use nashost_plugin_api::dataset::{PixelType, Pixels};

use crate::phash::Picture;

/// Rows and columns of a thumbnail.
pub const THUMBNAIL: usize = 64;
/// Intervals of a histogram.
pub const BINS: usize = 64;

/// One image, small enough to keep tens of thousands of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) bits: u32,
    /// Pixels in each of [`BINS`] equal intervals from black to white.
    pub(crate) histogram: [u64; BINS],
    /// 64 × 64 shades of grey.
    pub(crate) thumbnail: Vec<u8>,
    /// The shade of all pixels, of a range of 1, if they have one and the same.
    pub(crate) shade: Option<f32>,
    /// None if the image has no contrast.
    pub(crate) picture: Option<Picture>,
    /// Equal for equal images.
    pub(crate) digest: [u8; 32],
}

impl Look {
    /// Looks at `pixels`. `square` is the same image in grey, resized to [`THUMBNAIL`] rows and columns, with
    /// values of the type of `pixels`; `digest` tells images apart.
    ///
    /// # Panics
    ///
    /// Panics if `square` has another size.
    pub fn new(pixels: &Pixels, square: &[u8], digest: [u8; 32]) -> Self {
        let square = values(square, pixels.dtype);
        let mut histogram = [0; BINS];
        let bin = |value: u32| (value as usize * BINS) >> (8 * pixels.dtype.size());
        each(&pixels.data, pixels.dtype, |value| histogram[bin(value)] += 1);
        Self {
            height: pixels.height,
            width: pixels.width,
            bits: 8 * pixels.dtype.size() as u32,
            histogram,
            shade: square.iter().all(|value| *value == square[0]).then(|| square[0]),
            thumbnail: square.iter().map(|value| (value * 255.0).round() as u8).collect(),
            picture: Picture::new(&square, THUMBNAIL),
            digest,
        }
    }

    /// The shade of all pixels, from 0 to 1, if they have one and the same.
    pub fn shade(&self) -> Option<f32> {
        self.shade
    }

    /// A PNG file of the thumbnail.
    pub(crate) fn png(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, THUMBNAIL as u32, THUMBNAIL as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let write = || encoder.write_header()?.write_image_data(&self.thumbnail);
        write().expect("the thumbnail has the size that the header says, and memory takes all");
        file
    }
}

/// Calls `take` with each value.
fn each(data: &[u8], dtype: PixelType, mut take: impl FnMut(u32)) {
    match dtype {
        PixelType::U8 => data.iter().for_each(|value| take((*value).into())),
        PixelType::U16 => {
            let pairs = data.chunks_exact(2);
            pairs.for_each(|pair| take(u16::from_ne_bytes([pair[0], pair[1]]).into()));
        }
    }
}

/// The values of a range of 1.
fn values(data: &[u8], dtype: PixelType) -> Vec<f32> {
    let mut values = Vec::with_capacity(data.len() / dtype.size());
    each(data, dtype, |value| values.push(value as f32 / dtype.max() as f32));
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_depths_look_the_same() {
        let shades: Vec<u8> = (0..THUMBNAIL * THUMBNAIL).map(|at| (at % 256) as u8).collect();
        let shallow =
            Pixels { height: THUMBNAIL, width: THUMBNAIL, channels: 1, dtype: PixelType::U8, data: shades };
        let deep: Vec<u8> =
            shallow.data.iter().flat_map(|shade| (u16::from(*shade) * 257).to_ne_bytes()).collect();
        let deep = Pixels { dtype: PixelType::U16, data: deep, ..shallow };
        let [a, b] = [&shallow, &deep].map(|pixels| Look::new(pixels, &pixels.data, [0; 32]));
        assert_eq!((a.bits, b.bits), (8, 16));
        assert_eq!((&a.histogram, &a.thumbnail), (&b.histogram, &b.thumbnail));
        assert_eq!(a.histogram, [64; BINS], "4096 pixels, spread evenly");
        assert_eq!(a.thumbnail, shallow.data);
    }

    #[test]
    fn the_thumbnail_is_a_png_file() {
        let data: Vec<u8> = (0..THUMBNAIL * THUMBNAIL).map(|at| (at / THUMBNAIL) as u8).collect();
        let pixels = Pixels { height: THUMBNAIL, width: THUMBNAIL, channels: 1, dtype: PixelType::U8, data };
        let file = Look::new(&pixels, &pixels.data, [0; 32]).png();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut read = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut read).unwrap();
        assert_eq!(read, pixels.data);
    }
}
