//! Pictures that occur twice, under the names of different patients.

use std::collections::HashMap;

use nashost_plugin_api::dataset::{Record, Target};
use rayon::prelude::*;

use crate::{Look, phash::MOST_BITS};

/// Two images are nearly the same if their correlation at 32 × 32 is at least this.
///
/// Brightened copies, and ones of two thirds of the size, stay above 0.998; no two of the 933 synthetic radiographs
/// of one body part reach 0.985 (`docs/datasets.md`).
pub const LEAST_CORRELATION: f32 = 0.995;

/// Two images of different groups that show one picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Twins {
    /// Index of the earlier image.
    pub first: usize,
    /// Index of the later image.
    pub second: usize,
    /// Whether all pixels are equal.
    pub equal: bool,
    /// Correlation of the intensities at 32 × 32; 1 for equal images.
    pub correlation: f32,
    /// Whether a label is present on one and absent on the other.
    pub contradict: bool,
}

/// Finds, for each image, the earlier image of another group that is equal, or else the one that is most like
/// it: perceptual hashes at most [`MOST_BITS`] of 64 bits apart, and a correlation of [`LEAST_CORRELATION`].
/// Images that could not be decoded are `None`.
///
/// All pairs of hashes are compared: fifty million for ten thousand images, a few instructions each. Pictures that
/// were turned, mirrored or cut are not found.
pub fn twins(records: &[Record], looks: &[Option<Look>]) -> Vec<Twins> {
    let mut first: HashMap<[u8; 32], usize> = HashMap::new();
    let equal: Vec<usize> = looks
        .iter()
        .enumerate()
        .map(|(index, look)| look.as_ref().map_or(index, |look| *first.entry(look.digest).or_insert(index)))
        .collect();
    let find = |second: usize| {
        let look = looks[second].as_ref()?;
        let twin = |first: usize, equal: bool, correlation: f32| {
            let contradict = contradict(&records[first], &records[second]);
            Twins { first, second, equal, correlation, contradict }
        };
        let other = |first: usize| records[first].group != records[second].group;
        if equal[second] != second && other(equal[second]) {
            return Some(twin(equal[second], true, 1.0));
        }
        let picture = look.picture.as_ref()?;
        let like = (0..second).filter_map(|first| {
            let earlier = looks[first].as_ref()?;
            let earlier = earlier.picture.as_ref().filter(|_| earlier.digest != look.digest)?;
            if earlier.distance(picture) > MOST_BITS || !other(first) {
                return None;
            }
            let correlation = earlier.correlation(picture);
            (correlation >= LEAST_CORRELATION).then_some((first, correlation))
        });
        let best = like.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map(|(first, correlation)| twin(first, false, correlation))
    };
    (0..looks.len()).into_par_iter().filter_map(find).collect()
}

fn contradict(a: &Record, b: &Record) -> bool {
    let pairs = a.targets.iter().zip(&b.targets);
    pairs.into_iter().any(|(a, b)| a != b && *a != Target::NotAssessed && *b != Target::NotAssessed)
}

#[cfg(test)]
pub(crate) mod tests {
    use nashost_datasets::phantom::{Phantom, PhantomConfig};
    use nashost_plugin_api::{
        component::Component as _,
        dataset::{Dataset as _, PixelType, Pixels},
    };

    use super::*;
    use crate::THUMBNAIL;

    /// `pixels` at another size, each value the mean of the area that it covers.
    pub(crate) fn resized(pixels: &Pixels, height: usize, width: usize) -> Pixels {
        let cover = |at: usize, from: usize, to: usize| {
            let scale = from as f64 / to as f64;
            let (low, high) = (at as f64 * scale, (at + 1) as f64 * scale);
            (low as usize..(high.ceil() as usize).min(from))
                .map(move |i| (i, (high.min(i as f64 + 1.0) - low.max(i as f64)).max(0.0)))
                .collect::<Vec<_>>()
        };
        let mean = |at: usize| {
            let rows = cover(at / width, pixels.height, height);
            let columns = cover(at % width, pixels.width, width);
            let (mut sum, mut weight) = (0.0, 0.0);
            for (row, a) in &rows {
                for (column, b) in &columns {
                    sum += a * b * f64::from(pixels.data[row * pixels.width + column]);
                    weight += a * b;
                }
            }
            (sum / weight).round() as u8
        };
        let data = (0..height * width).map(mean).collect();
        Pixels { height, width, data, ..*pixels }
    }

