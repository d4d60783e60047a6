//! A cell: states, the operations on the edges that leave them, and nodes.

use tch::{IndexOp as _, Tensor};

use super::{
    build::Builder,
    layer::{
        FrozenLink, FrozenProjection, Link, Projection, Rows, average_pool, conv, halve, max_pool,
        mixing_matrix, per_channel, repeat, shuffle,
    },
};
use crate::{
    geometry::CellShape,
    space::{NODES, OP_COUNT, edge},
};

/// The first operation with weights; before it come the pools and the skip connection.
const FIRST_CONV: usize = 3;
const AVERAGE: usize = 0;
const MAX: usize = 1;
const SKIP: usize = 2;

/// Which operations of each edge of a cell exist.
pub(super) type Present = [[bool; OP_COUNT]; crate::space::EDGES];

/// A cell in training.
#[derive(Debug)]
pub(super) struct Cell {
    inputs: [Projection; 2],
    states: Vec<Outgoing>,
    channels: i64,
    pub(super) reduction: bool,
}

impl Cell {
    pub(super) fn new(builder: &mut Builder, prefix: &str, shape: &CellShape, k: usize) -> Self {
        let channels = shape.channels as i64;
        let [before_last, last] = shape.inputs.map(|input| input as i64);
        let first = format!("{prefix}.preprocess0");
        let inputs = [
            if shape.after_reduction {
                Projection::reduction(builder, &[first], [before_last, channels])
            } else {
                Projection::plain(builder, &first, [before_last, channels])
            },
            Projection::plain(builder, &format!("{prefix}.preprocess1"), [last, channels]),
        ];
        let states = (0..NODES + 1)
            .map(|state| {
                let stride = if shape.reduction && state < 2 { 2 } else { 1 };
                Outgoing::new(builder, prefix, state, [channels / k as i64, stride])
            })
            .collect();
        Self { inputs, states, channels, reduction: shape.reduction }
    }

    /// Returns the cell's output by batch statistics. `relus` are the outputs of the two cells
    /// before after the ReLU, `weights` `[edges, operations]`.
    pub(super) fn train(&self, relus: [&Tensor; 2], weights: &Tensor, gradients: bool) -> Tensor {
        let inputs = [0, 1].map(|input| self.inputs[input].train(relus[input], None));
        let mixer = |state: usize, input: &Tensor, nodes: &mut Nodes| {
            let outgoing = &self.states[state];
            nodes.add_stack(state, outgoing.channels, &outgoing.train(input, weights, gradients));
        };
        run(
            inputs,
            self.channels,
            &self.states.iter().map(Outgoing::shape).collect::<Vec<_>>(),
            gradients,
            &mixer,
        )
    }

    pub(super) fn freeze(&self) -> FrozenCell {
        FrozenCell {
            inputs: [0, 1].map(|input| self.inputs[input].freeze()),
            states: self.states.iter().map(Outgoing::freeze).collect(),
            channels: self.channels,
            reduction: self.reduction,
        }
    }
}

/// A cell whose weights and statistics stand still.
#[derive(Debug)]
pub(super) struct FrozenCell {
    inputs: [FrozenProjection; 2],
    states: Vec<FrozenOutgoing>,
    channels: i64,
    pub(super) reduction: bool,
}

impl FrozenCell {
    /// Returns the inputs, projected to the cell's channels.
    pub(super) fn project(&self, relus: [&Tensor; 2]) -> [Tensor; 2] {
        [0, 1].map(|input| self.inputs[input].run(relus[input], None, None))
    }

    /// Returns the cell's output; operations that are not `present` are left out.
    pub(super) fn run(
        &self,
        inputs: [Tensor; 2],
        weights: &Tensor,
        present: &Present,
        gradients: bool,
    ) -> Tensor {
        let mixer = |state: usize, input: &Tensor, nodes: &mut Nodes| {
            self.states[state].run(input, weights, present, gradients, nodes);
        };
        let shapes: Vec<_> = self.states.iter().map(|state| (state.channels, state.stride)).collect();
        run(inputs, self.channels, &shapes, gradients, &mixer)
    }
}

