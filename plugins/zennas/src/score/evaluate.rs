//! Runs a batch and its perturbed twin through a network of random weights.
//!
//! This is not [`Network::forward`](nashost_plugin_torch::Network::forward): no weight outlives
//! its layer, both batches go through a layer while its weights are in the cache, and batch
//! normalisation writes over its input and reports only the mean variance, all that the score
//! asks for. The other layers are the executor's ([`apply`]).

use nashost_plugin_api::graph::{Graph, GraphError, Op, Resolved, Source};
use nashost_plugin_torch::{Mode, apply, channels_last};
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
    /// Weights of Conv and Gemm, in node order.
    weights: Vec<Weight>,
    arithmetic: Arithmetic,
}

/// How sums are carried out. Without skip connections a deep network amplifies rounding errors
/// until they show in the second digit, so this decides how near official values are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    /// Channels-last layout, statistics and in-place transform: half the time.
    Fast,
    /// The layout and kernels of the official code.
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

type Pair = [Tensor; 2];

impl Evaluator {
    pub(super) fn new(graph: &Graph, arithmetic: Arithmetic) -> Result<Self, Undefined> {
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
            overwrites: overwrites(graph, &resolved),
            graph: graph.clone(),
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
        let mut image = Some([place(&draw.image)?, place(&perturbed)?]);
        let mut values: Vec<Option<Pair>> = (0..=self.resolved.features).map(|_| None).collect();
        let mut layers = 0;
        let mut norms = Vec::new();
        for (index, node) in self.graph.nodes[..=self.resolved.features].iter().enumerate() {
            let failed = |source| Undefined::Layer { node: node.name.clone(), source };
            let inputs = &self.resolved.inputs[index];
            let read = |source: &Source| match *source {
                Source::Image => image.as_ref().expect("the image is kept until its last reader ran"),
                Source::Node(node) => {
                    values[node].as_ref().expect("values are kept until their last reader ran")
                }
            };
            let inputs: Vec<&Pair> = inputs.iter().map(read).collect();
            let overwrite = self.overwrites[index];
            let value = if let Op::BatchNormalization { epsilon, momentum } = node.op {
                let (value, norm) =
                    normalise(inputs[0], epsilon, self.arithmetic, overwrite).map_err(failed)?;
                let count = inputs[0][0].numel() as f64 / inputs[0][0].size()[1] as f64;
                if count < 2.0 {
                    return Err(Undefined::SingleValue(node.name.clone()));
                }
                norms.push((norm, count / (count - 1.0), 1.0 - momentum));
                value
            } else {
                let mut tensors = Vec::new();
                if node.op.is_layer() {
                    let weight = draw.weight(layers, &self.weights[layers]);
                    tensors.push(place(&weight).map_err(failed)?);
                    layers += 1;
                }
                // Dropout is left out: its masks would come from a generator of libtorch.
                let run = |half: usize| {
                    let inputs: Vec<&Tensor> = inputs.iter().map(|pair| &pair[half]).collect();
                    apply(&node.op, &inputs, &tensors, Mode::Eval, overwrite)
                };
                [run(0).map_err(failed)?, run(1).map_err(failed)?]
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
        let [features, perturbed] =
            values[self.resolved.features].take().expect("the feature map is the last value");
        let distance = (features.f_sub(&perturbed)?).f_abs_()?.f_sum(Kind::Double)?;
        Measured::read(&distance, norms, batch)
    }
}

impl Measured {
    /// Brings the numbers from the device, in one go.
    fn read(distance: &Tensor, norms: Vec<(Pair, f64, f64)>, batch: u32) -> Result<Self, Undefined> {
        let variances = norms.iter().flat_map(|(variances, ..)| variances.iter());
        let tensors: Vec<&Tensor> = std::iter::once(distance).chain(variances).collect();
        let numbers = Vec::<f64>::try_from(Tensor::f_stack(&tensors, 0)?.f_to_device(Device::Cpu)?)?;
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

/// Normalises both batches, each with its own statistics. Returns them with the means over
/// channels of their biased variances.
fn normalise(
    input: &Pair,
    epsilon: f64,
    arithmetic: Arithmetic,
    overwrite: bool,
) -> Result<(Pair, Pair), TchError> {
    let run = |x: &Tensor| match arithmetic {
        Arithmetic::Fast => normalise_fast(x, epsilon, overwrite),
        Arithmetic::Official => normalise_officially(x, epsilon),
    };
    let [(first, first_variance), (second, second_variance)] = [run(&input[0])?, run(&input[1])?];
    Ok(([first, second], [first_variance, second_variance]))
}

/// Statistics and an in-place transform: less memory traffic than `native_batch_norm`, which
/// writes to new memory.
fn normalise_fast(x: &Tensor, epsilon: f64, overwrite: bool) -> Result<(Tensor, Tensor), TchError> {
    let none: Option<&Tensor> = None;
    let (mean, variance) = x.f_batch_norm_update_stats(none, none, 0.0)?;
    let mut shape = vec![1; x.dim()];
    shape[1] = -1;
    let scale = variance.f_add_scalar(epsilon)?.f_rsqrt_()?;
    let mean = mean.f_view(&shape[..])?;
    let mut centred = if overwrite { x.shallow_clone().f_sub_(&mean)? } else { x.f_sub(&mean)? };
    let value = centred.f_mul_(&scale.f_view(&shape[..])?)?;
    Ok((value, variance.f_mean(Kind::Double)?))
}

fn normalise_officially(x: &Tensor, epsilon: f64) -> Result<(Tensor, Tensor), TchError> {
    let none: Option<&Tensor> = None;
    // It answers 1 / sqrt(variance + epsilon).
    let (value, _, scale) = x.f_native_batch_norm(none, none, none, none, true, 0.0, epsilon)?;
    let variance = scale.f_to_kind(Kind::Double)?.f_pow_tensor_scalar(-2)?.f_sub_scalar(epsilon)?;
    Ok((value, variance.f_mean(Kind::Double)?))
}

/// Finds the nodes that may write over their first input: it is fresh memory and nobody else
/// reads it.
fn overwrites(graph: &Graph, resolved: &Resolved) -> Vec<bool> {
    let uses = resolved.uses();
    let may = |node: usize| {
        let &Source::Node(input) = resolved.inputs[node].first()? else { return None };
        let aliases = matches!(
            graph.nodes[input].op,
            Op::Identity | Op::Flatten | Op::Dropout { .. } | Op::DropPath { .. }
        );
        let in_place =
            matches!(graph.nodes[node].op, Op::BatchNormalization { .. } | Op::Relu | Op::Add { .. });
        Some(in_place && !aliases && uses[input] == 1 && input != resolved.features)
    };
    (0..graph.nodes.len()).map(|node| may(node).unwrap_or(false)).collect()
}
