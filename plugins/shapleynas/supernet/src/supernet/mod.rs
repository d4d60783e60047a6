//! The supernet: all operations of the search space at once, weighted.
//!
//! The cells of the official CIFAR search network: PC-DARTS' partial channels, seven operations, two
//! reduction cells, a 3×3 stem, one classifier. Values are those of the official forward pass up to
//! the rounding of sums in another order (logits within 1e-5 of the largest); the work is shared:
//! pools, ReLU and the channels that go around an edge are computed once for each state, the channel
//! shuffle once for each node, and the edges that leave a state run as one convolution.

mod build;
mod cell;
mod layer;

use nashost_plugin_torch::channels_last;
use tch::{Device, Kind, Tensor};

use self::{
    build::{Builder, Named, Slot},
    cell::{Cell, FrozenCell},
    layer::{Norm, conv, scale_filters},
};
use crate::{
    geometry::{Geometry, GeometryError},
    space::{EDGES, NODES, OP_COUNT, Tables},
};

/// How much each operation counts on its edge, and which are left out.
#[derive(Debug)]
pub struct Mixing {
    /// `[edges, operations]` for normal and reduction cells, in fp32.
    tables: [Tensor; 2],
    present: [[[bool; OP_COUNT]; EDGES]; 2],
}

impl Mixing {
    /// Returns the weights `tables`; operations whose weight is 0 are not computed at all.
    pub fn new(tables: &Tables, device: Device) -> Self {
        let tensor = |table: &[[f64; OP_COUNT]; EDGES]| {
            let values: Vec<f32> = table.iter().flatten().map(|&value| value as f32).collect();
            Tensor::from_slice(&values).view([EDGES as i64, OP_COUNT as i64]).to_device(device)
        };
        Self {
            tables: [tensor(&tables[0]), tensor(&tables[1])],
            present: tables.map(|table| table.map(|edge| edge.map(|weight| weight != 0.0))),
        }
    }

    /// Returns the weights of two tensors of shape `[edges, operations]`, for gradients; no operation
    /// is left out.
    pub fn of_tensors(tables: [Tensor; 2]) -> Self {
        Self { tables, present: [[[true; OP_COUNT]; EDGES]; 2] }
    }
}

/// A supernet that is trained.
#[derive(Debug)]
pub struct Supernet {
    geometry: Geometry,
    stem: Stem,
    cells: Vec<Cell>,
    classifier: [Tensor; 2],
    learnt: Vec<Tensor>,
    named: Vec<Named>,
}

#[derive(Debug)]
struct Stem {
    weight: Tensor,
    scale: Tensor,
    shift: Tensor,
    norm: Norm,
}

/// Why tensors do not fit a supernet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A tensor is not there.
    #[error("the supernet's tensor `{0}` is missing")]
    Missing(String),
    /// A tensor has another shape.
    #[error("the supernet's tensor `{name}` has shape {found:?}, expected {expected:?}")]
    Shape {
        /// Official name.
        name: String,
        /// What came.
        found: Vec<i64>,
        /// What is needed.
        expected: Vec<i64>,
    },
}

impl Supernet {
    /// Draws a supernet as PyTorch draws its layers, each tensor from a generator of its own.
    ///
    /// # Errors
    ///
    /// Fails if the geometry is impossible.
    pub fn new(geometry: Geometry, seed: u64, device: Device) -> Result<Self, GeometryError> {
        geometry.check()?;
        let mut builder = Builder::new(seed, device);
        let stem = geometry.stem_channels() as i64;
        let slot = |name: &str| Slot::new(name.to_owned(), stem);
        let stem = Stem {
            weight: builder.weight(&[slot("stem.0.weight")], &[geometry.image_channels as i64, 3, 3]),
            scale: builder.constant(slot("stem.1.weight"), 1.0),
            shift: builder.constant(slot("stem.1.bias"), 0.0),
            norm: builder.norm(&["stem.1".to_owned()], stem),
        };
        let shapes = geometry.cells();
        let cell = |(index, shape)| Cell::new(&mut builder, &format!("cells.{index}"), shape, geometry.k);
        let cells = shapes.iter().enumerate().map(cell).collect();
        let features = shapes.last().map_or(geometry.stem_channels(), |cell| NODES * cell.channels) as i64;
        let labels = geometry.labels as i64;
        let bound = (features as f64).powf(-0.5);
        let classifier = [
            builder.uniform(&[Slot::new("classifier.weight".to_owned(), labels)], &[features], bound),
            builder.uniform(&[Slot::new("classifier.bias".to_owned(), labels)], &[], bound),
        ];
        let Builder { learnt, named, .. } = builder;
        Ok(Self { geometry, stem, cells, classifier, learnt, named })
    }

    /// Returns what the supernet was built for.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Returns the tensors that are trained, in a fixed order. Some hold several tensors of the
    /// official code, one after the other.
    pub fn parameters(&self) -> &[Tensor] {
        &self.learnt
    }

