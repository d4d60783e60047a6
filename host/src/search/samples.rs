//! The images that a one-shot strategy may see: those of the training part.

use std::sync::atomic::{AtomicU64, Ordering};

use nashost_plugin_api::{
    component::PluginResult,
    dataset::{Part, Target},
};
use nashost_plugin_torch::{Samples, Targets};
use tch::{Device, Tensor};

use crate::{
    config::train::Augmentation,
    data::ImageStore,
    error::{Error, Exit, Result},
    train::{augment::Changes, batches::Images},
};

/// The training part on the device.
pub(crate) struct TrainingSamples<'a> {
    images: Images,
    /// Place of each image in the store, on which its changes depend.
    indices: Vec<usize>,
    targets: Targets,
    augmentation: &'a Augmentation,
    device: Device,
    /// Rises with each batch, so that the driver sees progress within a long step.
    pulse: &'a AtomicU64,
}

impl<'a> TrainingSamples<'a> {
    /// Uploads the training part of `store`.
    ///
    /// # Errors
    ///
    /// Fails if the images do not fit networks for `input`, or the device.
    pub(crate) fn new(
        store: &ImageStore,
        input: [usize; 3],
        augmentation: &'a Augmentation,
        device: Device,
        pulse: &'a AtomicU64,
    ) -> Result<Self> {
        let indices = store.indices(Part::Train);
        let images = Images::new(store, &indices, input, device)?;
        let table = |value: fn(Target) -> bool| {
            let rows = indices.iter().flat_map(|&index| &store.records[index].targets);
            let values: Vec<f32> = rows.map(|&target| f32::from(u8::from(value(target)))).collect();
            let size = [indices.len() as i64, store.labels() as i64];
            Tensor::f_from_slice(&values)?.f_view(size)?.f_to_device(device)
        };
        let targets = || -> tch::Result<Targets> {
            Ok(Targets {
                targets: table(|target| target == Target::Positive)?,
                assessed: table(|target| target != Target::NotAssessed)?,
            })
        };
        let targets = targets().map_err(|cause| {
            Error::new(Exit::No, "E0803", format!("moving targets to the device: {cause}"))
        })?;
        Ok(Self { images, indices, targets, augmentation, device, pulse })
    }
}

impl Samples for TrainingSamples<'_> {
    fn targets(&self) -> PluginResult<Targets> {
        let Targets { targets, assessed } = &self.targets;
        // Copies: nobody may write into what others read.
        Ok(Targets { targets: targets.f_detach_copy()?, assessed: assessed.f_detach_copy()? })
    }

    fn images(&mut self, indices: &[i64], augment: Option<u64>) -> PluginResult<Tensor> {
        self.pulse.fetch_add(1, Ordering::Relaxed);
        let places = indices.iter().map(|&index| {
            let place = usize::try_from(index).ok().and_then(|index| self.indices.get(index));
            place
                .copied()
                .ok_or_else(|| format!("there is no image {index}: there are {}", self.images.len()))
        });
        let places = places.collect::<std::result::Result<Vec<_>, _>>()?;
        let _no_grad = tch::no_grad_guard();
        let images = self.images.gather(&Tensor::f_from_slice(indices)?.f_to_device(self.device)?)?;
        let Some(seed) = augment else { return Ok(images) };
        Ok(Changes::draw(self.augmentation, seed, 0, places.into_iter(), self.device)?.apply(images, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::store;
    use nashost_plugin_api::dataset::PixelType;

    #[test]
    fn only_training_images_are_shown() {
        let store = store(9, 4, 3, PixelType::U8);
        let pulse = AtomicU64::new(0);
        let augmentation = Augmentation { horizontal_flip: true, shift: 0.2, ..Augmentation::default() };
        let mut samples =
            TrainingSamples::new(&store, [3, 4, 4], &augmentation, Device::Cpu, &pulse).unwrap();
        let training = store.indices(Part::Train);
        let Targets { targets, assessed } = samples.targets().unwrap();
        assert_eq!(targets.size(), [training.len() as i64, store.labels() as i64]);
        for (row, &index) in training.iter().enumerate() {
            for (label, &target) in store.records[index].targets.iter().enumerate() {
                let at = [row as i64, label as i64];
                assert_eq!(targets.double_value(&at) == 1.0, target == Target::Positive);
                assert_eq!(assessed.double_value(&at) == 1.0, target != Target::NotAssessed);
            }
        }
        let expected = Images::new(&store, &training, [3, 4, 4], Device::Cpu).unwrap();
        let found = samples.images(&[1, 0, 1], None).unwrap();
        assert_eq!(found, expected.gather(&Tensor::from_slice(&[1_i64, 0, 1])).unwrap());
        let one = samples.images(&[0, 1], Some(4)).unwrap();
        assert_ne!(one, samples.images(&[0, 1], None).unwrap());
        let swapped = samples.images(&[1, 0], Some(4)).unwrap();
        assert!(one.get(0).allclose(&swapped.get(1), 1e-6, 1e-6, false), "changes belong to images");
        assert_eq!(pulse.load(Ordering::Relaxed), 4);
        for wrong in [-1, training.len() as i64] {
            let error = samples.images(&[wrong], None).unwrap_err().to_string();
            assert!(error.contains(&format!("no image {wrong}")), "{error}");
        }
    }
}
