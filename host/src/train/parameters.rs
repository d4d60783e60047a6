//! The learnt values of a network in one buffer.
//!
//! ```text
//! values    | Conv and Gemm weights | Conv and Gemm biases | normalisation       |
//!           |<--- weight decay ---->|                                            |
//!           |<------- copied to bf16, if asked for ------->|<-- always fp32 ---->|
//! ```
//!
//! The network's weights are views of the buffer: what the optimizer changes there, the next
//! forward pass sees. Convolution weights lie in it as out × rows × columns × in, so that their
//! views are channels-last.

use nashost_plugin_api::graph::Op;
use nashost_plugin_torch::{Network, Weights};
use tch::{Device, Kind, TchError, Tensor};

use crate::config::train::Precision;

/// Where a parameter lies in the buffer.
#[derive(Debug)]
struct Slot {
    /// Position in [`Network::parameters`].
    index: usize,
    shape: Vec<i64>,
    offset: i64,
    length: i64,
}

impl Slot {
    /// Returns the parameter as a view of `buffer`.
    fn view(&self, buffer: &Tensor) -> tch::Result<Tensor> {
        let flat = buffer.f_narrow(0, self.offset, self.length)?;
        match self.shape[..] {
            [out, inner, rows, columns] => flat.f_view([out, rows, columns, inner])?.f_permute([0, 3, 1, 2]),
            _ => flat.f_view(&self.shape[..]),
        }
    }

    /// Returns `gradient` (of this parameter) in the order of the buffer; zeros if the loss does
    /// not depend on it.
    fn flatten(&self, gradient: &Tensor, device: Device) -> tch::Result<Tensor> {
        if !gradient.defined() {
            return Tensor::f_zeros([self.length], (Kind::Float, device));
        }
        match self.shape.len() {
            4 => gradient.f_permute([0, 2, 3, 1])?.f_reshape([-1]),
            _ => gradient.f_reshape([-1]),
        }
    }
}

/// The low-precision copy of Conv and Gemm parameters that forward and backward passes use.
#[derive(Debug)]
struct Copy {
    values: Tensor,
    /// The part of the master buffer it is a copy of.
    source: Tensor,
}

/// All values of a network: learnt ones in one buffer, running statistics beside it.
#[derive(Debug)]
pub struct Parameters {
    values: Tensor,
    gradient: Tensor,
    decayed: i64,
    slots: Vec<Slot>,
    /// What gradients are taken of, in the order of `slots`.
    leaves: Vec<Tensor>,
    /// Number of leading `slots` and values with a low-precision copy.
    lowered: usize,
    copy: Option<Copy>,
    training: Weights,
    master: Weights,
}

impl Parameters {
    /// Moves `init` to `device`, into one buffer.
    ///
    /// # Errors
    ///
    /// Fails if `init` does not belong to `network` or the device's memory is full.
    pub fn new(network: &Network, init: &Weights, precision: Precision, device: Device) -> tch::Result<Self> {
        let _guard = tch::no_grad_guard();
        let (slots, decayed, lowered) = layout(network);
        let total = slots.iter().map(|slot| slot.length).sum::<i64>();
        let values = Tensor::f_zeros([total], (Kind::Float, device))?;
        let mut master = Vec::with_capacity(init.tensors().len());
        for (parameter, tensor) in network.parameters().iter().zip(init.tensors()) {
            let moved = tensor.f_detach()?.f_to_device(device)?;
            // Learnt values are copied into the buffer below; running statistics must not be shared
            // with `init` either.
            master.push(if parameter.trainable { moved } else { moved.f_detach_copy()? });
        }
        for slot in &slots {
            let mut view = slot.view(&values)?;
            view.f_copy_(&master[slot.index])?;
            master[slot.index] = view;
        }
        let copy = match precision {
            Precision::Fp32 => None,
            Precision::Bf16 => {
                let length = slots[..lowered].iter().map(|slot| slot.length).sum::<i64>();
                let source = values.f_narrow(0, 0, length)?;
                Some(Copy { values: source.f_to_kind(Kind::BFloat16)?, source })
            }
        };
        let leaf = |(position, slot): (usize, &Slot)| {
            let buffer = match &copy {
                Some(copy) if position < lowered => &copy.values,
                _ => &values,
            };
            slot.view(buffer)?.f_detach()?.f_set_requires_grad(true)
        };
        let leaves = slots.iter().enumerate().map(leaf).collect::<Result<Vec<_>, _>>()?;
        let mut training: Vec<Tensor> = master.iter().map(Tensor::shallow_clone).collect();
        for (slot, leaf) in slots.iter().zip(&leaves) {
            training[slot.index] = leaf.shallow_clone();
        }
        Ok(Self {
            gradient: values.f_zeros_like()?,
            values,
            decayed,
            slots,
            leaves,
            lowered,
            copy,
            training: Weights::new(training),
            master: Weights::new(master),
        })
    }

