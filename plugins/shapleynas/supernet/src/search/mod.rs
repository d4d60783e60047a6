//! The search: a step trains weights for an epoch, or values operations by one walk or one group of
//! gradients.
//!
//! All that is random follows from the seed and the place of the step, so a search that is restored
//! from a checkpoint between any two steps goes on as if it had never stopped, on a CPU to the last
//! bit.

mod game;
mod roles;
mod sampling;
mod state;
#[cfg(test)]
mod tests;
mod train;
mod types;

use std::sync::Arc;

use nashost_plugin_api::seed::{derive_seed, rng};
use nashost_plugin_torch::gaussian;
use rand::seq::SliceRandom as _;
use tch::{Device, Kind, Tensor};

pub use self::{
    game::{Measure, RunningStatistics, SupernetGame},
    roles::RolePlan,
    train::Sgd,
    types::{
        Augment, Batch, Cost, Record, Role, Samples, SamplesError, SearchError, SearchResult, Step, Values,
        What,
    },
};
use self::{
    state::{Setup, State},
    train::{positive_weights, training_loss},
};
use crate::{
    config::{Estimator, Roles, SearchConfig},
    estimator::{Memory, Residuals, Sampled},
    geometry::Geometry,
    labels::Labels,
    space::{OP_COUNT, PLAYERS, Tables, softmax, tables},
    supernet::{Mixing, Supernet},
};

/// Standard deviation of the alphas at the start, as in the official code.
const FIRST_ALPHAS: f64 = 1e-3;

/// A search that is under way.
#[derive(Debug)]
pub struct Search {
    setup: Setup,
    geometry: Geometry,
    device: Device,
    supernet: Supernet,
    sgd: Sgd,
    state: State,
    /// The game of this epoch, kept between steps; follows from the rest.
    game: Option<SupernetGame>,
    /// Labels of the training part, read when first needed.
    labels: Option<Arc<Labels>>,
}

impl Search {
    /// Begins a search over images of `[channels, height, width]`.
    ///
    /// # Errors
    ///
    /// Fails if the configuration or the shape cannot be searched.
    pub fn new(
        config: SearchConfig,
        images: [usize; 3],
        labels: usize,
        seed: u64,
        device: Device,
    ) -> Result<Self, SearchError> {
        config.check(images, labels)?;
        let geometry = config.geometry(images, labels);
        let supernet = Supernet::new(geometry, derive_seed(seed, "supernet"), device)
            .map_err(crate::ConfigError::from)?;
        let sgd = Sgd::new(supernet.parameters(), &config);
        let state = State {
            epoch: 0,
            sampling: (config.warm_up == 0).then_some(0),
            done: 0,
            alphas: drawn(derive_seed(seed, "alphas"))?,
            accumulated: drawn(derive_seed(seed, "accumulated"))?,
            memory: Memory::default(),
            residuals: Residuals::new(2 * OP_COUNT),
            sampled: Sampled::default(),
            partial: Vec::new(),
            full: None,
            empty: None,
            history: Vec::new(),
            losses: Vec::new(),
            cost: Cost::default(),
            plan: None,
        };
        let setup = Setup { config, images, labels, seed };
        Ok(Self { setup, geometry, device, supernet, sgd, state, game: None, labels: None })
    }

    /// Returns the configuration.
    pub fn config(&self) -> &SearchConfig {
        &self.setup.config
    }

    /// Returns the supernet's shape.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Returns the supernet.
    pub fn supernet(&self) -> &Supernet {
        &self.supernet
    }

    /// Returns whether there is no further step.
    pub fn is_finished(&self) -> bool {
        self.state.epoch == self.config().epochs
    }

    /// Returns the number of steps, at most: sampling may end early.
    pub fn steps(&self) -> usize {
        let config = self.config();
        config.epochs + (config.epochs - config.warm_up) * self.sampling_steps()
    }

