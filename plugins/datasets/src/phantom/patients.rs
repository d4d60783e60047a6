//! Simulated patients: who owns which images, how they were imaged, what is known of them.

use std::collections::BTreeMap;

use nashost_plugin_api::seed::{Rng, derive_seed, rng};
use rand::{Rng as _, seq::SliceRandom as _};

use super::{Region, labels::LabelTable};

/// Which patient and which of the patient's images each row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ownership {
    /// Patient of each image, numbered in the order of their first images.
    pub(super) patient: Vec<usize>,
    /// 0 for a patient's first image, 1 for the second.
    pub(super) visit: Vec<usize>,
}

impl Ownership {
    /// Gives some patients two images.
    ///
    /// Both images of a patient carry the same labels and lie in the same part, so the exact label
    /// counts stay as they are; an image whose label set occurs once in its part is alone.
    pub(super) fn draw(table: &LabelTable, region: Region, seed: u64) -> Self {
        let mut alike: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (index, row) in table.rows.iter().enumerate() {
            alike.entry(row).or_default().push(index);
        }
        let mut rng = rng(derive_seed(seed, "patients"));
        let mut first: Vec<usize> = (0..table.rows.len()).collect();
        for mut images in alike.into_values() {
            images.shuffle(&mut rng);
            let mut rest = &images[..];
            while let [a, b, after @ ..] = rest {
                if rng.random_bool(region.second_image()) {
                    first[*a.max(b)] = *a.min(b);
                    rest = after;
                } else {
                    rest = &rest[1..];
                }
            }
        }
        let mut patient = Vec::with_capacity(first.len());
        let mut patients = 0;
        for (index, &of) in first.iter().enumerate() {
            if of == index {
                patient.push(patients);
                patients += 1;
            } else {
                patient.push(patient[of]);
            }
        }
        let visit = first.iter().enumerate().map(|(index, &of)| usize::from(of != index)).collect();
        Self { patient, visit }
    }
}

/// X-ray machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanner {
    /// Sharp and quiet.
    A,
    /// Softer.
    B,
    /// Bright, noisy and collimated; sees patients with findings more often.
    C,
}

/// A patient: the same for each of the patient's images.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Person {
    pub(super) scanner: Scanner,
    pub(super) female: bool,
    pub(super) age: u32,
    /// Multiplies all values.
    pub(super) gain: f32,
    /// Exponent of the grey curve.
    pub(super) gamma: f32,
    /// Standard deviation of the noise.
    pub(super) noise: f32,
    /// Width over which outlines fade, in units.
    pub(super) blur: f32,
    /// Size of the body.
    pub(super) zoom: f32,
    /// Habitual rotation, in radians.
    pub(super) angle: f32,
}

impl Person {
    /// Draws a patient from `rng`; `normal` patients see scanner C less often.
    pub(super) fn draw(rng: &mut Rng, normal: bool) -> Self {
        let (a, b) = if normal { (0.50, 0.80) } else { (0.40, 0.70) };
        let scanner = match rng.random_range(0.0..1.0) {
            draw if draw < a => Scanner::A,
            draw if draw < b => Scanner::B,
            _ => Scanner::C,
        };
        let (gain, blur, noise) = match scanner {
            Scanner::A => (1.0, 0.002, 0.025),
            Scanner::B => (0.97, 0.008, 0.030),
            Scanner::C => (1.06, 0.004, 0.045),
        };
        Self {
            scanner,
            female: rng.random_bool(0.45),
            age: rng.random_range(2..18),
            gain: gain * rng.random_range(0.92..1.08),
            gamma: rng.random_range(0.92..1.08),
            noise: noise * rng.random_range(0.8..1.2),
            blur: blur + rng.random_range(0.0..0.004),
            zoom: rng.random_range(0.90..1.10),
            angle: rng.random_range(-0.12..0.12),
        }
    }

    /// Facts for subgroup reports.
    pub(super) fn attributes(&self, view: &str) -> BTreeMap<String, String> {
        let age = match self.age {
            ..6 => "2-5",
            6..12 => "6-11",
            _ => "12-17",
        };
        let sex = if self.female { "female" } else { "male" };
        let scanner = format!("{:?}", self.scanner);
        [("scanner", scanner.as_str()), ("sex", sex), ("age_band", age), ("view", view)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patients_share_labels_and_part_and_have_at_most_two_images() {
        for (region, share) in [(Region::Neck, 0.10), (Region::Elbow, 0.60)] {
            let table = LabelTable::of(region).unwrap();
            let owners = Ownership::draw(&table, region, 3);
            let mut images: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for (image, &patient) in owners.patient.iter().enumerate() {
                images.entry(patient).or_default().push(image);
            }
            assert!(images.keys().copied().eq(0..images.len()));
            for images in images.values() {
                assert!(images.len() <= 2);
                assert!(images.iter().all(|&i| table.rows[i] == table.rows[images[0]]));
                assert!(images.iter().enumerate().all(|(nth, &i)| owners.visit[i] == nth));
            }
            let pairs = images.values().filter(|images| images.len() == 2).count() as f64;
            // Five standard deviations of the draw, and the label sets that occur once.
            assert!((pairs / images.len() as f64 - share).abs() < 0.06, "{pairs} of {}", images.len());
            assert_eq!(owners, Ownership::draw(&table, region, 3));
            assert_ne!(owners, Ownership::draw(&table, region, 4));
        }
    }

    #[test]
    fn scanner_depends_mildly_on_findings() {
        let mut rng = rng(1);
        let mut share = |normal| {
            let c = (0..4000).filter(|_| Person::draw(&mut rng, normal).scanner == Scanner::C).count();
            c as f64 / 4000.0
        };
        assert!((share(true) - 0.2).abs() < 0.04);
        assert!((share(false) - 0.3).abs() < 0.04);
    }
}
