//! Random changes of training images.

use nashost_plugin_api::seed::{derive_seed, rng};
use rand::Rng as _;
use tch::{Device, Tensor};

use crate::config::train::Augmentation;

/// Bilinear, in the numbering of libtorch's grid sampler.
const BILINEAR: i64 = 0;
/// Pixels outside take the value of the border, in the numbering of libtorch's grid sampler.
const BORDER: i64 = 1;

/// The changes of one epoch, on the device before its first step.
#[derive(Debug)]
pub struct Changes {
    /// Images × 2 × 3: from output to input coordinates in −1…1; absent if nothing moves.
    affine: Option<Tensor>,
    /// Images × 2: contrast factor and brightness offset; absent if both stay.
    tone: Option<Tensor>,
}

impl Changes {
    /// Draws the changes of epoch `epoch` for the images `indices` of the store, in the order of
    /// the epoch. An image's changes depend on seed, epoch and its index alone.
    ///
    /// # Errors
    ///
    /// Fails if the device's memory is full.
    pub fn draw(
        config: &Augmentation,
        seed: u64,
        epoch: u32,
        indices: impl Iterator<Item = usize>,
        device: Device,
    ) -> tch::Result<Self> {
        let moves = config.horizontal_flip || config.shift > 0.0 || config.rotation > 0.0;
        let tones = config.intensity > 0.0;
        if !moves && !tones {
            return Ok(Self { affine: None, tone: None });
        }
        let (mut affine, mut tone) = (Vec::new(), Vec::new());
        for index in indices {
            let mut rng = rng(derive_seed(seed, &format!("epoch/{epoch}/augment/{index}")));
            let mut within = |limit: f64| limit * rng.random_range(-1.0..1.0);
            // A share of the side is twice that in coordinates of length 2.
            let (dx, dy) = (within(2.0 * config.shift), within(2.0 * config.shift));
            let (sin, cos) = within(config.rotation.to_radians()).sin_cos();
            let (contrast, brightness) = (1.0 + within(config.intensity), within(config.intensity));
            let mirror = if config.horizontal_flip && within(1.0) < 0.0 { -1.0 } else { 1.0 };
            affine.extend([mirror * cos, -sin, dx, mirror * sin, cos, dy].map(|value| value as f32));
            tone.extend([contrast as f32, brightness as f32]);
        }
        let upload = |wanted: bool, values: &[f32], size: &[i64]| {
            wanted.then(|| Tensor::from_slice(values).f_view(size)?.f_to_device(device)).transpose()
        };
        Ok(Self { affine: upload(moves, &affine, &[-1, 2, 3])?, tone: upload(tones, &tone, &[-1, 2])? })
    }

    /// Changes `images`, the images of the epoch from position `start` on, normalised: contrast
    /// pivots on the training mean, brightness counts in training standard deviations.
    ///
    /// # Errors
    ///
    /// Fails if the device's memory is full.
    pub fn apply(&self, images: Tensor, start: i64) -> tch::Result<Tensor> {
        let size = images.size();
        let mut images = images;
        if let Some(affine) = &self.affine {
            let grid = Tensor::f_affine_grid_generator(&affine.f_narrow(0, start, size[0])?, &size, false)?;
            images = images.f_grid_sampler_2d(&grid, BILINEAR, BORDER, false)?;
        }
        if let Some(tone) = &self.tone {
            let tone = tone.f_narrow(0, start, size[0])?;
            let part = |column: i64| tone.f_select(1, column)?.f_view([-1, 1, 1, 1]);
            images = part(1)?.f_addcmul(&images, &part(0)?)?;
        }
        Ok(images)
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    fn images(count: i64) -> Tensor {
        Tensor::arange(count * 2 * 36, (Kind::Float, Device::Cpu)).view([count, 2, 6, 6])
    }

    fn apply(config: Augmentation, epoch: u32, indices: &[usize]) -> Tensor {
        let changes = Changes::draw(&config, 3, epoch, indices.iter().copied(), Device::Cpu).unwrap();
        changes.apply(images(indices.len() as i64), 0).unwrap()
    }

    fn close(a: &Tensor, b: &Tensor) -> bool {
        // Interpolation weights are 1 up to rounding; the values reach 2000.
        a.allclose(b, 1e-5, 1e-2, false)
    }

    #[test]
    fn off_changes_nothing() {
        assert_eq!(apply(Augmentation::default(), 1, &[0, 1, 2]), images(3));
    }

    #[test]
    fn flip_mirrors_about_half_of_the_images() {
        let config = Augmentation { horizontal_flip: true, ..Augmentation::default() };
        let (all, before) = (apply(config, 1, &(0..64).collect::<Vec<_>>()), images(64));
        let mirrored = (0..64)
            .filter(|&i| {
                let (found, original) = (all.get(i), before.get(i));
                let flipped = close(&found, &original.flip([2]));
                assert!(flipped || close(&found, &original));
                flipped
            })
            .count();
        assert!((16..48).contains(&mirrored), "{mirrored} of 64");
    }

    #[test]
    fn shift_rotation_and_intensity_stay_within_their_limits() {
        let ramp = Tensor::linspace(-1.0, 1.0, 32, (Kind::Float, Device::Cpu));
        let ramp = ramp.view([1, 1, 1, 32]).expand([16, 1, 32, 32], false).contiguous();
        let change = |config: Augmentation| {
            let changes = Changes::draw(&config, 3, 1, 0..16, Device::Cpu).unwrap();
            (changes.apply(ramp.copy(), 0).unwrap() - &ramp).abs()
        };
        let off = Augmentation::default();
        // A shift by a tenth of the side moves the ramp by at most a tenth of its range of 2.
        let shifted = change(Augmentation { shift: 0.1, ..off }).max().double_value(&[]);
        assert!(shifted > 0.05 && shifted < 0.21, "{shifted}");
        // Rotation leaves the centre alone.
        let rotated = change(Augmentation { rotation: 10.0, ..off });
        assert!(rotated.max().double_value(&[]) > 0.05);
        let centre = rotated.narrow(2, 15, 2).narrow(3, 15, 2);
        assert!(centre.max().double_value(&[]) < 0.02);
        // |x·(1 + c) + b − x| ≤ 0.2·|x| + 0.2 ≤ 0.4.
        let toned = change(Augmentation { intensity: 0.2, ..off }).max().double_value(&[]);
        assert!(toned > 0.1 && toned < 0.41, "{toned}");
    }

    #[test]
    fn changes_depend_on_epoch_and_image_not_on_position() {
        let config = Augmentation { horizontal_flip: true, shift: 0.2, rotation: 20.0, intensity: 0.3 };
        let draw = |epoch, indices: &[usize]| {
            let changes = Changes::draw(&config, 3, epoch, indices.iter().copied(), Device::Cpu).unwrap();
            (changes.affine.unwrap(), changes.tone.unwrap())
        };
        let (affine, tone) = draw(1, &[5, 9]);
        let (swapped, swapped_tone) = draw(1, &[9, 5]);
        assert_eq!(affine.get(0), swapped.get(1));
        assert_eq!(tone.get(1), swapped_tone.get(0));
        assert_ne!(affine.get(0), affine.get(1));
        assert_ne!(affine, draw(2, &[5, 9]).0);
    }
}