/// Makes the nodes one after the other from what leaves the states before them.
///
/// `shapes` are, for every state, the channels that its edges pass through operations and their
/// stride; `mixer` adds what the operations make of them to the nodes.
fn run(
    inputs: [Tensor; 2],
    channels: i64,
    shapes: &[(i64, i64)],
    gradients: bool,
    mixer: &dyn Fn(usize, &Tensor, &mut Nodes),
) -> Tensor {
    let partial = shapes[0].0;
    let mut nodes = Nodes { mixed: Default::default() };
    let mut around: Option<Tensor> = None;
    let mut outputs = Vec::with_capacity(NODES);
    let leave = |state: usize, tensor: &Tensor, nodes: &mut Nodes, around: &mut Option<Tensor>| {
        mixer(state, &channels_last(&tensor.narrow(1, 0, partial)), nodes);
        if partial < channels {
            let rest = tensor.narrow(1, partial, channels - partial);
            let rest = if shapes[state].1 == 2 { halve(&rest, gradients) } else { rest };
            // Every edge into a node brings the rest of its state along, so a node has the sum.
            add(around, &rest);
        }
    };
    for (state, input) in inputs.iter().enumerate() {
        leave(state, input, &mut nodes, &mut around);
    }
    for node in 0..NODES {
        let sum = around.as_ref();
        let output = match (nodes.mixed[node].take(), sum) {
            (Some(mixed), None) => mixed,
            (Some(mixed), Some(around)) => shuffle(&mixed, around),
            (None, Some(around)) => {
                let mut size = around.size();
                size[1] = partial;
                shuffle(&Tensor::zeros(size, (around.kind(), around.device())), around)
            }
            (None, None) => {
                let mut size = inputs[0].size();
                size[1] = channels;
                for side in &mut size[2..] {
                    *side /= shapes[0].1;
                }
                channels_last(&Tensor::zeros(size, (inputs[0].kind(), inputs[0].device())))
            }
        };
        if node + 1 < NODES {
            leave(node + 2, &output, &mut nodes, &mut around);
        }
        outputs.push(output);
    }
    Tensor::cat(&outputs, 1)
}

