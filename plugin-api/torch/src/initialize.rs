//! Fresh weights and noise, from portable generators.

use nashost_plugin_api::{
    graph::{Initialization, Op},
    seed::{derive_seed, rng},
};
use rand::Rng as _;
use tch::{Device, Kind, Tensor};

use crate::{Network, Parameter, Weights, channels_last, gaussian};

/// Gain of ZenNAS's training initialisation (official code, "custom" scheme).
const ZEN_GAIN: f64 = 3.260_33;

/// How a tensor is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Draw {
    Constant(f32),
    /// Uniform between `-bound` and `bound`.
    Uniform {
        bound: f64,
    },
    /// Normal with mean 0.
    Normal {
        std: f64,
    },
}

impl Network {
    /// Draws fresh weights, fp32 on the CPU, as [`Graph::initialization`] says.
    ///
    /// Each tensor has its own generator, seeded from `seed` and its name, so that a layer's
    /// weights do not depend on what else is in the network. None requires gradients yet.
    ///
    /// [`Graph::initialization`]: nashost_plugin_api::graph::Graph::initialization
    pub fn initialize(&self, seed: u64) -> Weights {
        let tensors = self.parameters().iter().map(|parameter| self.draw(parameter, seed));
        Weights::new(tensors.collect())
    }

    /// Draws one tensor of [`Network::initialize`].
    pub(crate) fn draw(&self, parameter: &Parameter, seed: u64) -> Tensor {
        let shape = &parameter.shape;
        if parameter.name.ends_with(".num_batches_tracked") {
            return Tensor::zeros(shape, (Kind::Int64, Device::Cpu));
        }
        let seed = derive_seed(seed, &parameter.name);
        let tensor = match self.rule(parameter) {
            Draw::Constant(value) => fill(shape, || value),
            Draw::Uniform { bound } => {
                let (bound, mut rng) = (bound as f32, rng(seed));
                fill(shape, || (2.0 * rng.random::<f32>() - 1.0) * bound)
            }
            Draw::Normal { std } => gaussian(seed, shape) * std,
        };
        channels_last(&tensor)
    }

    fn rule(&self, parameter: &Parameter) -> Draw {
        let (prefix, suffix) = parameter.name.rsplit_once('.').expect("names are `node.tensor`");
        let op = &self.graph().nodes[parameter.node].op;
        debug_assert_eq!(prefix, self.graph().nodes[parameter.node].name);
        if matches!(op, Op::BatchNormalization { .. }) {
            let one = matches!(suffix, "weight" | "running_var");
            return Draw::Constant(if one { 1.0 } else { 0.0 });
        }
        // A bias follows its weight's fan-in; the weight stands before it.
        let weight = &self.parameters()[self.steps[parameter.node].parameters.start].shape;
        let taps: i64 = weight[2..].iter().product();
        let fan_in = (weight[1] * taps) as f64;
        let fan_out = (weight[0] * taps) as f64;
        let is_conv = matches!(op, Op::Conv { .. });
        match (self.graph().initialization, suffix) {
            // torchvision's ResNet: kaiming_normal_(mode="fan_out", nonlinearity="relu").
            (Initialization::KaimingNormalFanOut, "weight") if is_conv => {
                Draw::Normal { std: (2.0 / fan_out).sqrt() }
            }
            // ZenNAS's "custom" scheme: xavier_normal_ with this gain, for Linear its counterpart.
            (Initialization::XavierNormalZen, "weight") => {
                Draw::Normal { std: ZEN_GAIN * (2.0 / (fan_in + fan_out)).sqrt() }
            }
            (Initialization::XavierNormalZen, _) => Draw::Constant(0.0),
            // kaiming_uniform_(a=sqrt(5)): gain sqrt(2/6), bound sqrt(3)·gain/sqrt(fan_in), which
            // is the bound of the bias as well.
            _ => Draw::Uniform { bound: 1.0 / fan_in.sqrt() },
        }
    }
}

fn fill(shape: &[i64], mut value: impl FnMut() -> f32) -> Tensor {
    let count = shape.iter().product::<i64>();
    let values: Vec<f32> = (0..count).map(|_| value()).collect();
    Tensor::from_slice(&values).reshape(shape)
}