    /// Returns the logits `[n, labels]` of images `[n, channels, height, width]` by the batch's
    /// statistics, and moves the running statistics. All operations are computed, those of weight 0
    /// among them, as their statistics move, too.
    pub fn train(&self, images: &Tensor, mixing: &Mixing) -> Tensor {
        let gradients = gradients();
        let stem = conv(&channels_last(images), &self.stem.weight, None, [1, 1, 1, 1]).batch_norm(
            Some(&self.stem.scale),
            Some(&self.stem.shift),
            Some(&self.stem.norm.mean),
            Some(&self.stem.norm.variance),
            true,
            0.1,
            1e-5,
            false,
        );
        let (mut output, mut relus) = (stem.shallow_clone(), [stem.relu(), stem.relu()]);
        for cell in &self.cells {
            let weights = &mixing.tables[usize::from(cell.reduction)];
            output = cell.train(relus.each_ref(), weights, gradients);
            let [_, last] = relus;
            relus = [last, output.relu()];
        }
        classify(&output, &self.classifier)
    }

    /// Returns the network as it stands, with running statistics, for evaluations. It does not
    /// follow later training.
    pub fn freeze(&self) -> Frozen {
        let _no_grad = tch::no_grad_guard();
        let (scale, shift) = self.stem.norm.fold();
        let (weight, bias) = (self.stem.weight.detach(), self.stem.shift.detach());
        let gain = self.stem.scale.detach();
        Frozen {
            stem: [scale_filters(&weight, &(&gain * scale)), bias + gain * shift],
            cells: self.cells.iter().map(Cell::freeze).collect(),
            classifier: self.classifier.each_ref().map(|tensor| tensor.detach().copy()),
        }
    }

    /// Returns all tensors by the names of the official code, without its alphas and its counters of
    /// batches. They share memory with the supernet.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.named.iter().map(|named| (named.name.clone(), named.rows())).collect()
    }

    /// Returns the number of the official code's learnt tensors.
    pub fn learnt_tensors(&self) -> usize {
        self.named.iter().filter(|named| named.learnt).count()
    }

    /// Takes the values of all tensors from `find`, by the names of the official code.
    ///
    /// # Errors
    ///
    /// Fails if one is missing or has another shape; the supernet is then partly changed.
    pub fn load(&self, find: &mut dyn FnMut(&str) -> Option<Tensor>) -> Result<(), StateError> {
        let _no_grad = tch::no_grad_guard();
        for named in &self.named {
            let found = find(&named.name).ok_or_else(|| StateError::Missing(named.name.clone()))?;
            let mut rows = named.rows();
            if found.size() != rows.size() {
                let (found, expected) = (found.size(), rows.size());
                return Err(StateError::Shape { name: named.name.clone(), found, expected });
            }
            rows.copy_(&found);
        }
        Ok(())
    }
}

/// A supernet whose weights and statistics stand still, with normalisation folded into convolutions.
#[derive(Debug)]
pub struct Frozen {
    stem: [Tensor; 2],
    cells: Vec<FrozenCell>,
    classifier: [Tensor; 2],
}

/// What does not depend on the mixing: the stem, and the first cell's projected inputs.
#[derive(Debug)]
pub struct Prepared {
    relu: Tensor,
    inputs: [Tensor; 2],
}

impl Frozen {
    /// Runs what all evaluations of the same images share.
    pub fn prepare(&self, images: &Tensor) -> Prepared {
        let _no_grad = tch::no_grad_guard();
        let stem = conv(&channels_last(images), &self.stem[0], Some(&self.stem[1]), [1, 1, 1, 1]);
        let relu = stem.relu();
        let inputs = self.cells[0].project([&relu, &relu]);
        Prepared { relu, inputs }
    }

    /// Returns the logits `[n, labels]`. Without gradients unless the thread's mode has them and
    /// `mixing` asks for them.
    pub fn evaluate(&self, prepared: &Prepared, mixing: &Mixing) -> Tensor {
        let gradients = gradients() && mixing.tables.iter().any(Tensor::requires_grad);
        let mut relus = [prepared.relu.shallow_clone(), prepared.relu.shallow_clone()];
        let mut output = None;
        for (index, cell) in self.cells.iter().enumerate() {
            let inputs = if index == 0 {
                prepared.inputs.each_ref().map(Tensor::shallow_clone)
            } else {
                cell.project(relus.each_ref())
            };
            let kind = usize::from(cell.reduction);
            let made = cell.run(inputs, &mixing.tables[kind], &mixing.present[kind], gradients);
            let [_, last] = relus;
            relus = [last, made.relu()];
            output = Some(made);
        }
        classify(output.as_ref().unwrap_or(&prepared.relu), &self.classifier)
    }
}

fn classify(features: &Tensor, [weight, bias]: &[Tensor; 2]) -> Tensor {
    features.mean_dim([2_i64, 3].as_slice(), false, Kind::Float).linear(weight, Some(bias))
}

/// Returns whether the thread records gradients.
fn gradients() -> bool {
    let leaf = Tensor::zeros([1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    (leaf * 1.0).requires_grad()
}