fn channels_last(tensor: &Tensor) -> Tensor {
    tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

fn add(sum: &mut Option<Tensor>, term: &Tensor) {
    *sum = Some(sum.take().map_or_else(|| term.shallow_clone(), |sum| sum + term));
}

/// What the operations have brought to each node so far.
struct Nodes {
    mixed: [Option<Tensor>; NODES],
}

impl Nodes {
    /// Adds the channels of all edges that leave `state`.
    fn add_stack(&mut self, state: usize, channels: i64, stack: &Tensor) {
        for (place, node) in targets(state).enumerate() {
            add(&mut self.mixed[node], &stack.narrow(1, place as i64 * channels, channels));
        }
    }
}

/// Returns the nodes that a state has edges to.
fn targets(state: usize) -> std::ops::Range<usize> {
    state.saturating_sub(1)..NODES
}

fn edges(state: usize) -> Vec<usize> {
    targets(state).filter_map(|node| edge(state, node)).collect()
}

/// All operations on the edges that leave one state.
#[derive(Debug)]
struct Outgoing {
    edges: Vec<usize>,
    channels: i64,
    stride: i64,
    /// Separable convolutions have two links, dilated ones have one.
    convs: [Vec<Link>; OP_COUNT - FIRST_CONV],
    skip: Option<Projection>,
}

impl Outgoing {
    fn new(builder: &mut Builder, cell: &str, state: usize, [channels, stride]: [i64; 2]) -> Self {
        let edges = edges(state);
        let prefixes = |op: usize| -> Vec<String> {
            edges.iter().map(|edge| format!("{cell}._ops.{edge}._ops.{op}")).collect()
        };
        let (first, second) = (["op.1", "op.2", "op.3"], ["op.5", "op.6", "op.7"]);
        let skip =
            (stride == 2).then(|| Projection::reduction(builder, &prefixes(SKIP), [channels, channels]));
        let mut link = |op: usize, names, kernel, stride, dilation| {
            Link::new(builder, &prefixes(op), names, [channels, kernel, stride, dilation])
        };
        let convs = [
            vec![link(3, first, 3, stride, 1), link(3, second, 3, 1, 1)],
            vec![link(4, first, 5, stride, 1), link(4, second, 5, 1, 1)],
            vec![link(5, first, 3, stride, 2)],
            vec![link(6, first, 5, stride, 2)],
        ];
        Self { edges, channels, stride, convs, skip }
    }

    fn shape(&self) -> (i64, i64) {
        (self.channels, self.stride)
    }

    fn train(&self, input: &Tensor, weights: &Tensor, gradients: bool) -> Tensor {
        let weights = pick(weights, &self.edges);
        let mut sources = vec![average_pool(input, self.stride), max_pool(input, self.stride, gradients)];
        if self.stride == 1 {
            sources.push(input.shallow_clone());
        }
        let matrix = mixing_matrix(&weights.narrow(1, 0, sources.len() as i64), self.channels);
        let mut sum = conv(&Tensor::cat(&sources, 1), &matrix, None, [1, 0, 1, 1]);
        let relu = input.relu();
        if let Some(skip) = &self.skip {
            sum += skip.train(&relu, Some(&per_channel(&weights, SKIP, self.channels)));
        }
        let repeated = repeat(&relu, self.edges.len());
        for (place, links) in self.convs.iter().enumerate() {
            let scale = per_channel(&weights, FIRST_CONV + place, self.channels);
            sum += match &links[..] {
                [first, second] => second.train(&first.train(&repeated, None).relu(), Some(&scale)),
                links => links[0].train(&repeated, Some(&scale)),
            };
        }
        sum
    }

    fn freeze(&self) -> FrozenOutgoing {
        FrozenOutgoing {
            edges: self.edges.clone(),
            channels: self.channels,
            stride: self.stride,
            convs: self.convs.each_ref().map(|links| links.iter().map(Link::freeze).collect()),
            skip: self.skip.as_ref().map(Projection::freeze),
        }
    }
}

fn pick(weights: &Tensor, edges: &[usize]) -> Tensor {
    let index: Vec<i64> = edges.iter().map(|&edge| edge as i64).collect();
    weights.index_select(0, &Tensor::from_slice(&index).to_device(weights.device()))
}

/// [`Outgoing`] with folded normalisation.
#[derive(Debug)]
struct FrozenOutgoing {
    edges: Vec<usize>,
    channels: i64,
    stride: i64,
    convs: [Vec<FrozenLink>; OP_COUNT - FIRST_CONV],
    skip: Option<FrozenProjection>,
}

impl FrozenOutgoing {
    fn run(&self, input: &Tensor, weights: &Tensor, present: &Present, gradients: bool, nodes: &mut Nodes) {
        let state = self.state();
        let weights = pick(weights, &self.edges);
        let places = |op: usize| -> Vec<usize> {
            (0..self.edges.len()).filter(|&place| present[self.edges[place]][op]).collect()
        };
        let mut whole: Option<Tensor> = None;
        if let Some(pooled) = self.pools(input, &weights, &places, gradients) {
            add(&mut whole, &pooled);
        }
        let relu = input.relu();
        // Most operations exist on the same number of edges.
        let mut repeated: [Option<Tensor>; NODES + 1] = Default::default();
        let skip = self.skip.as_ref().map(|skip| (SKIP, Op::Skip(skip)));
        let convs = self.convs.iter().enumerate().map(|(place, links)| (FIRST_CONV + place, Op::Conv(links)));
        for (op, layer) in skip.into_iter().chain(convs) {
            let places = places(op);
            if places.is_empty() {
                continue;
            }
            let rows = (places.len() < self.edges.len()).then(|| Rows::new(&places, self.channels, input));
            let scale = per_channel(&weights, op, self.channels);
            let scale = rows.as_ref().map_or_else(|| scale.shallow_clone(), |rows| rows.pick(&scale));
            let output = match layer {
                Op::Skip(skip) => skip.run(&relu, rows.as_ref(), Some(&scale)),
                Op::Conv(links) => {
                    let repeated = repeated[places.len()].get_or_insert_with(|| repeat(&relu, places.len()));
                    match links {
                        [first, second] => {
                            let middle = first.run(repeated, rows.as_ref(), None).relu();
                            second.run(&middle, rows.as_ref(), Some(&scale))
                        }
                        links => links[0].run(repeated, rows.as_ref(), Some(&scale)),
                    }
                }
            };
            if rows.is_none() {
                add(&mut whole, &output);
                continue;
            }
            let targets: Vec<usize> = targets(state).collect();
            for (row, &place) in places.iter().enumerate() {
                add(
                    &mut nodes.mixed[targets[place]],
                    &output.narrow(1, row as i64 * self.channels, self.channels),
                );
            }
        }
        if let Some(whole) = whole {
            nodes.add_stack(state, self.channels, &whole);
        }
    }

    fn state(&self) -> usize {
        // The last edge leads to the last node.
        let last = crate::space::edges_into(NODES - 1).start;
        self.edges[self.edges.len() - 1] - last
    }

    /// Returns what the operations without weights bring to all edges, if any exists.
    fn pools(
        &self,
        input: &Tensor,
        weights: &Tensor,
        places: &dyn Fn(usize) -> Vec<usize>,
        gradients: bool,
    ) -> Option<Tensor> {
        let count = if self.stride == 1 { FIRST_CONV } else { SKIP };
        let ops: Vec<usize> = (0..count).filter(|&op| !places(op).is_empty()).collect();
        let sources: Vec<Tensor> = ops
            .iter()
            .map(|&op| match op {
                AVERAGE => average_pool(input, self.stride),
                MAX => max_pool(input, self.stride, gradients),
                _ => input.shallow_clone(),
            })
            .collect();
        let columns: Vec<Tensor> = ops.iter().map(|&op| weights.i((.., op as i64))).collect();
        (!ops.is_empty()).then(|| {
            let matrix = mixing_matrix(&Tensor::stack(&columns, 1), self.channels);
            conv(&Tensor::cat(&sources, 1), &matrix, None, [1, 0, 1, 1])
        })
    }
}

enum Op<'a> {
    Skip(&'a FrozenProjection),
    Conv(&'a [FrozenLink]),
}
