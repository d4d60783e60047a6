//! Labels of images, and samples of images by their labels.

use nashost_plugin_api::seed::rng;
use rand::seq::SliceRandom as _;
use tch::{Kind, Tensor};

/// The labels of some images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    present: Vec<Vec<bool>>,
    assessed: Vec<Vec<bool>>,
}

impl Labels {
    /// Both are by image, then by label.
    pub fn new(present: Vec<Vec<bool>>, assessed: Vec<Vec<bool>>) -> Self {
        Self { present, assessed }
    }

    /// Reads `[n, labels]` tensors of zeros and ones.
    ///
    /// # Errors
    ///
    /// Fails if they are no matrices.
    pub fn of_tensors(targets: &Tensor, assessed: &Tensor) -> Result<Self, tch::TchError> {
        let read = |tensor: &Tensor| -> Result<Vec<Vec<bool>>, tch::TchError> {
            let rows = Vec::<Vec<f64>>::try_from(tensor.to_kind(Kind::Double))?;
            Ok(rows.into_iter().map(|row| row.into_iter().map(|value| value > 0.5).collect()).collect())
        };
        Ok(Self { present: read(targets)?, assessed: read(assessed)? })
    }

    /// Returns the number of images.
    pub fn images(&self) -> usize {
        self.present.len()
    }

    /// Returns the number of labels; 0 without images.
    pub fn labels(&self) -> usize {
        self.present.first().map_or(0, Vec::len)
    }

    /// Returns whether a label was assessed and is present.
    pub fn is(&self, image: usize, label: usize) -> bool {
        self.assessed[image][label] && self.present[image][label]
    }

    /// Returns whether a label was assessed and is absent.
    pub fn is_not(&self, image: usize, label: usize) -> bool {
        self.assessed[image][label] && !self.present[image][label]
    }

    /// Returns whether an image is of one class: every label was assessed, and exactly one is present.
    pub fn is_of_one_class(&self, image: usize) -> bool {
        let present = self.present[image].iter().filter(|&&present| present).count();
        present == 1 && self.assessed[image].iter().all(|&assessed| assessed)
    }

    /// Returns what images with the same labels have in common: 0 absent, 1 present, 2 not assessed.
    pub fn key(&self, image: usize) -> Vec<u8> {
        let of = |label| if self.assessed[image][label] { u8::from(self.present[image][label]) } else { 2 };
        (0..self.present[image].len()).map(of).collect()
    }

    /// Returns `count` of the images `among`, ascending, in which every label has about its share, and
    /// at least one positive where there is one; all of them if there are no more.
    pub fn sample(&self, among: &[i64], count: usize, seed: u64) -> Vec<i64> {
        let mut rest = among.to_vec();
        rest.shuffle(&mut rng(seed));
        if count >= rest.len() {
            rest.sort_unstable();
            return rest;
        }
        let positives =
            |images: &[i64], label| images.iter().filter(|&&i| self.is(i as usize, label)).count();
        let mut labels: Vec<(usize, usize)> = (0..self.labels())
            .map(|label| (positives(among, label), label))
            .filter(|&(n, _)| n > 0)
            .collect();
        // Rare labels first: common ones come along with them.
        labels.sort_unstable();
        let mut sample = Vec::with_capacity(count);
        for (place, &(all, label)) in labels.iter().enumerate() {
            let served =
                |image: i64| labels[..place].iter().any(|&(_, other)| self.is(image as usize, other));
            let share = all as f64 * count as f64 / among.len() as f64;
            let wanted = (share.round() as usize).max(1);
            while positives(&sample, label) < wanted && sample.len() < count {
                let has = |image: i64| self.is(image as usize, label);
                let alone = rest.iter().position(|&image| has(image) && !served(image));
                let Some(place) = alone.or_else(|| rest.iter().position(|&image| has(image))) else { break };
                sample.push(rest.remove(place));
            }
        }
        // Filling up with images of a label that has its share already would give it more.
        let has_none = |image: i64| (0..self.labels()).all(|label| !self.is(image as usize, label));
        rest.sort_by_key(|&image| !has_none(image));
        sample.extend(rest.into_iter().take(count - sample.len()));
        sample.sort_unstable();
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_every_label_in_its_share() {
        let present: Vec<_> = (0..1000).map(|i| vec![i % 2 == 0, i % 7 == 0, i % 250 == 0, false]).collect();
        let labels = Labels::new(present, vec![vec![true; 4]; 1000]);
        let among: Vec<i64> = (0..1000).collect();
        for seed in 0..5 {
            let sample = labels.sample(&among, 64, seed);
            assert_eq!(sample.len(), 64);
            assert!(sample.windows(2).all(|pair| pair[0] < pair[1]));
            let count = |label| sample.iter().filter(|&&i| labels.is(i as usize, label)).count();
            // 32, 9.2 and 0.3 would be their shares.
            assert!((30..=34).contains(&count(0)), "{}", count(0));
            assert!((8..=11).contains(&count(1)), "{}", count(1));
            assert_eq!(count(2), 1);
        }
        assert_ne!(labels.sample(&among, 64, 1), labels.sample(&among, 64, 2));
    }

    #[test]
    fn an_image_of_one_class_has_one_label_and_no_doubt() {
        let (yes, no) = (true, false);
        let present = vec![vec![yes, no], vec![yes, yes], vec![no, no], vec![yes, no]];
        let assessed = vec![vec![yes; 2], vec![yes; 2], vec![yes; 2], vec![yes, no]];
        let labels = Labels::new(present, assessed);
        let found: Vec<bool> = (0..4).map(|image| labels.is_of_one_class(image)).collect();
        assert_eq!(found, [yes, no, no, no]);
    }

    #[test]
    fn labels_that_were_not_assessed_are_neither_present_nor_absent() {
        let labels = Labels::new(vec![vec![true], vec![false]], vec![vec![false], vec![true]]);
        assert!(!labels.is(0, 0) && !labels.is_not(0, 0) && labels.is_not(1, 0));
        assert_eq!(labels.sample(&[0, 1], 5, 1), [0, 1]);
    }
}