    /// Returns who trains weights and who values operations, planning it if that was not done yet.
    ///
    /// # Errors
    ///
    /// Fails if labels cannot be had, a role has too few images, or images are not of one class each where
    /// loss or value need that.
    pub fn plan(&mut self, samples: &dyn Samples) -> Result<&RolePlan, SearchError> {
        let plan = match self.state.plan.take() {
            Some(plan) => plan,
            None => {
                let validation = match self.config().roles {
                    Roles::Validation => samples.len(Role::Validation),
                    _ => 0,
                };
                let labels = self.labels(samples)?;
                RolePlan::new(self.config(), &labels, validation, derive_seed(self.setup.seed, "roles"))?
            }
        };
        Ok(self.state.plan.insert(plan))
    }

    /// Returns the labels of the training part.
    fn labels(&mut self, samples: &dyn Samples) -> Result<Arc<Labels>, SearchError> {
        let labels = match self.labels.take() {
            Some(labels) => labels,
            None => Arc::new(self.read_labels(samples, Role::Train)?),
        };
        Ok(self.labels.insert(labels).clone())
    }

    fn read_labels(&self, samples: &dyn Samples, role: Role) -> Result<Labels, SearchError> {
        let (targets, assessed) = samples.targets(role).map_err(SearchError::Samples)?;
        let expected = vec![samples.len(role) as i64, self.setup.labels as i64];
        for tensor in [&targets, &assessed] {
            if tensor.size() != expected {
                return Err(SearchError::Shape { found: tensor.size(), expected });
            }
        }
        let labels =
            Labels::of_tensors(&targets, &assessed).map_err(|error| SearchError::Torch(error.to_string()))?;
        let images = labels.images();
        let wrong = (0..images).filter(|&image| !labels.is_of_one_class(image)).count();
        if self.config().has_classes() && wrong > 0 {
            return Err(SearchError::Classes { wrong, images });
        }
        Ok(labels)
    }

    /// Makes one step.
    ///
    /// # Errors
    ///
    /// Fails if images cannot be had, if the training diverges, or if the search is finished. After a
    /// failure the search is to be restored from a checkpoint before it goes on.
    pub fn step(&mut self, samples: &mut dyn Samples) -> Result<Step, SearchError> {
        if self.is_finished() {
            return Err(SearchError::Finished);
        }
        self.plan(samples)?;
        self.state.done += 1;
        match self.state.sampling {
            Some(index) => self.sample(samples, index),
            None => self.train(samples),
        }
    }

    fn train(&mut self, samples: &mut dyn Samples) -> Result<Step, SearchError> {
        self.game = None;
        let epoch = self.state.epoch;
        let mut places = self.plan(samples)?.weights(epoch);
        let labels = self.labels(samples)?;
        let config = &self.setup.config;
        let seed = |what: &str| derive_seed(self.setup.seed, &format!("{what}/{epoch}"));
        if let Some(most) = config.epoch_images {
            places = labels.sample(&places, most, seed("epoch"));
        }
        places.shuffle(&mut rng(seed("order")));
        let positive = positive_weights(&labels, config.positive_weight);
        let positive = Tensor::from_slice(&positive).to_kind(Kind::Float).to_device(self.device);
        let mixing = Mixing::new(&softmax(&self.state.alphas), self.device);
        let learning_rate = config.learning_rate_at(epoch);
        let (mut sum, mut images) = (Tensor::zeros([], (Kind::Float, self.device)), 0);
        for (index, chunk) in places.chunks(config.batch).enumerate() {
            // A single image has no batch statistics where the map is small.
            if chunk.len() == 1 {
                continue;
            }
            let augment = Augment::Seed(seed(&format!("augment/{index}")));
            let batch = self.fetch(samples, Role::Train, chunk, augment)?;
            let loss = |logits: &Tensor| training_loss(logits, &batch, config.loss, &positive);
            sum += self.sgd.step(&self.supernet, &mixing, &batch.images, &loss, learning_rate)
                * chunk.len() as f64;
            images += chunk.len();
        }
        let loss = sum.double_value(&[]) / images as f64;
        if !loss.is_finite() {
            return Err(SearchError::Diverged { epoch, loss });
        }
        let state = &mut self.state;
        state.losses.push(loss);
        state.cost.training += images as u64;
        state.epoch += 1;
        state.sampling =
            (state.epoch >= self.setup.config.warm_up && state.epoch < self.setup.config.epochs).then_some(0);
        let step = self.told(What::Training, epoch);
        Ok(Step { loss: Some(loss), learning_rate: Some(learning_rate), ..step })
    }

