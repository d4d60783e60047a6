//! Runs a network.

use nashost_plugin_api::graph::{Op, Source, Window};
use tch::{TchError, Tensor};

use crate::{Network, TorchError, Weights, channels_last, conv2d, error::concise, network::Step};

/// How a network runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics; running statistics are updated in place; dropout is active, with masks
    /// from libtorch's generator.
    Train,
    /// Running statistics; deterministic.
    Eval,
}

impl Network {
    /// Returns the logits, `N×labels`, of `images`, `N×C×H×W`. An auxiliary classifier does not run.
    ///
    /// Images may have any strides; they and the weights must be on one device and of one kind,
    /// except that normalisation tensors stay fp32. Gradients are recorded as the thread's grad
    /// mode says.
    ///
    /// # Errors
    ///
    /// Fails if images or weights do not fit the graph, or libtorch refuses a layer; the error
    /// names the node.
    pub fn forward(&self, weights: &Weights, images: &Tensor, mode: Mode) -> Result<Tensor, TorchError> {
        let mut values = self.run(weights, images, mode, &[self.output])?;
        Ok(values.swap_remove(0))
    }

    /// Returns the logits of a training pass, and those of the auxiliary classifier if there is one.
    ///
    /// # Errors
    ///
    /// Fails as [`Network::forward`] does.
    pub fn forward_training(
        &self,
        weights: &Weights,
        images: &Tensor,
    ) -> Result<(Tensor, Option<Tensor>), TorchError> {
        let taps: Vec<usize> = [self.output].into_iter().chain(self.auxiliary).collect();
        let mut values = self.run(weights, images, Mode::Train, &taps)?.into_iter();
        let logits = values.next().expect("a value for each tap");
        Ok((logits, values.next()))
    }

    /// Returns the values of the nodes named by `taps`, in that order, and runs no node after the
    /// last of them.
    ///
    /// # Errors
    ///
    /// Fails as [`Network::forward`] does, or if a tap is not a node.
    pub fn forward_taps(
        &self,
        weights: &Weights,
        images: &Tensor,
        mode: Mode,
        taps: &[&str],
    ) -> Result<Vec<Tensor>, TorchError> {
        let nodes = &self.graph().nodes;
        let find = |tap: &&str| {
            let found = nodes.iter().position(|node| node.name == *tap);
            found.ok_or_else(|| TorchError::UnknownTap((*tap).to_owned()))
        };
        let taps = taps.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        self.run(weights, images, mode, &taps)
    }

    fn run(
        &self,
        weights: &Weights,
        images: &Tensor,
        mode: Mode,
        taps: &[usize],
    ) -> Result<Vec<Tensor>, TorchError> {
        self.check(weights, images)?;
        let last = taps.iter().max().map_or(0, |&last| last + 1);
        let mut tapped = vec![false; last];
        taps.iter().for_each(|&tap| tapped[tap] = true);
        let mut image = Some(channels_last(images));
        let mut values: Vec<Option<Tensor>> = (0..last).map(|_| None).collect();
        let skips = !taps.iter().any(|&tap| self.steps[tap].training_only);
        for (index, step) in self.steps[..last].iter().enumerate() {
            if !(skips && step.training_only) {
                let overwrite = step.overwrites.is_some_and(|input| !tapped[input]);
                let inputs: Vec<&Tensor> =
                    step.inputs.iter().map(|&source| read(&image, &values, source)).collect();
                values[index] = Some(self.answer(index, step, &inputs, weights, mode, overwrite)?);
            }
            for &source in &step.releases {
                match source {
                    Source::Image => image = None,
                    Source::Node(node) if tapped[node] => {}
                    Source::Node(node) => values[node] = None,
                }
            }
        }
        let value = |&tap: &usize| values[tap].as_ref().map(Tensor::shallow_clone);
        Ok(taps.iter().map(|tap| value(tap).expect("tapped values are kept")).collect())
    }

    fn check(&self, weights: &Weights, images: &Tensor) -> Result<(), TorchError> {
        let (expected, found) = (self.parameters().len(), weights.tensors().len());
        if found != expected {
            return Err(TorchError::WeightCount { expected, found });
        }
        let (size, input) = (images.size(), self.graph().input);
        let fits = size.len() == 4 && (0..3).all(|axis| size[axis + 1] == input[axis] as i64);
        if fits { Ok(()) } else { Err(TorchError::Images { found: size, expected: input }) }
    }

    fn answer(
        &self,
        index: usize,
        step: &Step,
        inputs: &[&Tensor],
        weights: &Weights,
        mode: Mode,
        overwrite: bool,
    ) -> Result<Tensor, TorchError> {
        let node = &self.graph().nodes[index];
        let tensors = &weights.tensors()[step.parameters.clone()];
        if matches!(node.op, Op::BatchNormalization { .. }) && mode == Mode::Train {
            let size = inputs[0].size();
            if size.iter().product::<i64>() <= size[1] {
                return Err(TorchError::SingleValue { node: node.name.clone() });
            }
        }
        apply(&node.op, inputs, tensors, mode, overwrite).map_err(|source| TorchError::Node {
            node: node.name.clone(),
            op: node.op.name(),
            inputs: inputs.iter().map(|input| format!("{:?}", input.size())).collect::<Vec<_>>().join(", "),
            source: Box::new(concise(source)),
        })
    }
}

