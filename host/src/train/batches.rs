//! Images on the device, and which of them make a batch.

use std::ops::Range;

use nashost_plugin_api::{
    dataset::PixelType,
    seed::{derive_seed, rng},
};
use rand::seq::SliceRandom as _;
use tch::{Device, Kind, Tensor};

use super::error::OrFail as _;
use crate::{
    data::ImageStore,
    error::{Error, Exit, Result},
};

/// Some images of a store, resident on the device in their stored type.
///
/// 16-bit pixels are stored as signed integers, shifted by 2¹⁵, because libtorch has no arithmetic
/// for unsigned ones; they take two bytes and lose nothing.
#[derive(Debug)]
pub struct Images {
    /// Images × rows × columns × stored channels.
    pixels: Tensor,
    /// Per stored channel: normalised value = pixel · `scale` + `shift`.
    scale: Tensor,
    shift: Tensor,
    /// Channels that the network expects.
    channels: i64,
}

/// What is added to a 16-bit pixel to make it signed.
const SIGN: i32 = 1 << 15;

impl Images {
    /// Uploads the images `indices` of `store`, in that order, for a network with `input` channels,
    /// rows and columns. Grey images are repeated over the channels of a colour network.
    ///
    /// # Errors
    ///
    /// Fails with E0504 if the images do not fit the network, E0509 if they do not fit the device.
    pub fn new(store: &ImageStore, indices: &[usize], input: [usize; 3], device: Device) -> Result<Self> {
        let [channels, height, width] = input;
        let side = store.resolution;
        if (store.channels != channels && store.channels != 1) || (height, width) != (side, side) {
            return Err(Error::new(
                Exit::Usage,
                "E0504",
                format!(
                    "images of {}×{side}×{side} do not fit a network for {channels}×{height}×{width}",
                    store.channels
                ),
            )
            .help("build the network for the channels and the `train.resolution` of the decoded images"));
        }
        Self::upload(store, indices, channels, device).or_fail("moving images to the device")
    }

