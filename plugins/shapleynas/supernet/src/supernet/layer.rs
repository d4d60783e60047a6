//! The supernet's layers over stacked edges.
//!
//! All edges that leave a state apply the same operations to the same input with weights of their
//! own. Their weights are stacked along the output channels, so that one convolution serves all of
//! them: the input is repeated once per edge and the convolution has that many groups. That is
//! exact, and libtorch's processor kernels need channels by the eight, which one edge does not have.
//!
//! Tensors are in the channels-last layout throughout, in which depthwise convolutions, batch
//! normalisation and pooling are fastest on a processor.

use nashost_plugin_torch::conv2d;
use tch::{IndexOp as _, Tensor};

use super::build::{Builder, Slot};

/// PyTorch's defaults.
const EPS: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

pub(super) fn conv(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    [stride, padding, dilation, groups]: [i64; 4],
) -> Tensor {
    conv2d(input, weight, bias, [stride; 2], [padding; 2], [dilation; 2], groups)
        .unwrap_or_else(|error| panic!("a layer of the supernet: {error}"))
}

/// Returns `input` repeated along the channels.
pub(super) fn repeat(input: &Tensor, times: usize) -> Tensor {
    if times == 1 {
        return input.shallow_clone();
    }
    Tensor::cat(&vec![input; times], 1)
}

/// Returns the even and the odd pixels of both sides, as the two halves of the channels: what the
/// two convolutions of a factorised reduction read.
pub(super) fn halves(input: &Tensor) -> [Tensor; 2] {
    [0, 1].map(|first| input.slice(2, first, None, 2).slice(3, first, None, 2))
}

/// Batch normalisation without learnt scale.
#[derive(Debug)]
pub(super) struct Norm {
    pub(super) mean: Tensor,
    pub(super) variance: Tensor,
}

impl Norm {
    /// Normalises by the batch, moves the running statistics, and multiplies by `scale` per channel.
    pub(super) fn train(&self, input: &Tensor, scale: Option<&Tensor>) -> Tensor {
        let none = None::<&Tensor>;
        input.batch_norm(scale, none, Some(&self.mean), Some(&self.variance), true, MOMENTUM, EPS, false)
    }

    /// Normalises by `(x - mean) / sqrt(variance + eps) = x scale + shift`; returns both.
    pub(super) fn fold(&self) -> (Tensor, Tensor) {
        let scale = (&self.variance + EPS).rsqrt();
        let shift = -(&self.mean * &scale);
        (scale, shift)
    }
}

/// Multiplies each filter by its scale.
pub(super) fn scale_filters(weight: &Tensor, scale: &Tensor) -> Tensor {
    weight * scale.view([-1, 1, 1, 1])
}

/// The first half of a separable or a dilated convolution without its ReLU: depthwise, pointwise,
/// batch normalisation, for a number of edges.
#[derive(Debug)]
pub(super) struct Link {
    depthwise: Tensor,
    pointwise: Tensor,
    norm: Norm,
    stride: i64,
    dilation: i64,
    edges: usize,
}

impl Link {
    /// `names` are the places of depthwise convolution, pointwise convolution and normalisation
    /// within an operation.
    pub(super) fn new(
        builder: &mut Builder,
        prefixes: &[String],
        names: [&str; 3],
        [channels, kernel, stride, dilation]: [i64; 4],
    ) -> Self {
        let slots = |part: &str, rows| -> Vec<Slot> {
            prefixes.iter().map(|prefix| Slot::new(format!("{prefix}.{part}"), rows)).collect()
        };
        let depthwise =
            builder.weight(&slots(&format!("{}.weight", names[0]), channels), &[1, kernel, kernel]);
        let pointwise = builder.weight(&slots(&format!("{}.weight", names[1]), channels), &[channels, 1, 1]);
        let norm =
            builder.norm(&prefixes.iter().map(|p| format!("{p}.{}", names[2])).collect::<Vec<_>>(), channels);
        Self { depthwise, pointwise, norm, stride, dilation, edges: prefixes.len() }
    }

    /// `input` holds the channels of all edges.
    pub(super) fn train(&self, input: &Tensor, scale: Option<&Tensor>) -> Tensor {
        let spread = self.depthwise_conv(input, &self.depthwise);
        self.norm.train(&conv(&spread, &self.pointwise, None, [1, 0, 1, self.edges as i64]), scale)
    }

    fn depthwise_conv(&self, input: &Tensor, weight: &Tensor) -> Tensor {
        let padding = self.dilation * (weight.size()[2] / 2);
        conv(input, weight, None, [self.stride, padding, self.dilation, weight.size()[0]])
    }

