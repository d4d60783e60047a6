//! The supernet as a game: players are operations, a coalition's worth is that of the supernet with
//! these operations alone.

use tch::{Device, Kind, Tensor};

use super::types::{Batch, Cost, SearchError};
use crate::{
    config::{Loss, Value},
    game::Game,
    space::{EDGES, OP_COUNT, PLAYERS, Player, Tables},
    supernet::{Frozen, Mixing, Prepared, Supernet},
    value::{bounded_loss, value},
};

/// Images in one forward pass; more take more memory and are not faster.
const CHUNK: i64 = 256;

/// By what coalitions are valued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// The value.
    pub value: Value,
    /// The loss that `Value::Loss` bounds.
    pub loss: Loss,
}

/// A supernet that stands still, with images to value its operations by.
///
/// Weights of absent operations are 0; those of the others stay what they are in the full supernet.
#[derive(Debug)]
pub struct SupernetGame<N = RunningStatistics> {
    softmax: Tables,
    batch: Batch,
    measure: Measure,
    network: N,
    cost: Cost,
}

/// A network that gives logits for a mixing.
trait Logits {
    fn logits(&self, images: &Tensor, mixing: &Mixing) -> Tensor;
}

/// A supernet with running statistics, prepared for the game's images.
#[derive(Debug)]
pub struct RunningStatistics {
    frozen: Frozen,
    prepared: Vec<Prepared>,
}

impl Logits for RunningStatistics {
    fn logits(&self, _: &Tensor, mixing: &Mixing) -> Tensor {
        let logits: Vec<Tensor> =
            self.prepared.iter().map(|prepared| self.frozen.evaluate(prepared, mixing)).collect();
        Tensor::cat(&logits, 0)
    }
}

impl Logits for &Supernet {
    fn logits(&self, images: &Tensor, mixing: &Mixing) -> Tensor {
        self.train(images, mixing)
    }
}

impl SupernetGame {
    /// Sets up the game with running statistics.
    pub fn new(frozen: Frozen, softmax: Tables, batch: Batch, measure: Measure) -> Self {
        let images = batch.images.size()[0];
        let chunk = |first| batch.images.narrow(0, first, CHUNK.min(images - first));
        let prepared =
            (0..images).step_by(CHUNK as usize).map(|first| frozen.prepare(&chunk(first))).collect();
        let network = RunningStatistics { frozen, prepared };
        Self { softmax, batch, measure, network, cost: Cost::default() }
    }
}

impl<'supernet> SupernetGame<&'supernet Supernet> {
    /// Sets up the game with the batch's own statistics. Every value moves the supernet's running
    /// statistics, as in the official code.
    pub fn with_batch_statistics(
        supernet: &'supernet Supernet,
        softmax: Tables,
        batch: Batch,
        measure: Measure,
    ) -> Self {
        Self { softmax, batch, measure, network: supernet, cost: Cost::default() }
    }
}

impl<N> SupernetGame<N> {
    /// Returns the images that have passed through the supernet since the last call.
    pub fn take_cost(&mut self) -> Cost {
        std::mem::take(&mut self.cost)
    }

    fn images(&self) -> u64 {
        self.batch.images.size()[0] as u64
    }

    fn device(&self) -> Device {
        self.batch.images.device()
    }
}

impl<N: Logits> Game for SupernetGame<N> {
    type Error = SearchError;

    fn players(&self) -> usize {
        PLAYERS
    }

    fn value(&mut self, present: &[bool]) -> Result<f64, SearchError> {
        let _no_grad = tch::no_grad_guard();
        let mut tables = self.softmax;
        for (player, _) in present.iter().enumerate().filter(|(_, present)| !**present) {
            let Player { cell, edge, op } = Player::at(player);
            tables[cell.index()][edge][op] = 0.0;
        }
        let logits = self.network.logits(&self.batch.images, &Mixing::new(&tables, self.device()));
        self.cost.forward += self.images();
        let Batch { targets, assessed, .. } = &self.batch;
        let Measure { value: measure, loss } = self.measure;
        value(&logits, targets, assessed, measure, loss).ok_or(SearchError::Undefined {
            value: measure.name(),
            why: "no label has both positives and negatives among the images that value operations",
        })
    }

    fn gradient(&mut self, present: &[bool]) -> Result<(f64, Vec<f64>), SearchError> {
        let values: Vec<f32> = present.iter().map(|&present| f32::from(u8::from(present))).collect();
        let mask = Tensor::from_slice(&values).to_device(self.device()).set_requires_grad(true);
        let full: Vec<f32> = self.softmax.iter().flatten().flatten().map(|&weight| weight as f32).collect();
        let weights = (&mask * Tensor::from_slice(&full).to_device(self.device())).view([
            2,
            EDGES as i64,
            OP_COUNT as i64,
        ]);
        let logits = self
            .network
            .logits(&self.batch.images, &Mixing::of_tensors([weights.select(0, 0), weights.select(0, 1)]));
        let Batch { targets, assessed, .. } = &self.batch;
        let value = bounded_loss(&logits, targets, assessed, self.measure.loss);
        let gradient = Tensor::run_backward(&[&value], &[&mask], false, false).swap_remove(0);
        self.cost.forward += self.images();
        self.cost.backward += self.images();
        let gradient: Vec<f32> = Vec::try_from(gradient.to_kind(Kind::Float).contiguous())
            .map_err(|error: tch::TchError| SearchError::Torch(error.to_string()))?;
        Ok((value.double_value(&[]), gradient.into_iter().map(f64::from).collect()))
    }
}
