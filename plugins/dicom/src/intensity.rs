//! Stored values to shades of grey, by one table per image.
//!
//! The order is that of PS3.3, C.11: stored bits, rescale, window, polarity. Padding is black, whatever the
//! polarity.

use nashost_plugin_api::dataset::{PixelType, Pixels};

use crate::{
    codec::Samples,
    config::{DicomConfig, Intensity},
    header::{Photometric, PixelHeader, Window, WindowFunction},
};

/// An image whose shades are not defined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntensityError {
    #[error("has no window; `intensity = \"percentile\"` or \"auto\" need none")]
    NoWindow,
    #[error("has a window that cannot be used: {0}; `intensity = \"percentile\"` needs none")]
    BadWindow(&'static str),
    #[error("consists of padding only")]
    Empty,
}

/// Turns the stored values of an image into shades from black to white.
pub(crate) fn shades(
    samples: Samples,
    header: &PixelHeader,
    config: &DicomConfig,
) -> Result<Pixels, IntensityError> {
    let table = Table::of(&samples, header, config)?;
    let (dtype, data) = if config.depth == 8 {
        (PixelType::U8, table.bytes(&samples))
    } else {
        (PixelType::U16, table.words(&samples))
    };
    Ok(Pixels { height: header.shape.rows, width: header.shape.columns, channels: 1, dtype, data })
}

/// The shade of every stored value, 0 to 1, by its bits.
struct Table(Vec<f64>);

impl Table {
    fn of(samples: &Samples, header: &PixelHeader, config: &DicomConfig) -> Result<Self, IntensityError> {
        let by_percentiles = || Ok(Scale::range(percentiles(samples, header, config.percentiles)?, header));
        let window = || header.window.map_err(IntensityError::BadWindow);
        let scale = match config.intensity {
            Intensity::Auto => window()?.map_or_else(by_percentiles, |window| Ok(Scale::Window(window)))?,
            Intensity::Window => Scale::Window(window()?.ok_or(IntensityError::NoWindow)?),
            Intensity::Percentile => by_percentiles()?,
            Intensity::Full => Scale::range(full_range(header), header),
        };
        let shade = |bits: u16| {
            let stored = value(bits, header);
            if is_padding(stored, header) {
                return 0.0;
            }
            let shade = scale.shade(f64::from(stored) * header.slope + header.intercept);
            match header.photometric {
                Photometric::Inverted => 1.0 - shade,
                Photometric::Upright => shade,
            }
        };
        let largest = u16::MAX >> (16 - header.shape.allocated);
        Ok(Self((0..=largest).map(shade).collect()))
    }

    fn bytes(&self, samples: &Samples) -> Vec<u8> {
        map(samples, &self.0.iter().map(|shade| [(shade * 255.0).round() as u8]).collect::<Vec<_>>())
    }

    fn words(&self, samples: &Samples) -> Vec<u8> {
        let shade = |shade: &f64| ((shade * 65535.0).round() as u16).to_ne_bytes();
        map(samples, &self.0.iter().map(shade).collect::<Vec<_>>())
    }
}

/// Looks every value up.
fn map<const N: usize>(samples: &Samples, table: &[[u8; N]]) -> Vec<u8> {
    match samples {
        Samples::Byte(values) => look_up(values, table),
        Samples::Word(values) => look_up(values, table),
    }
}

fn look_up<const N: usize, T: Copy + Into<usize>>(values: &[T], table: &[[u8; N]]) -> Vec<u8> {
    // Memory of the right length at once: growing it costs more than looking up.
    let mut data = vec![0; values.len() * N];
    for (shade, &value) in data.chunks_exact_mut(N).zip(values) {
        shade.copy_from_slice(&table[value.into()]);
    }
    data
}

/// Rescaled values to 0…1.
enum Scale {
    Window(Window),
    /// The values of black and white.
    Range(f64, f64),
}

impl Scale {
    fn range(stored: (i32, i32), header: &PixelHeader) -> Self {
        let [a, b] = [stored.0, stored.1].map(|v| f64::from(v) * header.slope + header.intercept);
        Self::Range(a.min(b), a.max(b))
    }

    fn shade(&self, x: f64) -> f64 {
        let shade = match *self {
            Self::Range(black, white) if black < white => (x - black) / (white - black),
            // One value only.
            Self::Range(..) => 0.0,
            Self::Window(Window { center, width, function }) => match function {
                // A width of 1 is a threshold.
                WindowFunction::Linear if width == 1.0 => f64::from(x > center - 0.5),
                WindowFunction::Linear => (x - (center - 0.5)) / (width - 1.0) + 0.5,
                WindowFunction::LinearExact => (x - center) / width + 0.5,
                WindowFunction::Sigmoid => 1.0 / (1.0 + (-4.0 * (x - center) / width).exp()),
            },
        };
        shade.clamp(0.0, 1.0)
    }
}

/// The stored value of a pixel's bits; those beyond the stored ones (overlays) are cleared.
fn value(bits: u16, header: &PixelHeader) -> i32 {
    let free = 16 - header.shape.stored;
    if header.shape.signed {
        i32::from((bits << free).cast_signed() >> free)
    } else {
        (bits << free >> free).into()
    }
}

fn is_padding(stored: i32, header: &PixelHeader) -> bool {
    header.padding.is_some_and(|(first, last)| (first..=last).contains(&stored))
}

fn full_range(header: &PixelHeader) -> (i32, i32) {
    let values = 1 << header.shape.stored;
    if header.shape.signed { (-values / 2, values / 2 - 1) } else { (0, values - 1) }
}