    pub(super) fn freeze(&self) -> FrozenLink {
        let (scale, shift) = self.norm.fold();
        FrozenLink {
            depthwise: self.depthwise.detach().copy(),
            pointwise: scale_filters(&self.pointwise.detach(), &scale),
            bias: shift,
            stride: self.stride,
            dilation: self.dilation,
            edges: self.edges,
        }
    }
}

/// A [`Link`] whose normalisation is folded into its pointwise convolution.
#[derive(Debug)]
pub(super) struct FrozenLink {
    depthwise: Tensor,
    pointwise: Tensor,
    bias: Tensor,
    stride: i64,
    dilation: i64,
    edges: usize,
}

impl FrozenLink {
    /// `input` holds the channels of the edges at `rows`, or of all; the output is multiplied by
    /// `scale` per channel.
    pub(super) fn run(&self, input: &Tensor, rows: Option<&Rows>, scale: Option<&Tensor>) -> Tensor {
        let pick = |tensor: &Tensor| rows.map_or_else(|| tensor.shallow_clone(), |rows| rows.pick(tensor));
        let depthwise = pick(&self.depthwise);
        let padding = self.dilation * (depthwise.size()[2] / 2);
        let spread =
            conv(input, &depthwise, None, [self.stride, padding, self.dilation, depthwise.size()[0]]);
        let groups = rows.map_or(self.edges, |rows| rows.edges) as i64;
        scaled_conv(&spread, (pick(&self.pointwise), pick(&self.bias)), scale, groups)
    }
}

/// Returns a 1×1 convolution whose outputs are multiplied by `scale`.
fn scaled_conv(
    input: &Tensor,
    (weight, bias): (Tensor, Tensor),
    scale: Option<&Tensor>,
    groups: i64,
) -> Tensor {
    let shape = [1, 0, 1, groups];
    match scale {
        None => conv(input, &weight, Some(&bias), shape),
        // A gradient by the filters costs more than one by the outputs.
        Some(scale) if scale.requires_grad() => {
            conv(input, &weight, Some(&bias), shape) * scale.view([1, -1, 1, 1])
        }
        Some(scale) => conv(input, &scale_filters(&weight, scale), Some(&(bias * scale)), shape),
    }
}

/// Some of the stacked edges.
#[derive(Debug)]
pub(super) struct Rows {
    index: Tensor,
    pub(super) edges: usize,
}

impl Rows {
    /// `edges` are places in a stack of edges with `channels` each.
    pub(super) fn new(edges: &[usize], channels: i64, like: &Tensor) -> Self {
        let index: Vec<i64> =
            edges.iter().flat_map(|&edge| (0..channels).map(move |c| edge as i64 * channels + c)).collect();
        Self { index: Tensor::from_slice(&index).to_device(like.device()), edges: edges.len() }
    }

    pub(super) fn pick(&self, tensor: &Tensor) -> Tensor {
        tensor.index_select(0, &self.index)
    }
}

/// A 1×1 convolution with batch normalisation; a factorised reduction has two of them, each for half
/// of its outputs, which read the even and the odd pixels.
#[derive(Debug)]
pub(super) struct Projection {
    weight: Tensor,
    norm: Norm,
    /// Stacked factorised reductions; 0 for a plain convolution.
    reductions: usize,
}

impl Projection {
    pub(super) fn plain(builder: &mut Builder, prefix: &str, [input, output]: [i64; 2]) -> Self {
        let weight = builder.weight(&[Slot::new(format!("{prefix}.op.1.weight"), output)], &[input, 1, 1]);
        let norm = builder.norm(&[format!("{prefix}.op.2")], output);
        Self { weight, norm, reductions: 0 }
    }

    pub(super) fn reduction(builder: &mut Builder, prefixes: &[String], [input, output]: [i64; 2]) -> Self {
        let slots: Vec<Slot> = prefixes
            .iter()
            .flat_map(|prefix| ["conv_1", "conv_2"].map(|conv| format!("{prefix}.{conv}.weight")))
            .map(|name| Slot::new(name, output / 2))
            .collect();
        let weight = builder.weight(&slots, &[input, 1, 1]);
        let norm = builder.norm(&prefixes.iter().map(|p| format!("{p}.bn")).collect::<Vec<_>>(), output);
        Self { weight, norm, reductions: prefixes.len() }
    }

    /// `relu` is the input after the ReLU.
    pub(super) fn train(&self, relu: &Tensor, scale: Option<&Tensor>) -> Tensor {
        let output = if self.reductions == 0 {
            conv(relu, &self.weight, None, [1, 0, 1, 1])
        } else {
            let input = repeat(&Tensor::cat(&halves(relu), 1), self.reductions);
            conv(&input, &self.weight, None, [1, 0, 1, 2 * self.reductions as i64])
        };
        self.norm.train(&output, scale)
    }