fn read<'a>(image: &'a Option<Tensor>, values: &'a [Option<Tensor>], source: Source) -> &'a Tensor {
    let value = match source {
        Source::Image => image.as_ref(),
        Source::Node(node) => values[node].as_ref(),
    };
    value.expect("a value is released after its last reader")
}

/// Computes one layer from its inputs and tensors (those of [`Network::parameters`]; trailing
/// ones, such as a bias, may be left out where they would be zero). With `overwrite` it may write
/// over its first input.
///
/// # Errors
///
/// Fails if libtorch refuses the layer.
pub fn apply(
    op: &Op,
    inputs: &[&Tensor],
    tensors: &[Tensor],
    mode: Mode,
    overwrite: bool,
) -> Result<Tensor, TchError> {
    let x = inputs[0];
    match op {
        Op::Conv { window, group, .. } => {
            let Sizes { strides, pads, dilations, .. } = Sizes::of(window);
            conv2d(x, &tensors[0], tensors.get(1), strides, pads, dilations, *group as i64)
        }
        Op::BatchNormalization { epsilon, momentum } => {
            let train = mode == Mode::Train;
            if train {
                let _no_grad = tch::no_grad_guard();
                let _ = tensors[4].shallow_clone().f_add_scalar_(1)?;
            }
            let [weight, bias, mean, variance] = [0, 1, 2, 3].map(|i| Some(&tensors[i]));
            // ONNX's momentum weighs the old value, libtorch's the new one.
            x.f_batch_norm(weight, bias, mean, variance, train, 1.0 - momentum, *epsilon, true)
        }
        Op::Relu if overwrite => x.shallow_clone().f_relu_(),
        Op::Relu => x.f_relu(),
        Op::Sigmoid => x.f_sigmoid(),
        Op::HardSigmoid => x.f_hardsigmoid(),
        Op::HardSwish => x.f_hardswish(),
        Op::Swish => x.f_silu(),
        Op::Clip { min, max } => x.f_clamp(*min, *max),
        Op::Gelu => x.f_gelu("none"),
        Op::Tanh => x.f_tanh(),
        Op::Add { .. } => {
            let mut sum = if overwrite { x.shallow_clone().f_add_(inputs[1])? } else { x.f_add(inputs[1])? };
            for input in &inputs[2..] {
                sum = sum.f_add_(input)?;
            }
            Ok(sum)
        }
        Op::Mul => {
            let mut product = x.f_mul(inputs[1])?;
            for input in &inputs[2..] {
                product = product.f_mul(input)?;
            }
            Ok(product)
        }
        Op::Concat => Tensor::f_cat(inputs, 1),
        Op::MaxPool(pool) => {
            let Sizes { kernel, strides, pads, dilations } = Sizes::of(&pool.window);
            x.f_max_pool2d(kernel, strides, pads, dilations, pool.ceil_mode)
        }
        Op::AveragePool(pool) => {
            let Sizes { kernel, strides, pads, .. } = Sizes::of(&pool.window);
            x.f_avg_pool2d(kernel, strides, pads, pool.ceil_mode, pool.count_include_pad, None)
        }
        Op::Slice { starts } => {
            let [top, left] = starts.map(|start| start as i64);
            let size = x.size();
            x.f_narrow(2, top, size[2] - top)?.f_narrow(3, left, size[3] - left)
        }
        Op::GlobalAveragePool => x.f_mean_dim([2, 3].as_slice(), true, None),
        Op::Flatten => x.f_flatten(1, -1),
        Op::Gemm { .. } => x.f_linear(&tensors[0], tensors.get(1)),
        Op::Dropout { ratio } => x.f_dropout(*ratio, mode == Mode::Train),
        Op::DropPath { ratio } if mode == Mode::Train => drop_path(x, *ratio),
        Op::DropPath { .. } | Op::Identity => Ok(x.shallow_clone()),
    }
}

/// Zeroes whole images and scales the others up, so that the mean stays.
fn drop_path(x: &Tensor, ratio: f64) -> Result<Tensor, TchError> {
    let mut size = vec![1; x.dim()];
    size[0] = x.size()[0];
    let keep = Tensor::f_empty(size, (x.kind(), x.device()))?;
    let keep = keep.f_bernoulli_p(1.0 - ratio)?.f_div_scalar(1.0 - ratio)?;
    x.f_mul(&keep)
}

/// A window's sizes as libtorch wants them.
struct Sizes {
    kernel: [i64; 2],
    strides: [i64; 2],
    pads: [i64; 2],
    dilations: [i64; 2],
}

impl Sizes {
    fn of(window: &Window) -> Self {
        // A valid graph has no size above i32::MAX.
        let of = |sizes: [usize; 2]| sizes.map(|size| size as i64);
        Self {
            kernel: of(window.kernel_shape),
            strides: of(window.strides),
            pads: of(window.pads),
            dilations: of(window.dilations),
        }
    }
}
