//! Runs a batch and its perturbed twin through a network of random weights.
//!
//! This is not [`Network::forward`](nashost_plugin_torch::Network::forward): no weight outlives
//! its layer, both batches go through a layer in one call, and batch normalisation writes over its
//! input, activates it in the same pass, and reports only the mean variance, all that the score
//! asks for. The other layers are the executor's ([`apply`]).

use nashost_plugin_api::graph::{Graph, GraphError, Op, Resolved, Source};
use nashost_plugin_torch::{Mode, apply, channels_last, normalise_batch};
use tch::{Device, Kind, TchError, Tensor};

use super::noise::{Noise, Weight};

/// Why a network has no Zen-Score.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undefined {
    #[error("the network has no batch normalisation, whose variances are part of the score")]
    NoBatchNorm,
    #[error("batch normalisation `{0}` sees a single value per channel; the variance needs a larger batch")]
    SingleValue(String),
    #[error("the score is {0}, not a finite number")]
    NotFinite(f64),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("layer `{node}`: {source}")]
    Layer { node: String, source: TchError },
    #[error(transparent)]
    Torch(#[from] TchError),
}

/// A network ready to be measured.
pub(super) struct Evaluator {
    graph: Graph,
    resolved: Resolved,
    releases: Vec<Vec<Source>>,
    /// Nodes that may write over their first input.
    overwrites: Vec<bool>,
    /// Batch normalisations that do the work of the activation behind them.
    activate: Vec<bool>,
    /// Weights of Conv and Gemm, in node order.
    weights: Vec<Weight>,
    arithmetic: Arithmetic,
}

/// How sums are carried out. Without skip connections a deep network amplifies rounding errors
/// until they show in the second digit, so this decides how near official values are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    /// Channels-last layout, both batches in one tensor, normalisation in place: a third of the time.
    Fast,
    /// The layout and kernels of the official code, one batch after the other.
    Official,
}

/// What one repeat tells.
pub(super) struct Measured {
    /// Mean over the batch of the L1 distance between the two feature maps.
    pub(super) difference: f64,
    norms: Vec<Norm>,
}

/// What one batch normalisation saw in the two batches.
struct Norm {
    /// Mean over channels of the biased variance.
    variances: [f64; 2],
    /// Turns it into the unbiased one, which the running variance takes.
    unbias: f64,
    /// Weight of a new value in the running variance.
    momentum: f64,
}

/// Mean over channels of the running variance, for each batch normalisation.
///
/// The mean is linear, so the channels need not be kept.
pub(super) struct Running(Vec<f64>);

impl Running {
    pub(super) fn update(&mut self, measured: &Measured) {
        for (running, norm) in self.0.iter_mut().zip(&measured.norms) {
            for variance in norm.variances {
                *running += norm.momentum * (norm.unbias * variance - *running);
            }
        }
    }

    pub(super) fn variances(&self) -> Vec<f64> {
        self.0.clone()
    }
}

impl Measured {
    /// Mean over channels of the variance of the unperturbed batch, for each batch normalisation.
    pub(super) fn variances(&self) -> Vec<f64> {
        self.norms.iter().map(|norm| norm.variances[0]).collect()
    }
}

/// What a node answers: one tensor of both batches, or one of each, as [`Arithmetic`] has it.
type Value = Vec<Tensor>;

impl Evaluator {
    pub(super) fn new(graph: Graph, arithmetic: Arithmetic) -> Result<Self, Undefined> {
        let resolved = graph.resolve()?;
        let measured = &graph.nodes[..=resolved.features];
        if !measured.iter().any(|node| matches!(node.op, Op::BatchNormalization { .. })) {
            return Err(Undefined::NoBatchNorm);
        }
        let weights = graph.nodes.iter().zip(&resolved.inputs).filter(|(node, _)| node.op.is_layer());
        let weights = weights.map(|(node, inputs)| {
            let weight = &node.op.parameters(resolved.shape(inputs[0]))[0];
            Weight {
                name: format!("{}.{}", node.name, weight.suffix),
                shape: weight.shape.iter().map(|&size| size as i64).collect(),
            }
        });
        Ok(Self {
            weights: weights.collect(),
            releases: resolved.releases(),
            overwrites: overwrites(&graph, &resolved),
            activate: activate(&graph, &resolved, arithmetic),
            graph,
            resolved,
            arithmetic,
        })
    }

    /// Running variances before any batch: 1.
    pub(super) fn fresh_statistics(&self) -> Running {
        let is_norm = |op: &Op| matches!(op, Op::BatchNormalization { .. });
        Running(vec![1.0; self.graph.nodes.iter().filter(|node| is_norm(&node.op)).count()])
    }