    fn upload(store: &ImageStore, indices: &[usize], channels: usize, device: Device) -> tch::Result<Self> {
        let image = store.channels * store.resolution * store.resolution * store.dtype.size();
        let mut bytes = Vec::with_capacity(indices.len() * image);
        for &index in indices {
            bytes.extend_from_slice(&store.data[index * image..(index + 1) * image]);
        }
        let side = store.resolution as i64;
        let flat = match store.dtype {
            PixelType::U8 => Tensor::from_slice(&bytes),
            PixelType::U16 => {
                let signed = |pair: &[u8]| (i32::from(u16::from_ne_bytes([pair[0], pair[1]])) - SIGN) as i16;
                Tensor::from_slice(&bytes.chunks_exact(2).map(signed).collect::<Vec<i16>>())
            }
        };
        let pixels = flat
            .f_view([indices.len() as i64, store.channels as i64, side, side])?
            .f_permute([0, 2, 3, 1])?
            .f_contiguous()?
            .f_to_device(device)?;
        // (pixel / max − mean) / std, as one multiplication and one addition.
        let zero = if store.dtype == PixelType::U16 { f64::from(SIGN) } else { 0.0 };
        // Constant images have no spread to divide by.
        let std = store.std.iter().map(|&std| if std > 0.0 { std } else { 1.0 });
        let (scale, shift): (Vec<f32>, Vec<f32>) = std
            .zip(&store.mean)
            .map(|(std, mean)| {
                let scale = 1.0 / (store.dtype.max() * std);
                (scale as f32, (zero * scale - mean / std) as f32)
            })
            .unzip();
        Ok(Self {
            pixels,
            scale: Tensor::from_slice(&scale).f_to_device(device)?,
            shift: Tensor::from_slice(&shift).f_to_device(device)?,
            channels: channels as i64,
        })
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.pixels.size()[0] as usize
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the images at `positions` (an index tensor on the device), normalised, in 32 bits:
    /// images × channels × rows × columns in channels-last order.
    ///
    /// # Errors
    ///
    /// Fails if the device's memory is full.
    pub fn gather(&self, positions: &Tensor) -> tch::Result<Tensor> {
        self.normalise(&self.pixels.f_index_select(0, positions)?)
    }

    /// Returns the images `range`, as [`Images::gather`] does.
    ///
    /// # Errors
    ///
    /// Fails if the device's memory is full.
    pub fn slice(&self, range: Range<i64>) -> tch::Result<Tensor> {
        self.normalise(&self.pixels.f_narrow(0, range.start, range.end - range.start)?)
    }

    fn normalise(&self, pixels: &Tensor) -> tch::Result<Tensor> {
        let values = self.shift.f_addcmul(&pixels.f_to_kind(Kind::Float)?, &self.scale)?;
        values.f_expand([-1, -1, -1, self.channels], false)?.f_contiguous()?.f_permute([0, 3, 1, 2])
    }
}

/// Returns the order of `images` training images in epoch `epoch` (from 1).
pub fn order(seed: u64, epoch: u32, images: usize) -> Vec<i64> {
    let mut order: Vec<i64> = (0..images as i64).collect();
    order.shuffle(&mut rng(derive_seed(seed, &format!("epoch/{epoch}/order"))));
    order
}

/// Cuts `images` into batches of `batch`; the last may be smaller.
///
/// A training batch of a single image has no statistics to normalise by (its unbiased variance
/// does not exist), so a lonely last image joins the batch before it.
pub fn training_batches(images: usize, batch: usize) -> Vec<Range<i64>> {
    let mut batches = plain_batches(images, batch);
    if batches.len() > 1 && images % batch == 1 {
        batches.pop();
        if let Some(last) = batches.last_mut() {
            last.end = images as i64;
        }
    }
    batches
}

/// Cuts `images` into batches of `batch`; the last may be smaller.
pub fn plain_batches(images: usize, batch: usize) -> Vec<Range<i64>> {
    let starts = (0..images).step_by(batch.max(1));
    starts.map(|start| start as i64..(start + batch.max(1)).min(images) as i64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::store;

    #[test]
    fn lonely_last_image_joins_the_batch_before() {
        assert_eq!(training_batches(10, 4), [0..4, 4..8, 8..10]);
        assert_eq!(training_batches(9, 4), [0..4, 4..9]);
        assert_eq!(training_batches(8, 4), [0..4, 4..8]);
        assert_eq!(training_batches(3, 4).first(), Some(&(0..3)));
        assert_eq!(plain_batches(9, 4), [0..4, 4..8, 8..9]);
    }

    #[test]
    fn orders_are_permutations_that_depend_on_seed_and_epoch() {
        let one = order(7, 1, 50);
        let mut sorted = one.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_eq!(one, order(7, 1, 50));
        assert_ne!(one, order(7, 2, 50));
        assert_ne!(one, order(8, 1, 50));
    }

    /// Every pixel type and channel count against the definition of normalisation.
    #[test]
    fn gathered_batches_are_normalised_pixels() {
        for (dtype, channels) in
            [(PixelType::U8, 1), (PixelType::U8, 3), (PixelType::U16, 1), (PixelType::U16, 3)]
        {
            let store = store(5, 4, channels, dtype);
            let images = Images::new(&store, &[3, 0, 4], [3, 4, 4], Device::Cpu).unwrap();
            let batch = images.gather(&Tensor::from_slice(&[2_i64, 0])).unwrap();
            assert_eq!(batch.size(), [2, 3, 4, 4]);
            assert_eq!(batch.stride(), [48, 1, 12, 3], "channels-last");
            for (row, image) in [(0, 4), (1, 3)] {
                for channel in 0..3 {
                    let stored = channel.min(channels - 1);
                    for (y, x) in [(0, 0), (3, 1), (2, 3)] {
                        let at = ((image * channels + stored) * 4 + y) * 4 + x;
                        let pixel = match dtype {
                            PixelType::U8 => f64::from(store.data[at]),
                            PixelType::U16 => {
                                f64::from(u16::from_ne_bytes([store.data[2 * at], store.data[2 * at + 1]]))
                            }
                        };
                        let expected = (pixel / dtype.max() - store.mean[stored]) / store.std[stored];
                        let found = batch.double_value(&[row, channel as i64, y as i64, x as i64]);
                        assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
                    }
                }
            }
            assert_eq!(images.slice(1..2).unwrap(), images.gather(&Tensor::from_slice(&[1_i64])).unwrap());
        }
    }

    #[test]
    fn images_of_another_size_are_refused() {
        let store = store(2, 4, 3, PixelType::U8);
        for input in [[1, 4, 4], [3, 8, 8]] {
            let error = Images::new(&store, &[0], input, Device::Cpu).unwrap_err();
            assert_eq!(error.code, "E0504");
        }
    }
}