    pub(crate) fn look(pixels: &Pixels) -> Look {
        let square = resized(pixels, THUMBNAIL, THUMBNAIL).data;
        let mut digest = [0_u8; 32];
        // Enough to tell the images of a test apart.
        for (at, value) in pixels.data.iter().enumerate() {
            digest[at % 32] = digest[at % 32].wrapping_mul(31).wrapping_add(*value);
        }
        digest[0] ^= pixels.height as u8;
        Look::new(pixels, &square, digest)
    }

    /// Records and 8-bit images of the synthetic set of 192 rows.
    pub(crate) fn phantom(images: usize) -> (Vec<Record>, Vec<Pixels>) {
        let phantom = Phantom::create(PhantomConfig::default()).unwrap();
        let mut records = phantom.records().unwrap();
        records.truncate(images);
        let pixels = (0..images).into_par_iter().map(|index| phantom.pixels(index).unwrap());
        let pixels: Vec<Pixels> = pixels.collect();
        assert!(pixels.iter().all(|image| image.dtype == PixelType::U8 && image.channels == 1));
        (records, pixels)
    }

    fn looks(pixels: &[Pixels]) -> Vec<Option<Look>> {
        pixels.par_iter().map(|pixels| Some(look(pixels))).collect()
    }

    #[test]
    fn copies_are_found_and_strangers_are_not() {
        let (mut records, mut pixels) = phantom(200);
        assert_eq!(twins(&records, &looks(&pixels)), [], "no two patients share a picture");
        let brighter = |shade: &u8| (f64::from(*shade) * 0.85 + 30.0) as u8;
        let copies = [
            pixels[20].clone(),
            Pixels { data: pixels[40].data.iter().map(brighter).collect(), ..pixels[40] },
            resized(&pixels[60], pixels[60].height * 2 / 3, pixels[60].width * 3 / 4),
        ];
        for (number, copy) in copies.into_iter().enumerate() {
            let mut record = records[20 * (number + 1)].clone();
            record.group = format!("stranger-{number}");
            if number == 1 {
                record.targets.iter_mut().for_each(|target| *target = Target::Positive);
            }
            records.push(record);
            pixels.push(copy);
        }
        let found = twins(&records, &looks(&pixels));
        let what: Vec<_> = found.iter().map(|t| (t.first, t.second, t.equal, t.contradict)).collect();
        assert_eq!(what, [(20, 200, true, false), (40, 201, false, true), (60, 202, false, false)]);
        assert!(found.iter().all(|twins| twins.correlation > 0.998), "{found:?}");
    }

    #[test]
    fn images_of_one_patient_and_empty_ones_are_left_alone() {
        let (mut records, pixels) = phantom(2);
        let flat = |shade: u8| Pixels { data: vec![shade; pixels[0].data.len()], ..pixels[0] };
        let images = [pixels[0].clone(), pixels[0].clone(), flat(9), flat(10)];
        records = (0..4).map(|number| Record { group: format!("g{number}"), ..records[0].clone() }).collect();
        records[1].group = records[0].group.clone();
        assert_eq!(twins(&records, &looks(&images)), []);
        records[1].group = "another".to_owned();
        assert_eq!(twins(&records, &looks(&images)).len(), 1);
        let mut unread = looks(&images);
        unread[0] = None;
        assert_eq!(twins(&records, &unread), []);
    }
}
