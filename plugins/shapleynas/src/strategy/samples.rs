//! The host's images in the words of the search.

use std::fmt;

use nashost_plugin_torch::{Samples as HostSamples, Targets};
use nashost_shapley_supernet::{Augment, Batch, Role, Samples, SamplesError};
use tch::Tensor;

/// Of so many training images one is held back where a search wants a validation part.
const HELD_BACK: usize = 5;

/// How the training part is divided between the two parts that a search may ask for.
///
/// The host shows the training part alone. A search with `roles = "validation"` gets the last fifth of
/// it as its validation part; all others get it whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Division {
    train: usize,
    validation: usize,
}

impl Division {
    pub(super) fn new(images: usize, validation: bool) -> Self {
        let validation = if validation { images / HELD_BACK } else { 0 };
        Self { train: images - validation, validation }
    }

    /// First image and number of images of a part.
    fn of(self, role: Role) -> (usize, usize) {
        match role {
            Role::Train => (0, self.train),
            Role::Validation => (self.train, self.validation),
        }
    }
}

impl fmt::Display for Division {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { train, validation } = self;
        write!(
            f,
            "of {} training images the first {train} train weights, the last {validation} value operations; the \
             validation part has neither role",
            train + validation
        )
    }
}

/// The images of a search, for one of its calls.
pub(super) struct Shared<'a> {
    pub(super) host: &'a mut dyn HostSamples,
    pub(super) targets: &'a Targets,
    pub(super) division: Division,
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SamplesError {
    SamplesError(error.into())
}

impl Samples for Shared<'_> {
    fn len(&self, role: Role) -> usize {
        self.division.of(role).1
    }

    fn targets(&self, role: Role) -> Result<(Tensor, Tensor), SamplesError> {
        let (first, count) = self.division.of(role);
        let part = |table: &Tensor| table.f_narrow(0, first as i64, count as i64).map_err(failed);
        Ok((part(&self.targets.targets)?, part(&self.targets.assessed)?))
    }

    fn batch(&mut self, role: Role, indices: &[i64], augment: Augment) -> Result<Batch, SamplesError> {
        let (first, count) = self.division.of(role);
        if let Some(index) = indices.iter().find(|index| !(0..count as i64).contains(*index)) {
            return Err(failed(format!("there is no image {index} of {count}")));
        }
        let places: Vec<i64> = indices.iter().map(|index| index + first as i64).collect();
        let seed = match augment {
            Augment::No => None,
            Augment::Seed(seed) => Some(seed),
        };
        let images = self.host.images(&places, seed).map_err(failed)?;
        let rows = Tensor::f_from_slice(&places).map_err(failed)?.to_device(self.targets.targets.device());
        let part = |table: &Tensor| table.f_index_select(0, &rows).map_err(failed);
        Ok(Batch { images, targets: part(&self.targets.targets)?, assessed: part(&self.targets.assessed)? })
    }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::component::PluginResult;
    use tch::{Device, Kind};

    use super::*;

    struct Host;

    impl HostSamples for Host {
        fn targets(&self) -> PluginResult<Targets> {
            let targets = Tensor::arange(10, (Kind::Float, Device::Cpu)).view([10, 1]);
            Ok(Targets { assessed: targets.ones_like(), targets })
        }

        fn images(&mut self, indices: &[i64], augment: Option<u64>) -> PluginResult<Tensor> {
            let shift = augment.map_or(0.0, |seed| seed as f64);
            Ok(Tensor::from_slice(indices).to_kind(Kind::Float).view([-1, 1, 1, 1]) + shift)
        }
    }

    #[test]
    fn a_validation_part_is_cut_from_the_end_and_never_overlaps() {
        let targets = Host.targets().unwrap();
        let division = Division::new(10, true);
        let mut shared = Shared { host: &mut Host, targets: &targets, division };
        assert_eq!((shared.len(Role::Train), shared.len(Role::Validation)), (8, 2));
        let batch = shared.batch(Role::Validation, &[1, 0], Augment::No).unwrap();
        assert_eq!(Vec::<f64>::try_from(batch.images.view(-1)).unwrap(), [9.0, 8.0]);
        assert_eq!(Vec::<f64>::try_from(batch.targets.view(-1)).unwrap(), [9.0, 8.0]);
        let (all, _) = shared.targets(Role::Validation).unwrap();
        assert_eq!(Vec::<f64>::try_from(all.view(-1)).unwrap(), [8.0, 9.0]);
        let changed = shared.batch(Role::Train, &[7], Augment::Seed(100)).unwrap();
        assert_eq!(changed.images.double_value(&[0, 0, 0, 0]), 107.0);
        for (role, index) in [(Role::Train, 8), (Role::Validation, 2), (Role::Train, -1)] {
            assert!(shared.batch(role, &[index], Augment::No).is_err());
        }
        assert_eq!(Division::new(10, false).of(Role::Train), (0, 10));
    }
}