    fn fetch(
        &self,
        samples: &mut dyn Samples,
        role: Role,
        places: &[i64],
        augment: Augment,
    ) -> Result<Batch, SearchError> {
        let batch = samples.batch(role, places, augment).map_err(SearchError::Samples)?;
        let [channels, height, width] = self.setup.images.map(|size| size as i64);
        let (count, labels) = (places.len() as i64, self.setup.labels as i64);
        for (tensor, expected) in [
            (&batch.images, vec![count, channels, height, width]),
            (&batch.targets, vec![count, labels]),
            (&batch.assessed, vec![count, labels]),
        ] {
            if tensor.size() != expected {
                return Err(SearchError::Shape { found: tensor.size(), expected });
            }
        }
        let mut images = batch.images.to_device(self.device);
        let sides = [self.geometry.height as i64, self.geometry.width as i64];
        if [height, width] != sides {
            images = images.adaptive_avg_pool2d(sides);
        }
        let [targets, assessed] = [batch.targets, batch.assessed].map(|tensor| tensor.to_device(self.device));
        Ok(Batch { images, targets, assessed })
    }

    /// Returns a report with what every step tells.
    fn told(&self, what: What, epoch: usize) -> Step {
        Step {
            what,
            epoch,
            loss: None,
            learning_rate: None,
            full: None,
            values: None,
            separated: None,
            cost: self.state.cost,
            done: self.state.done,
            steps: self.steps(),
            finished: self.is_finished(),
        }
    }

    /// Returns what was found so far.
    pub fn result(&self) -> SearchResult {
        let State { alphas, history, losses, plan, cost, .. } = &self.state;
        SearchResult {
            alphas: *alphas,
            softmax: softmax(alphas),
            values: history.last().map(|record| record.values.clone()),
            history: history.clone(),
            losses: losses.clone(),
            roles: plan.clone(),
            cost: *cost,
        }
    }

    /// Returns everything that the search needs to go on, as a safetensors file.
    ///
    /// # Errors
    ///
    /// Fails if the device does.
    pub fn checkpoint(&self) -> Result<Vec<u8>, SearchError> {
        let mut tensors = self.supernet.state();
        let velocities = self.sgd.velocities.iter().enumerate();
        tensors.extend(velocities.map(|(index, tensor)| (velocity_name(index), tensor.shallow_clone())));
        state::write(&self.setup, &self.state, &tensors)
    }

    /// Goes back to a checkpoint of the same search.
    ///
    /// # Errors
    ///
    /// Fails if it is another search's or damaged; the search is then to be begun afresh.
    pub fn restore(&mut self, checkpoint: &[u8]) -> Result<(), SearchError> {
        let (state, mut tensors) = state::read(&self.setup, checkpoint)?;
        self.supernet.load(&mut |name| tensors.remove(name))?;
        for (index, velocity) in self.sgd.velocities.iter_mut().enumerate() {
            let name = velocity_name(index);
            let found = tensors.remove(&name).filter(|found| found.size() == velocity.size());
            velocity.copy_(&found.ok_or_else(|| SearchError::Checkpoint(format!("`{name}` does not fit")))?);
        }
        self.state = state;
        self.game = None;
        Ok(())
    }

    /// Steps of sampling in an epoch, at most.
    fn sampling_steps(&self) -> usize {
        let config = self.config();
        match config.estimator {
            Estimator::Gradient => config.samples + usize::from(config.corrections > 0),
            Estimator::Walks => config.samples * 2 * config.strata,
            Estimator::Official => config.samples,
        }
    }
}

fn velocity_name(index: usize) -> String {
    format!("velocity.{index}")
}

fn drawn(seed: u64) -> Result<Tables, SearchError> {
    let values = gaussian(seed, &[PLAYERS as i64]).to_kind(Kind::Double) * FIRST_ALPHAS;
    let values =
        Vec::try_from(values).map_err(|error: tch::TchError| SearchError::Torch(error.to_string()))?;
    Ok(tables(&values))
}
