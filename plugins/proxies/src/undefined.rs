//! Why a network has no score.

use nashost_plugin_torch::TorchError;
use tch::TchError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Undefined {
    #[error("the network has no ReLU, whose activity is the score")]
    NoRelu,
    #[error("node `{node}` is {op}, and activity is defined for ReLU only")]
    OtherActivation { node: String, op: &'static str },
    #[error("the score is {0}, not a finite number")]
    NotFinite(f64),
    #[error(transparent)]
    Network(#[from] TorchError),
    #[error(transparent)]
    Torch(#[from] TchError),
}

/// Passes a finite number on.
pub(crate) fn finite(value: f64) -> Result<f64, Undefined> {
    if value.is_finite() { Ok(value) } else { Err(Undefined::NotFinite(value)) }
}
