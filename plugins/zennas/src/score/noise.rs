//! Random weights and images.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nashost_plugin_api::seed::derive_seed;
use nashost_plugin_torch::fill_gaussian;
use tch::{Device, Kind, TchError, Tensor};

use super::Generator;

/// Held while a candidate draws from libtorch's global generator.
static GLOBAL_GENERATOR: Mutex<()> = Mutex::new(());

/// A weight that a network needs.
#[derive(Debug, Clone)]
pub(super) struct Weight {
    pub(super) name: String,
    pub(super) shape: Vec<i64>,
}

/// N(0, 1) numbers for one candidate; [`Noise::draw`] is called once per repeat.
pub(super) enum Noise {
    Portable { seed: u64, repeat: u32, buffer: Option<Tensor> },
    Libtorch { _guard: MutexGuard<'static, ()> },
}

impl Noise {
    pub(super) fn new(generator: Generator, seed: u64) -> Self {
        match generator {
            Generator::Portable => Self::Portable { seed, repeat: 0, buffer: None },
            Generator::Libtorch => {
                // A panic of another holder leaves nothing behind that the seed would not reset.
                let guard = GLOBAL_GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
                tch::manual_seed(seed.cast_signed());
                Self::Libtorch { _guard: guard }
            }
        }
    }

    /// Draws the images and perturbations of a repeat, and the weights or the promise of them.
    pub(super) fn draw(&mut self, weights: &[Weight], images: &[i64]) -> Result<Draw, TchError> {
        match self {
            Self::Portable { seed, repeat, buffer } => {
                let seed = derive_seed(*seed, &format!("repeat/{repeat}"));
                *repeat += 1;
                let image = seeded(seed, "image", images, &empty(images.iter().product())?);
                let perturbation = seeded(seed, "perturbation", images, &empty(images.iter().product())?);
                if buffer.is_none() {
                    let sizes = weights.iter().map(|weight| weight.shape.iter().product());
                    *buffer = Some(empty(sizes.max().unwrap_or(0))?);
                }
                let buffer = buffer.as_ref().map(Tensor::shallow_clone).expect("made above");
                Ok(Draw { image, perturbation, weights: Weights::Seeded { seed, buffer } })
            }
            Self::Libtorch { .. } => {
                let draw = |shape: &[i64]| Tensor::f_randn(shape, (Kind::Float, Device::Cpu));
                // The official order: all weights in module order, then the images.
                let weights = weights.iter().map(|weight| draw(&weight.shape).map(Some));
                let weights = weights.collect::<Result<_, _>>()?;
                let image = draw(images)?;
                Ok(Draw { image, perturbation: draw(images)?, weights: Weights::Drawn(weights) })
            }
        }
    }
}

fn empty(size: i64) -> Result<Tensor, TchError> {
    Tensor::f_empty([size], (Kind::Float, Device::Cpu))
}

/// Draws a tensor of `shape` into the beginning of `buffer`. Maps and kernels are drawn in the
/// order in which convolutions want them, channels last, which saves rearranging them.
fn seeded(seed: u64, name: &str, shape: &[i64], buffer: &Tensor) -> Tensor {
    let mut values = buffer.narrow(0, 0, shape.iter().product());
    fill_gaussian(derive_seed(seed, name), &mut values);
    match *shape {
        [n, channels, height, width] => values.view([n, height, width, channels]).permute([0, 3, 1, 2]),
        _ => values.view(shape),
    }
}

/// The random numbers of one repeat.
pub(super) struct Draw {
    pub(super) image: Tensor,
    pub(super) perturbation: Tensor,
    weights: Weights,
}

enum Weights {
    /// Drawn when needed, each over the one before.
    Seeded {
        seed: u64,
        buffer: Tensor,
    },
    Drawn(Vec<Option<Tensor>>),
}

impl Draw {
    /// Returns weight number `index`. Each is taken once, and is valid until the next is.
    pub(super) fn weight(&mut self, index: usize, weight: &Weight) -> Tensor {
        match &mut self.weights {
            Weights::Seeded { seed, buffer } => seeded(*seed, &weight.name, &weight.shape, buffer),
            Weights::Drawn(tensors) => tensors[index].take().expect("a layer runs once per repeat"),
        }
    }
}
