//! The tensors of a network.

use nashost_plugin_api::graph::Op;
use tch::{Device, Kind, Tensor};

use crate::{Network, channels_last};

/// One tensor per [`Network::parameters`], in the same order; convolution weights channels-last.
///
/// Tensors are handles: clones of them, and those of [`Weights::tensors`], share memory.
#[derive(Debug)]
pub struct Weights {
    tensors: Vec<Tensor>,
}

impl Weights {
    /// Takes tensors in the order of [`Network::parameters`], as they are.
    pub fn new(tensors: Vec<Tensor>) -> Self {
        Self { tensors }
    }

    /// The tensors.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Returns the tensors.
    pub fn into_tensors(self) -> Vec<Tensor> {
        self.tensors
    }

    /// Returns the weights on `device`, detached; 4-D tensors channels-last. Where they are there
    /// already, memory is shared.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        let moved = |tensor: &Tensor| channels_last(&tensor.detach().to_device(device));
        Self { tensors: self.tensors.iter().map(moved).collect() }
    }

    /// Returns a detached copy for computing in `kind` (bf16): the tensors of Conv and Gemm in
    /// that kind, those of normalisation layers as they are.
    #[must_use]
    pub fn to_kind(&self, network: &Network, kind: Kind) -> Self {
        let tensors =
            self.tensors.iter().zip(network.parameters()).map(|(tensor, parameter)| {
                match network.graph().nodes[parameter.node].op {
                    Op::Conv { .. } | Op::Gemm { .. } => tensor.detach().to_kind(kind),
                    _ => tensor.detach(),
                }
            });
        Self { tensors: tensors.collect() }
    }
}
