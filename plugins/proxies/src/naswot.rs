//! NASWOT: how differently the ReLUs of a network answer to different images.

use nashost_plugin_api::graph::{Graph, Op};
use nashost_plugin_torch::{Mode, Network, Weights};
use tch::{Kind, Tensor};

use crate::undefined::{Undefined, finite};

/// Returns log |det K|, where K counts for each pair of images the ReLUs that agree (ICML 2021,
/// equation 2). Batch normalisation uses the batch's statistics.
///
/// `images` is N×C×H×W. With two equal images K is singular and there is no score.
pub(crate) fn score(network: &Network, weights: &Weights, images: &Tensor) -> Result<f64, Undefined> {
    let _no_grad = tch::no_grad_guard();
    let relus = relus(network.graph())?;
    let values = network.forward_taps(weights, images, Mode::Train, &relus)?;
    let batch = images.size()[0];
    let mut kernel = Tensor::f_zeros([batch, batch], (Kind::Double, images.device()))?;
    for value in values {
        let units = value.f_reshape([batch, -1])?;
        // In ±1, the product of two images is the ReLUs that agree minus those that differ.
        let signs = units.f_gt(0.0)?.f_to_kind(Kind::Float)?.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?;
        let count = signs.size()[1] as f64;
        let agreement = signs.f_matmul(&signs.f_tr()?)?.f_to_kind(Kind::Double)?;
        kernel = kernel.f_add(&agreement.f_add_scalar(count)?.f_mul_scalar(0.5)?)?;
    }
    let (_, log_determinant) = Tensor::f_linalg_slogdet(&kernel)?;
    finite(log_determinant.f_double_value(&[])?)
}

/// Names of the ReLUs; other activations have no on and off, so networks with them have no score.
fn relus(graph: &Graph) -> Result<Vec<&str>, Undefined> {
    let mut relus = Vec::new();
    for node in &graph.nodes {
        match node.op {
            Op::Relu => relus.push(node.name.as_str()),
            // ReLU6.
            Op::Clip { min: 0.0, max } if max > 0.0 => relus.push(node.name.as_str()),
            Op::Swish | Op::HardSwish | Op::Gelu | Op::Tanh | Op::Clip { .. } => {
                return Err(Undefined::OtherActivation { node: node.name.clone(), op: node.op.name() });
            }
            // Sigmoids are gates of squeeze-and-excitation.
            _ => {}
        }
    }
    if relus.is_empty() { Err(Undefined::NoRelu) } else { Ok(relus) }
}