    /// Returns the weights for training passes: leaves that gradients are taken of.
    pub fn training(&self) -> &Weights {
        &self.training
    }

    /// Returns the weights in full precision, without gradients: to evaluate and to save.
    pub fn master(&self) -> &Weights {
        &self.master
    }

    /// Returns the buffer of learnt values.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// Returns the buffer of gradients, filled by [`Parameters::backward`].
    pub fn gradient(&self) -> &Tensor {
        &self.gradient
    }

    /// Returns the number of leading values under weight decay.
    pub fn decayed(&self) -> i64 {
        self.decayed
    }

    /// Computes the gradient of `loss`, and frees the graph behind it. It takes the place of the
    /// gradient before it, or is added to it.
    ///
    /// # Errors
    ///
    /// Fails if `loss` does not come from [`Parameters::training`] or the device's memory is full.
    pub fn backward(&self, loss: &Tensor, add: bool) -> tch::Result<()> {
        let gradients = Tensor::f_run_backward(&[loss], &self.leaves, false, false)?;
        let _guard = tch::no_grad_guard();
        let device = self.values.device();
        let parts = gradients
            .iter()
            .zip(&self.slots)
            .map(|(gradient, slot)| slot.flatten(gradient, device))
            .collect::<Result<Vec<_>, _>>()?;
        let write = |mut place: Tensor, parts: &[Tensor]| -> tch::Result<()> {
            if parts.is_empty() {
                return Ok(());
            }
            if add {
                let _ = place.f_add_(&Tensor::f_cat(parts, 0)?)?;
            } else if parts[0].kind() == place.kind() {
                let _ = Tensor::f_cat_out(&place, parts, 0)?;
            } else {
                place.f_copy_(&Tensor::f_cat(parts, 0)?)?;
            }
            Ok(())
        };
        // Gradients of the low-precision copy are of low precision, so the two cannot be joined.
        let lowered = if self.copy.is_some() { self.lowered } else { 0 };
        let (low, full) = parts.split_at(lowered);
        let length = self.slots[..lowered].iter().map(|slot| slot.length).sum::<i64>();
        write(self.gradient.f_narrow(0, 0, length)?, low)?;
        write(self.gradient.f_narrow(0, length, self.gradient.numel() as i64 - length)?, full)
    }

    /// Takes up values saved from [`Parameters::master`], in its order, from any device.
    ///
    /// # Errors
    ///
    /// Fails if number or sizes differ.
    pub fn restore(&mut self, saved: &[Tensor]) -> tch::Result<()> {
        let _guard = tch::no_grad_guard();
        let own = self.master.tensors();
        if own.len() != saved.len() || own.iter().zip(saved).any(|(a, b)| a.size() != b.size()) {
            return Err(TchError::Shape("weights of another network".to_owned()));
        }
        for (own, saved) in own.iter().zip(saved) {
            own.shallow_clone().f_copy_(saved)?;
        }
        self.refresh()
    }

    /// Brings the low-precision copy up to date, after the values were changed.
    ///
    /// # Errors
    ///
    /// Fails if the device fails.
    pub fn refresh(&mut self) -> tch::Result<()> {
        let _guard = tch::no_grad_guard();
        match &mut self.copy {
            Some(copy) => copy.values.f_copy_(&copy.source),
            None => Ok(()),
        }
    }
}

/// Orders the trainable parameters of `network`: returns their slots, the number of values under
/// weight decay, and the number of slots that belong to Conv and Gemm.
fn layout(network: &Network) -> (Vec<Slot>, i64, usize) {
    let parameters = network.parameters();
    let rank = |index: &usize| {
        let parameter = &parameters[*index];
        let matrix = matches!(network.graph().nodes[parameter.node].op, Op::Conv { .. } | Op::Gemm { .. });
        match (parameter.decay, matrix) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        }
    };
    let mut trainable: Vec<usize> = (0..parameters.len()).filter(|&i| parameters[i].trainable).collect();
    trainable.sort_by_key(rank);
    let mut end = 0;
    let slots: Vec<Slot> = trainable
        .iter()
        .map(|&index| {
            let shape = parameters[index].shape.clone();
            let length = shape.iter().product();
            let offset = end;
            end += length;
            Slot { index, shape, offset, length }
        })
        .collect();
    let decayed = slots.iter().filter(|slot| rank(&slot.index) == 0).map(|slot| slot.length).sum();
    let lowered = trainable.iter().filter(|&index| rank(index) < 2).count();
    (slots, decayed, lowered)
}