    /// Draws weights and images, and runs both batches up to the last feature map.
    pub(super) fn measure(
        &self,
        noise: &mut Noise,
        batch: u32,
        gamma: f64,
        device: Device,
    ) -> Result<Measured, Undefined> {
        let [channels, height, width] = self.graph.input.map(|size| size as i64);
        let mut draw = noise.draw(&self.weights, &[i64::from(batch), channels, height, width])?;
        let place = |tensor: &Tensor| {
            let tensor = tensor.f_to_device(device)?;
            Ok(if self.arithmetic == Arithmetic::Fast { channels_last(&tensor) } else { tensor })
        };
        let perturbed = draw.image.f_add(&draw.perturbation.f_mul_scalar(gamma)?)?;
        let mut image = Some(match self.arithmetic {
            Arithmetic::Fast => vec![place(&Tensor::f_cat(&[&draw.image, &perturbed], 0)?)?],
            Arithmetic::Official => vec![place(&draw.image)?, place(&perturbed)?],
        });
        let mut values: Vec<Option<Value>> = (0..=self.resolved.features).map(|_| None).collect();
        let mut layers = 0;
        let mut norms = Vec::new();
        for (index, node) in self.graph.nodes[..=self.resolved.features].iter().enumerate() {
            let failed = |source| Undefined::Layer { node: node.name.clone(), source };
            let read = |source: &Source| match *source {
                Source::Image => image.as_ref().expect("the image is kept until its last reader ran"),
                Source::Node(node) => {
                    values[node].as_ref().expect("values are kept until their last reader ran")
                }
            };
            let inputs: Vec<&Value> = self.resolved.inputs[index].iter().map(read).collect();
            let value = if let Op::BatchNormalization { momentum, .. } = node.op {
                let size = inputs[0][0].size();
                let count = f64::from(batch) * size[2..].iter().product::<i64>() as f64;
                if count < 2.0 {
                    return Err(Undefined::SingleValue(node.name.clone()));
                }
                let (value, variances) = self.normalise(index, inputs[0]).map_err(failed)?;
                norms.push((variances, count / (count - 1.0), 1.0 - momentum));
                value
            } else if self.is_done(index) {
                inputs[0].iter().map(Tensor::shallow_clone).collect()
            } else {
                let mut tensors = Vec::new();
                if node.op.is_layer() {
                    let weight = draw.weight(layers, &self.weights[layers]);
                    tensors.push(place(&weight).map_err(failed)?);
                    layers += 1;
                }
                // Dropout is left out: its masks would come from a generator of libtorch.
                let run = |part: usize| {
                    let inputs: Vec<&Tensor> = inputs.iter().map(|value| &value[part]).collect();
                    apply(&node.op, &inputs, &tensors, Mode::Eval, self.overwrites[index]).map_err(failed)
                };
                (0..inputs[0].len()).map(run).collect::<Result<_, _>>()?
            };
            drop(inputs);
            values[index] = Some(value);
            for &source in &self.releases[index] {
                match source {
                    Source::Image => image = None,
                    Source::Node(node) if node == self.resolved.features => {}
                    Source::Node(node) => values[node] = None,
                }
            }
        }
        let features = values[self.resolved.features].take().expect("the feature map is the last value");
        let [features, perturbed] = halves(&features)?;
        let distance = (features.f_sub(&perturbed)?).f_abs_()?.f_sum(Kind::Double)?;
        Measured::read(&distance, norms, batch)
    }

    /// Whether this is an activation that the batch normalisation before it has done.
    fn is_done(&self, index: usize) -> bool {
        matches!(self.resolved.inputs[index].first(), Some(&Source::Node(input)) if self.activate[input])
    }

    /// Normalises each batch with its own statistics. Returns them with the means over channels of
    /// their biased variances.
    fn normalise(&self, index: usize, input: &Value) -> Result<(Value, Tensor), TchError> {
        let Op::BatchNormalization { epsilon, .. } = self.graph.nodes[index].op else {
            unreachable!("only batch normalisations are sent here")
        };
        if self.arithmetic == Arithmetic::Official {
            let (value, variances): (Vec<_>, Vec<_>) = input
                .iter()
                .map(|x| normalise_officially(x, epsilon))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .unzip();
            return Ok((value, Tensor::f_stack(&variances, 0)?));
        }
        let x = if self.overwrites[index] { input[0].shallow_clone() } else { input[0].copy() };
        if x.device() == Device::Cpu {
            let (value, variances) = normalise_batch(&x, 2, epsilon, self.activate[index])?;
            return Ok((vec![value], Tensor::from_slice(&variances)));
        }
        let halves = halves(std::slice::from_ref(&x))?;
        let variances = halves.map(|half| normalise_on_device(half, epsilon, self.activate[index]));
        let [first, second] = variances;
        Ok((vec![x], Tensor::f_stack(&[first?, second?], 0)?))
    }
}

