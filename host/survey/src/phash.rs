//! Whether two images are one picture: a perceptual hash to find candidates, a correlation to decide.

use std::{f32::consts::PI, sync::LazyLock};

/// Rows and columns of a picture that is compared.
const SIDE: usize = 32;
/// Rows and columns of the frequencies that make the hash.
const LOW: usize = 8;
/// Hashes of one picture differ in at most so many of their 64 bits.
pub const MOST_BITS: u32 = 10;
/// Standard deviation, of a range of 1, below which an image shows nothing: half a shade of 256.
const LEAST_CONTRAST: f32 = 0.002;

/// An image at 32 × 32, without brightness and contrast, with its hash.
///
/// The hash is the perceptual hash "pHash" of 64 bits: of the two-dimensional discrete cosine transform, the 8 × 8
/// lowest frequencies, each above or below their median (Zauner, *Implementation and Benchmarking of Perceptual
/// Image Hash Functions*, 2010, section 3.2.1).
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    hash: u64,
    /// Mean 0 and sum of squares 1, so that a scalar product is a correlation.
    values: Vec<f32>,
}

impl Picture {
    /// Makes a picture of a square image of `side` rows, a multiple of 32, with values of a range of 1. An image
    /// without contrast has none: all such would be alike.
    ///
    /// # Panics
    ///
    /// Panics if the number of values is not that of such a square.
    pub fn new(square: &[f32], side: usize) -> Option<Self> {
        assert!(side >= SIDE && side.is_multiple_of(SIDE) && square.len() == side * side, "{side}");
        let block = side / SIDE;
        let mean_of_block = |at: usize| {
            let (row, column) = (at / SIDE * block, at % SIDE * block);
            let rows = (row..row + block).map(|row| &square[row * side + column..][..block]);
            rows.flatten().sum::<f32>() / (block * block) as f32
        };
        let mut values: Vec<f32> = (0..SIDE * SIDE).map(mean_of_block).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        values.iter_mut().for_each(|value| *value -= mean);
        let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length / (SIDE as f32) < LEAST_CONTRAST {
            return None;
        }
        values.iter_mut().for_each(|value| *value /= length);
        Some(Self { hash: hash(&values), values })
    }

    /// Number of bits in which the hashes differ.
    pub fn distance(&self, other: &Self) -> u32 {
        (self.hash ^ other.hash).count_ones()
    }

    /// Correlation of the intensities, from −1 to 1.
    pub fn correlation(&self, other: &Self) -> f32 {
        self.values.iter().zip(&other.values).map(|(a, b)| a * b).sum()
    }
}

fn hash(values: &[f32]) -> u64 {
    /// `cos(π/32 · (x + ½) · u)` for each frequency u and place x.
    static COSINES: LazyLock<Vec<[f32; SIDE]>> = LazyLock::new(|| {
        let cosine = |u: usize, x: usize| (PI / SIDE as f32 * (x as f32 + 0.5) * u as f32).cos();
        (0..LOW).map(|u| std::array::from_fn(|x| cosine(u, x))).collect()
    });
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    // Frequencies along the rows, then along the columns.
    let rows: Vec<Vec<f32>> = COSINES
        .iter()
        .map(|cosine| values.chunks_exact(SIDE).map(|row| dot(row, cosine)).collect())
        .collect();
    let frequencies: Vec<f32> =
        COSINES.iter().flat_map(|cosine| rows.iter().map(|row| dot(row, cosine))).collect();
    let mut sorted = frequencies.clone();
    sorted.sort_by(f32::total_cmp);
    let median = (sorted[31] + sorted[32]) / 2.0;
    frequencies.iter().fold(0, |hash, value| hash << 1 | u64::from(*value > median))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waves(phase: f32, side: usize) -> Vec<f32> {
        let value = |at: usize| {
            let (y, x) = ((at / side) as f32 / side as f32, (at % side) as f32 / side as f32);
            0.5 + 0.2 * (7.0 * x + phase).sin() + 0.2 * (5.0 * y * x + 2.0 * phase).cos()
        };
        (0..side * side).map(value).collect()
    }

    #[test]
    fn nothing_to_see_has_no_picture() {
        assert_eq!(Picture::new(&[0.7; 64 * 64], 64), None);
        let mut dot = vec![0.0; 64 * 64];
        dot[0] = 1.0;
        assert!(Picture::new(&dot, 64).is_some());
    }

    #[test]
    fn the_hash_is_that_of_the_formula() {
        // A vertical wave of frequency 3: that coefficient is the one of 64 that is not 0 but for rounding.
        let wave: Vec<f32> = (0..SIDE * SIDE)
            .map(|at| 0.5 + 0.4 * (PI / 32.0 * ((at % SIDE) as f32 + 0.5) * 3.0).cos())
            .collect();
        let picture = Picture::new(&wave, SIDE).unwrap();
        assert_eq!(picture.hash >> (63 - 3) & 1, 1, "{:064b}", picture.hash);
        let negative: Vec<f32> = wave.iter().map(|value| 1.0 - value).collect();
        let negative = Picture::new(&negative, SIDE).unwrap();
        assert_eq!(negative.hash >> (63 - 3) & 1, 0);
        assert!((picture.correlation(&negative) + 1.0).abs() < 1e-5);
    }

    proptest! {
        #[test]
        fn brightness_and_contrast_change_nothing(gain in 0.2_f32..1.5, offset in -0.2_f32..0.2, phase in 0.0_f32..6.0) {
            let before = Picture::new(&waves(phase, 64), 64).unwrap();
            let changed: Vec<f32> = waves(phase, 64).iter().map(|value| value * gain + offset).collect();
            let after = Picture::new(&changed, 64).unwrap();
            // Frequencies that are 0 but for rounding may fall on either side of the median.
            prop_assert!(before.correlation(&after) > 0.9999);
            prop_assert!(before.distance(&after) <= MOST_BITS, "{}", before.distance(&after));
        }
    }
}