/// The stored values at two percentiles of all pixels that are no padding: the least ones that at least so
/// many pixels do not exceed.
fn percentiles(
    samples: &Samples,
    header: &PixelHeader,
    percentiles: [f64; 2],
) -> Result<(i32, i32), IntensityError> {
    let (least, largest) = full_range(header);
    let mut counts = vec![0u64; (largest - least + 1) as usize];
    let mut of_bits = vec![0u64; 1 << header.shape.allocated];
    match samples {
        Samples::Byte(values) => values.iter().for_each(|&bits| of_bits[usize::from(bits)] += 1),
        Samples::Word(values) => values.iter().for_each(|&bits| of_bits[usize::from(bits)] += 1),
    }
    for (bits, count) in of_bits.iter().enumerate() {
        let stored = value(bits as u16, header);
        if !is_padding(stored, header) {
            counts[(stored - least) as usize] += count;
        }
    }
    let all: u64 = counts.iter().sum();
    if all == 0 {
        return Err(IntensityError::Empty);
    }
    let at = |percentile: f64| {
        let rank = (percentile / 100.0 * all as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let position = counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        least + position.unwrap_or(counts.len() - 1) as i32
    };
    let [mut low, mut high] = percentiles;
    if header.slope < 0.0 {
        // The percentiles are those of the rescaled values.
        (low, high) = (100.0 - high, 100.0 - low);
    }
    Ok((at(low), at(high)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Shape;

    fn header(stored: u16, signed: bool) -> PixelHeader {
        let allocated = if stored > 8 { 16 } else { 8 };
        PixelHeader {
            shape: Shape { rows: 1, columns: 4, allocated, stored, signed, big_endian: false },
            frames: 1,
            photometric: Photometric::Upright,
            slope: 1.0,
            intercept: 0.0,
            window: Ok(None),
            padding: None,
        }
    }

    fn bytes(values: [u16; 4], header: &PixelHeader, intensity: Intensity) -> Vec<u8> {
        let config = DicomConfig {
            intensity,
            depth: 8,
            percentiles: [0.0, 100.0],
            ..DicomConfig::new(".", "labels.csv")
        };
        let samples = if header.shape.allocated == 8 {
            Samples::Byte(values.map(|value| value as u8).to_vec())
        } else {
            Samples::Word(values.to_vec())
        };
        shades(samples, header, &config).unwrap().data
    }

    #[test]
    fn the_full_range_keeps_bytes_and_reads_signs() {
        assert_eq!(bytes([0, 1, 128, 255], &header(8, false), Intensity::Full), [0, 1, 128, 255]);
        assert_eq!(bytes([0x80, 0xFF, 0, 0x7F], &header(8, true), Intensity::Full), [0, 127, 128, 255]);
        let inverted = PixelHeader { photometric: Photometric::Inverted, ..header(8, false) };
        assert_eq!(bytes([0, 1, 128, 255], &inverted, Intensity::Full), [255, 254, 127, 0]);
    }

    /// PS3.3, C.11.2.1.2.1: with c = 2048 and w = 4096, 0 is black and 4095 white.
    #[test]
    fn linear_windows_follow_the_standard() {
        let window = |center, width, function| {
            let window = Ok(Some(Window { center, width, function }));
            let header = PixelHeader { window, ..header(12, false) };
            move |values| bytes(values, &header, Intensity::Window)
        };
        assert_eq!(window(2048.0, 4096.0, WindowFunction::Linear)([0, 4095, 819, 1638]), [0, 255, 51, 102]);
        assert_eq!(window(2048.0, 1.0, WindowFunction::Linear)([2046, 2047, 2048, 2049]), [0, 0, 255, 255]);
        assert_eq!(window(100.0, 200.0, WindowFunction::LinearExact)([0, 200, 100, 300]), [0, 255, 128, 255]);
        // σ(±4·50/100) = 0.119 and 0.881.
        assert_eq!(window(100.0, 100.0, WindowFunction::Sigmoid)([100, 150, 50, 4000]), [128, 225, 30, 255]);
    }

    #[test]
    fn rescaling_comes_before_the_window() {
        let window = Ok(Some(Window { center: 0.0, width: 2000.0, function: WindowFunction::LinearExact }));
        let header = PixelHeader { slope: -2.0, intercept: 1000.0, window, ..header(12, false) };
        assert_eq!(bytes([0, 1000, 500, 250], &header, Intensity::Auto), [255, 0, 128, 191]);
    }

    #[test]
    fn padding_is_black_and_does_not_count() {
        let padded = PixelHeader { padding: Some((4000, 4095)), ..header(12, false) };
        assert_eq!(bytes([100, 200, 150, 4095], &padded, Intensity::Auto), [0, 255, 128, 0]);
        let inverted = PixelHeader { photometric: Photometric::Inverted, ..padded };
        assert_eq!(bytes([100, 200, 175, 4000], &inverted, Intensity::Percentile), [255, 0, 64, 0]);
        let config = DicomConfig::new(".", "labels.csv");
        let nothing = shades(Samples::Word(vec![4095; 4]), &padded, &config);
        assert!(matches!(nothing, Err(IntensityError::Empty)));
    }

    #[test]
    fn bits_beyond_the_stored_ones_are_cleared() {
        assert_eq!(bytes([0xF000, 0x1FFF, 0x0FFF, 0], &header(12, false), Intensity::Full), [0, 255, 255, 0]);
    }

    #[test]
    fn percentiles_ignore_outliers() {
        let mut values = vec![0u16; 1];
        values.extend((0..998).map(|i| 1000 + i));
        values.push(65535);
        let mut header = header(16, false);
        header.shape.columns = 1000;
        let found = percentiles(&Samples::Word(values), &header, [0.5, 99.5]).unwrap();
        assert_eq!(found, (1003, 1993));
    }
}