/// The two batches of a value.
fn halves(value: &[Tensor]) -> Result<[Tensor; 2], TchError> {
    match value {
        [both] => {
            let size = both.size()[0] / 2;
            Ok([both.f_narrow(0, 0, size)?, both.f_narrow(0, size, size)?])
        }
        parts => Ok([parts[0].shallow_clone(), parts[1].shallow_clone()]),
    }
}

impl Measured {
    /// Brings the numbers from the device, in one go.
    fn read(distance: &Tensor, norms: Vec<(Tensor, f64, f64)>, batch: u32) -> Result<Self, Undefined> {
        let distance = distance.f_view(1)?;
        let tensors: Vec<&Tensor> =
            std::iter::once(&distance).chain(norms.iter().map(|(variances, ..)| variances)).collect();
        let numbers = Vec::<f64>::try_from(Tensor::f_cat(&tensors, 0)?.f_to_device(Device::Cpu)?)?;
        let norms = norms.iter().zip(numbers[1..].chunks_exact(2));
        Ok(Self {
            difference: numbers[0] / f64::from(batch),
            norms: norms
                .map(|(&(_, unbias, momentum), pair)| Norm {
                    variances: [pair[0], pair[1]],
                    unbias,
                    momentum,
                })
                .collect(),
        })
    }
}

/// [`normalise_batch`] of one batch on a device, over its input.
fn normalise_on_device(mut x: Tensor, epsilon: f64, relu: bool) -> Result<Tensor, TchError> {
    let none: Option<&Tensor> = None;
    let (mean, variance) = x.f_batch_norm_update_stats(none, none, 0.0)?;
    let mut shape = vec![1; x.dim()];
    shape[1] = -1;
    let scale = variance.f_add_scalar(epsilon)?.f_rsqrt_()?;
    let _ = x.f_sub_(&mean.f_view(&shape[..])?)?.f_mul_(&scale.f_view(&shape[..])?)?;
    if relu {
        let _ = x.f_relu_()?;
    }
    variance.f_mean(Kind::Double)
}

fn normalise_officially(x: &Tensor, epsilon: f64) -> Result<(Tensor, Tensor), TchError> {
    let none: Option<&Tensor> = None;
    // It answers 1 / sqrt(variance + epsilon).
    let (value, _, scale) = x.f_native_batch_norm(none, none, none, none, true, 0.0, epsilon)?;
    let variance = scale.f_to_kind(Kind::Double)?.f_pow_tensor_scalar(-2)?.f_sub_scalar(epsilon)?;
    Ok((value, variance.f_mean(Kind::Double)?))
}

/// Finds the batch normalisations whose only reader is an activation that they can do too.
fn activate(graph: &Graph, resolved: &Resolved, arithmetic: Arithmetic) -> Vec<bool> {
    let uses = resolved.uses();
    let mut activate = vec![false; graph.nodes.len()];
    for (node, inputs) in graph.nodes[..=resolved.features].iter().zip(&resolved.inputs) {
        if let (Op::Relu, &[Source::Node(input)]) = (&node.op, &inputs[..]) {
            activate[input] = arithmetic == Arithmetic::Fast
                && uses[input] == 1
                && matches!(graph.nodes[input].op, Op::BatchNormalization { .. });
        }
    }
    activate
}

/// Finds the nodes that may write over their first input: it is fresh memory and nobody else
/// reads it.
fn overwrites(graph: &Graph, resolved: &Resolved) -> Vec<bool> {
    let uses = resolved.uses();
    let may = |node: usize| {
        let &Source::Node(input) = resolved.inputs[node].first()? else { return None };
        let aliases = matches!(
            graph.nodes[input].op,
            Op::Identity | Op::Slice { .. } | Op::Flatten | Op::Dropout { .. } | Op::DropPath { .. }
        );
        let in_place =
            matches!(graph.nodes[node].op, Op::BatchNormalization { .. } | Op::Relu | Op::Add { .. });
        Some(in_place && !aliases && uses[input] == 1 && input != resolved.features)
    };
    (0..graph.nodes.len()).map(|node| may(node).unwrap_or(false)).collect()
}
