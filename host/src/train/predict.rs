//! Forward passes without gradients.

use nashost_plugin_torch::{Mode, Network, Weights};
use tch::{Device, Kind, Tensor};

use super::{
    batches::{Images, plain_batches},
    error::OrFail as _,
};
use crate::{data::ImageStore, error::Result};

/// Returns the probabilities of all labels for the images `indices` of `store`, row-major.
///
/// Computed in 32 bits, in batches of `batch`; the sigmoid in 64, so that very confident scores
/// stay different from each other.
///
/// # Errors
///
/// Fails if the images do not fit the network or the network does not fit the device.
pub fn predict(
    network: &Network,
    weights: &Weights,
    store: &ImageStore,
    indices: &[usize],
    batch: usize,
    device: Device,
) -> Result<Vec<f64>> {
    let images = Images::new(store, indices, network.graph().input, device)?;
    let logits = logits(network, &weights.to_device(device), &images, batch).or_fail("predicting")?;
    probabilities(&logits).or_fail("predicting")
}

/// Returns the images `indices` of `store` as the network takes them, `N×C×H×W`, on `device`.
///
/// # Errors
///
/// Fails if the images do not fit the network, or the device's memory is full.
pub fn images(network: &Network, store: &ImageStore, indices: &[usize], device: Device) -> Result<Tensor> {
    let images = Images::new(store, indices, network.graph().input, device)?;
    images.slice(0..indices.len() as i64).or_fail("normalising images")
}

/// Returns the logits of all `images`, images × labels, on their device.
pub(super) fn logits(
    network: &Network,
    weights: &Weights,
    images: &Images,
    batch: usize,
) -> anyhow::Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let mut parts = Vec::new();
    for range in plain_batches(images.len(), batch) {
        parts.push(network.forward(weights, &images.slice(range)?, Mode::Eval)?);
    }
    if parts.is_empty() {
        return Ok(Tensor::f_zeros([0], (Kind::Float, Device::Cpu))?);
    }
    Ok(Tensor::f_cat(&parts, 0)?)
}

/// Returns the probabilities of `logits`, row-major.
pub(super) fn probabilities(logits: &Tensor) -> tch::Result<Vec<f64>> {
    let flat = logits.f_to_kind(Kind::Double)?.f_sigmoid()?.f_view([-1])?;
    Vec::<f64>::try_from(&flat)
}
