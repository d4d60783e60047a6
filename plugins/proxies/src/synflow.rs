//! SynFlow: how much flows through the absolute weights.

use nashost_plugin_torch::{Mode, Network, Weights};
use tch::{Device, Kind, Tensor};

use crate::undefined::{Undefined, finite};

/// Returns the natural logarithm of Σ |w · ∂R/∂w| over the weights of Conv and Gemm, where R is the
/// sum of the logits for an image of ones, all parameters are made absolute, and batch normalisation
/// is left out (Tanaka et al., equation 6, as Abdelfattah et al. sum it). Double precision: the sum
/// grows by orders of magnitude with each layer, so its logarithm is taken.
///
/// `network` has no batch normalisation; `weights` stay as they are.
pub(crate) fn score(network: &Network, weights: &Weights, device: Device) -> Result<f64, Undefined> {
    let absolute = |tensor: &Tensor| tensor.f_detach()?.f_to_device(device)?.f_to_kind(Kind::Double)?.f_abs();
    let tensors = weights.tensors().iter().map(absolute).collect::<Result<Vec<_>, _>>()?;
    let layers: Vec<Tensor> = tensors
        .iter()
        .zip(network.parameters())
        .filter(|(_, parameter)| parameter.decay)
        .map(|(tensor, _)| tensor.set_requires_grad(true))
        .collect();
    let [channels, height, width] = network.graph().input.map(|size| size as i64);
    let ones = Tensor::f_ones([1, channels, height, width], (Kind::Double, device))?;
    let logits = network.forward(&Weights::new(tensors), &ones, Mode::Eval)?;
    let flow = logits.f_sum(Kind::Double)?;
    let gradients = Tensor::f_run_backward(&[&flow], &layers, false, false)?;
    let _no_grad = tch::no_grad_guard();
    let mut sum = 0.0;
    for (weight, gradient) in layers.iter().zip(&gradients) {
        sum += weight.f_mul(gradient)?.f_abs()?.f_sum(Kind::Double)?.f_double_value(&[])?;
    }
    finite(sum.ln())
}