    pub(super) fn freeze(&self) -> FrozenProjection {
        let (scale, shift) = self.norm.fold();
        let weight = scale_filters(&self.weight.detach(), &scale);
        FrozenProjection { weight, bias: shift, reductions: self.reductions }
    }
}

/// A [`Projection`] with its normalisation folded.
#[derive(Debug)]
pub(super) struct FrozenProjection {
    weight: Tensor,
    bias: Tensor,
    reductions: usize,
}

impl FrozenProjection {
    pub(super) fn run(&self, relu: &Tensor, rows: Option<&Rows>, scale: Option<&Tensor>) -> Tensor {
        let pick = |tensor: &Tensor| rows.map_or_else(|| tensor.shallow_clone(), |rows| rows.pick(tensor));
        let layer = (pick(&self.weight), pick(&self.bias));
        if self.reductions == 0 {
            return scaled_conv(relu, layer, scale, 1);
        }
        let edges = rows.map_or(self.reductions, |rows| rows.edges);
        let input = repeat(&Tensor::cat(&halves(relu), 1), edges);
        scaled_conv(&input, layer, scale, 2 * edges as i64)
    }
}

/// Returns the 3×3 maximum with padding 1.
///
/// Without gradients by rows and columns, which is several times as fast as libtorch's pooling on a
/// processor; its backward is not.
pub(super) fn max_pool(input: &Tensor, stride: i64, gradients: bool) -> Tensor {
    if gradients {
        return input.max_pool2d([3, 3], [stride, stride], [1, 1], [1, 1], false);
    }
    let padded = input.pad([1, 1, 1, 1], "constant", f64::NEG_INFINITY);
    max_of_three(&max_of_three(&padded, 3, stride), 2, stride)
}

fn max_of_three(padded: &Tensor, side: i64, stride: i64) -> Tensor {
    let size = padded.size()[side as usize];
    let part = |first: i64| padded.slice(side, first, first + size - 2, stride);
    part(0).maximum(&part(1)).maximum(&part(2))
}

/// Returns the 2×2 maximum with stride 2, by which channels go around a strided edge.
pub(super) fn halve(input: &Tensor, gradients: bool) -> Tensor {
    if gradients {
        return input.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
    }
    let size = input.size();
    let input = input.narrow(2, 0, size[2] / 2 * 2).narrow(3, 0, size[3] / 2 * 2);
    let rows = input.slice(2, 0, None, 2).maximum(&input.slice(2, 1, None, 2));
    rows.slice(3, 0, None, 2).maximum(&rows.slice(3, 1, None, 2))
}

/// Returns the 3×3 mean with padding 1, over the pixels that exist: a depthwise convolution, which
/// is faster than libtorch's pooling.
pub(super) fn average_pool(input: &Tensor, stride: i64) -> Tensor {
    let size = input.size();
    let options = (input.kind(), input.device());
    let ones = |shape: [i64; 4]| Tensor::ones(shape, options);
    let sum = conv(input, &ones([size[1], 1, 3, 3]), None, [stride, 1, 1, size[1]]);
    let count = conv(&ones([1, 1, size[2], size[3]]), &ones([1, 1, 3, 3]), None, [stride, 1, 1, 1]);
    sum * count.reciprocal()
}

/// Interleaves the mixed channels with those that went around them, as a channel shuffle with `k`
/// groups does.
pub(super) fn shuffle(mixed: &Tensor, around: &Tensor) -> Tensor {
    let last = |tensor: &Tensor| tensor.permute([0, 2, 3, 1]);
    let (mixed, around) = (last(mixed), last(around));
    let size = mixed.size();
    let channels = size[3];
    let groups = around.size()[3] / channels;
    let around = around.reshape([size[0], size[1], size[2], groups, channels]).transpose(3, 4);
    let all = Tensor::cat(&[mixed.unsqueeze(-1), around], -1);
    all.view([size[0], size[1], size[2], channels * (groups + 1)]).permute([0, 3, 1, 2])
}

/// Returns the matrix, as a 1×1 convolution, by which the channels of some sources, one after the
/// other, are weighted and summed for every edge. `weights` is `[edges, sources]`.
pub(super) fn mixing_matrix(weights: &Tensor, channels: i64) -> Tensor {
    let size = weights.size();
    let identity = Tensor::eye(channels, (weights.kind(), weights.device()));
    let matrix = weights.view([size[0], 1, size[1], 1]) * identity.view([1, channels, 1, channels]);
    matrix.reshape([size[0] * channels, size[1] * channels, 1, 1])
}

/// Returns the weight of `op` for every output channel. `weights` is `[edges, operations]`.
pub(super) fn per_channel(weights: &Tensor, op: usize, channels: i64) -> Tensor {
    weights.i((.., op as i64)).repeat_interleave_self_int(channels, 0, None)
}
