//! Jacobian covariance: how differently a network reacts to changes of different images.

use nashost_plugin_torch::{Mode, Network, Weights};
use tch::{Kind, Tensor};

use crate::undefined::{Undefined, finite};

/// Keeps eigenvalues of 0 apart from infinity (official code).
const EPSILON: f64 = 1e-5;

/// Returns −Σ (log(λ + ε) + 1/(λ + ε)) over the eigenvalues λ of the correlation matrix of the
/// images' gradients of the sum of all logits (arXiv 2006.04647v1, equation 3). Batch normalisation
/// uses the batch's statistics.
///
/// `images` is N×C×H×W with N of at least 2.
pub(crate) fn score(network: &Network, weights: &Weights, images: &Tensor) -> Result<f64, Undefined> {
    let batch = images.size()[0];
    let images = images.f_detach()?.f_set_requires_grad(true)?;
    let logits = network.forward(weights, &images, Mode::Train)?;
    let sum = logits.f_sum(Kind::Float)?;
    let gradients = Tensor::f_run_backward(&[&sum], &[&images], false, false)?;
    let _no_grad = tch::no_grad_guard();
    let rows = gradients[0].f_reshape([batch, -1])?.f_to_kind(Kind::Double)?;
    let correlations = rows.f_corrcoef()?;
    if !correlations.f_isfinite()?.f_all()?.f_int64_value(&[])?.eq(&1) {
        return Err(Undefined::NotFinite(f64::NAN));
    }
    let eigenvalues = correlations.f_linalg_eigvalsh("L")?.f_add_scalar(EPSILON)?;
    let sum = eigenvalues.f_log()?.f_add(&eigenvalues.f_reciprocal()?)?.f_sum(Kind::Double)?;
    finite(-sum.f_double_value(&[])?)
}
