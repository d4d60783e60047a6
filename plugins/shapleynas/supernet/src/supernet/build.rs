//! The supernet's tensors: made, drawn, named.

use nashost_plugin_api::seed::{derive_seed, rng};
use rand::Rng as _;
use tch::{Device, Kind, Tensor};

use super::layer::Norm;

/// Rows of a tensor that carry a name of the official code.
#[derive(Debug)]
pub(super) struct Slot {
    name: String,
    rows: i64,
}

impl Slot {
    pub(super) fn new(name: String, rows: i64) -> Self {
        Self { name, rows }
    }
}

/// A tensor of the official code, as rows of one of ours.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    tensor: Tensor,
    first: i64,
    rows: i64,
    pub(super) learnt: bool,
}

impl Named {
    /// Returns the rows; they share memory with the supernet's tensor.
    pub(super) fn rows(&self) -> Tensor {
        self.tensor.detach().narrow(0, self.first, self.rows)
    }
}

/// Makes tensors and remembers them.
#[derive(Debug)]
pub(super) struct Builder {
    seed: u64,
    device: Device,
    pub(super) learnt: Vec<Tensor>,
    pub(super) named: Vec<Named>,
}

impl Builder {
    pub(super) fn new(seed: u64, device: Device) -> Self {
        Self { seed, device, learnt: Vec::new(), named: Vec::new() }
    }

    /// Returns learnt filters whose rows are `slots`, each of shape `filter`, drawn as PyTorch draws
    /// convolutions: uniformly within `1/sqrt(inputs of a filter)`.
    pub(super) fn weight(&mut self, slots: &[Slot], filter: &[i64]) -> Tensor {
        let inputs: i64 = filter.iter().product();
        self.uniform(slots, filter, (inputs as f64).powf(-0.5))
    }

    /// Returns a learnt tensor drawn uniformly within `bound`, each slot from a generator of its own.
    pub(super) fn uniform(&mut self, slots: &[Slot], filter: &[i64], bound: f64) -> Tensor {
        let inputs: i64 = filter.iter().product();
        let mut values = Vec::new();
        for slot in slots {
            let mut rng = rng(derive_seed(self.seed, &slot.name));
            values.extend((0..slot.rows * inputs).map(|_| rng.random_range(-bound..bound) as f32));
        }
        let rows: i64 = slots.iter().map(|slot| slot.rows).sum();
        let shape = [&[rows], filter].concat();
        let tensor = Tensor::from_slice(&values).view(&shape[..]).to_device(self.device);
        self.learn(slots, tensor)
    }

    /// Returns a learnt vector of equal values.
    pub(super) fn constant(&mut self, slot: Slot, value: f64) -> Tensor {
        let tensor = Tensor::full([slot.rows], value, (Kind::Float, self.device));
        self.learn(&[slot], tensor)
    }

    /// Returns fresh running statistics for the layers named `prefixes`.
    pub(super) fn norm(&mut self, prefixes: &[String], channels: i64) -> Norm {
        let rows = channels * prefixes.len() as i64;
        let mean = Tensor::zeros([rows], (Kind::Float, self.device));
        let variance = Tensor::ones([rows], (Kind::Float, self.device));
        for (name, tensor) in [("running_mean", &mean), ("running_var", &variance)] {
            let slots: Vec<Slot> =
                prefixes.iter().map(|prefix| Slot::new(format!("{prefix}.{name}"), channels)).collect();
            self.name(&slots, tensor, false);
        }
        Norm { mean, variance }
    }

    fn learn(&mut self, slots: &[Slot], tensor: Tensor) -> Tensor {
        let tensor = tensor.set_requires_grad(true);
        self.learnt.push(tensor.shallow_clone());
        self.name(slots, &tensor, true);
        tensor
    }

    fn name(&mut self, slots: &[Slot], tensor: &Tensor, learnt: bool) {
        let mut first = 0;
        for Slot { name, rows } in slots {
            let (name, tensor) = (name.clone(), tensor.shallow_clone());
            self.named.push(Named { name, tensor, first, rows: *rows, learnt });
            first += rows;
        }
    }
}
