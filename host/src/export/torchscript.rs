//! Networks as TorchScript.

use nashost_export::{Description, Input};
use nashost_plugin_torch::{Mode, Network, TorchError, Weights};
use tch::{CModule, Device, Kind, TchError, Tensor};

use super::trained::not_exported;
use crate::error::Result;

/// Images that are traced. The model takes batches of any size.
const EXAMPLE: i64 = 2;

/// Returns a module whose method `forward` takes what `description` says and answers the scores, batch ×
/// labels. Weights are constants of it.
///
/// # Errors
///
/// Fails if libtorch cannot trace the network (E0923).
pub(super) fn trace(network: &Network, weights: &Weights, description: &Description) -> Result<CModule> {
    let _guard = tch::no_grad_guard();
    let sizes = description.input_shape.map(|size| size as i64);
    let size = [&[EXAMPLE], &sizes[..]].concat();
    let example = Tensor::zeros(size, (Kind::Float, Device::Cpu));
    let constants = [&description.normalisation.mean, &description.normalisation.divisors()]
        .map(|values| Tensor::from_slice(values).to_kind(Kind::Float).view([1, -1, 1, 1]));
    let channels = network.graph().input[0] as i64;
    let scores = |images: &Tensor| -> std::result::Result<Tensor, TorchError> {
        let images = match description.input {
            Input::Normalised => images.shallow_clone(),
            Input::Pixels => normalise(images, &constants, channels)?,
        };
        Ok(network.forward(weights, &images, Mode::Eval)?.f_sigmoid()?)
    };
    let mut failure = None;
    let mut traced = |inputs: &[Tensor]| match scores(&inputs[0]) {
        Ok(scores) => vec![scores],
        Err(error) => {
            failure = Some(error);
            Vec::new()
        }
    };
    let module = CModule::create_by_tracing("nashost", "forward", &[example], &mut traced);
    if let Some(error) = failure {
        return Err(not_exported(&error));
    }
    module.map_err(|error| not_exported(&error))
}

fn normalise(
    images: &Tensor,
    [mean, deviation]: &[Tensor; 2],
    channels: i64,
) -> std::result::Result<Tensor, TchError> {
    images.f_sub(mean)?.f_div(deviation)?.f_expand([-1, channels, -1, -1], false)
}
