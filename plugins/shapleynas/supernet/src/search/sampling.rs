//! Steps that value operations, and what becomes of the alphas.

use nashost_plugin_api::seed::{derive_seed, rng};
use rand::seq::SliceRandom as _;

use super::{Augment, Measure, Record, Samples, Search, SearchError, Step, SupernetGame, Values, What};
use crate::{
    config::{Estimator, NormMode, SearchConfig, ValueSample},
    estimator::{Sampled, gradient_group, official, order, walk},
    game::Game as _,
    space::{CellType, EDGES, NODES, OP_COUNT, PLAYERS, Player, Tables, softmax, tables},
};

impl Search {
    pub(super) fn sample(&mut self, samples: &mut dyn Samples, index: usize) -> Result<Step, SearchError> {
        let epoch = self.state.epoch;
        let what = match self.config().estimator {
            Estimator::Official => self.official_walk(samples, index)?,
            Estimator::Walks => self.own_walk(samples, index)?,
            Estimator::Gradient => self.gradients(samples, index)?,
        };
        self.state.sampling = Some(index + 1);
        let confidence = self.config().confidence;
        let own = self.config().estimator != Estimator::Official;
        let separated = (own && self.state.partial.is_empty() && self.state.sampled.len() > 1)
            .then(|| self.state.sampled.separated(confidence));
        let decided = confidence < 1.0 && separated == Some([2 * EDGES, 2 * NODES]);
        let mut values = None;
        if decided || index + 1 == self.sampling_steps() {
            values = Some(self.update(separated.unwrap_or_default())?);
        }
        Ok(Step { full: self.state.full, values, separated, ..self.told(what, epoch) })
    }

    /// Seed of something in this epoch.
    fn seed(&self, what: &str) -> u64 {
        derive_seed(self.setup.seed, &format!("{what}/{}", self.state.epoch))
    }

    /// Fetches the images that value operations.
    fn value_batch(&mut self, samples: &mut dyn Samples, walk: usize) -> Result<super::Batch, SearchError> {
        let epoch = self.state.epoch;
        let (role, among) = self.plan(samples)?.values(epoch);
        let SearchConfig { value_images: count, value_sample, .. } = *self.config();
        let places = match value_sample {
            ValueSample::First => among[..count.min(among.len())].to_vec(),
            ValueSample::Walk => {
                let mut among = among;
                among.shuffle(&mut rng(self.seed(&format!("value/{walk}"))));
                among.truncate(count);
                among
            }
            ValueSample::Stratified => {
                let labels = self.read_labels(samples, role)?;
                labels.sample(&among, count, self.seed("value"))
            }
        };
        let config = self.config();
        let augmented = config.estimator == Estimator::Official && config.official.augmented_value;
        let augment =
            if augmented { Augment::Seed(self.seed(&format!("augment-value/{walk}"))) } else { Augment::No };
        self.fetch(samples, role, &places, augment)
    }

    fn measure(&self) -> Measure {
        Measure { value: self.config().value, loss: self.config().loss }
    }

    /// Returns the game of this epoch, and sets it up first if there is none.
    fn game(&mut self, samples: &mut dyn Samples) -> Result<SupernetGame, SearchError> {
        if let Some(game) = self.game.take() {
            return Ok(game);
        }
        let batch = self.value_batch(samples, 0)?;
        Ok(SupernetGame::new(self.supernet.freeze(), softmax(&self.state.alphas), batch, self.measure()))
    }

    /// Keeps the game for the next step, and writes down what it cost.
    fn keep(&mut self, mut game: SupernetGame) {
        let cost = game.take_cost();
        self.state.cost.forward += cost.forward;
        self.state.cost.backward += cost.backward;
        self.game = Some(game);
    }

    fn gradients(&mut self, samples: &mut dyn Samples, index: usize) -> Result<What, SearchError> {
        let mut game = self.game(samples)?;
        if self.state.full.is_none() {
            self.state.full = Some(game.value(&[true; PLAYERS])?);
        }
        let SearchConfig { strata, corrections, .. } = *self.config();
        let mut rng = rng(self.seed(&format!("gradients/{index}")));
        let what = if corrections > 0 && index == 0 {
            self.state.residuals.measure(&mut game, corrections, &kind, &mut rng)?;
            What::Correction
        } else {
            self.state.sampled.push(gradient_group(&mut game, strata, &mut rng)?);
            What::Gradients
        };
        self.keep(game);
        Ok(what)
    }

    fn own_walk(&mut self, samples: &mut dyn Samples, index: usize) -> Result<What, SearchError> {
        let mut game = self.game(samples)?;
        let SearchConfig { strata, truncation, .. } = *self.config();
        let empty = match self.state.empty {
            Some(empty) => empty,
            None => *self.state.empty.insert(game.value(&[false; PLAYERS])?),
        };
        let group = 2 * strata;
        let mut rng = rng(self.seed(&format!("walks/{}", index / group)));
        let order = order(PLAYERS, strata, index % group, &mut rng);
        let stop = |value: f64, full: f64| {
            truncation > 0.0 && (value - empty).abs() <= truncation * (full - empty).abs()
        };
        let walk = walk(&mut game, &order, &|_, _| false, &stop)?;
        self.keep(game);
        let state = &mut self.state;
        state.full = Some(walk.full);
        state.partial.resize(PLAYERS, 0.0);
        state.partial.iter_mut().zip(&walk.losses).for_each(|(sum, loss)| *sum += loss / group as f64);
        if (index + 1).is_multiple_of(group) {
            state.sampled.push(std::mem::take(&mut state.partial));
        }
        Ok(What::Walk)
    }

    fn official_walk(&mut self, samples: &mut dyn Samples, index: usize) -> Result<What, SearchError> {
        let settings = self.config().official.clone();
        let fresh = index == 0 || self.game.is_none() || self.config().value_sample == ValueSample::Walk;
        let mut order: Vec<usize> = (0..PLAYERS).collect();
        order.shuffle(&mut rng(self.seed(&format!("walks/{index}"))));
        let batch_statistics = match settings.norm {
            NormMode::Evaluation => false,
            NormMode::Training => true,
            NormMode::Alternating => self.state.epoch.is_multiple_of(2),
        };
        let keep = |player: usize, present: &[bool]| {
            settings.keep_last && official::is_last(player, present, OP_COUNT)
        };
        let stop = |value: f64, full: f64| value < settings.threshold * full;
        let walk = if batch_statistics {
            let batch = self.value_batch(samples, index)?;
            let softmax = softmax(&self.state.alphas);
            let mut game =
                SupernetGame::with_batch_statistics(&self.supernet, softmax, batch, self.measure());
            let walk = walk(&mut game, &order, &keep, &stop)?;
            self.state.cost.forward += game.take_cost().forward;
            walk
        } else {
            if fresh {
                let batch = self.value_batch(samples, index)?;
                let frozen = self.supernet.freeze();
                self.game =
                    Some(SupernetGame::new(frozen, softmax(&self.state.alphas), batch, self.measure()));
            }
            let mut game = self.game(samples)?;
            let walk = walk(&mut game, &order, &keep, &stop)?;
            self.keep(game);
            walk
        };
        self.state.full.get_or_insert(walk.full);
        self.state.sampled.push(walk.losses);
        Ok(What::Walk)
    }

    /// Ends the sampling of an epoch: values, alphas, history.
    fn update(&mut self, separated: [usize; 2]) -> Result<Values, SearchError> {
        let epoch = self.state.epoch;
        let SearchConfig { memory, sharpness, estimator, warm_up, epochs, .. } = *self.config();
        let settings = self.config().official.clone();
        let sampled = std::mem::take(&mut self.state.sampled);
        let state = &mut self.state;
        let (estimate, values) = if estimator == Estimator::Official {
            let mean = official::scores(sampled.samples());
            let scores = tables(&mean);
            for (cell, scores) in scores.iter().enumerate() {
                let z = official::z_scores(scores.as_flattened(), settings.nan_on_equal);
                if z.iter().any(|z| z.is_nan()) {
                    return Err(SearchError::NotANumber { epoch });
                }
                let (alphas, accumulated) =
                    (state.alphas[cell].as_flattened_mut(), state.accumulated[cell].as_flattened_mut());
                official::update(alphas, accumulated, &z, settings.momentum, settings.step_size);
            }
            let estimate = Values { mean, error: sampled.error() };
            (estimate.clone(), estimate)
        } else {
            let estimate = corrected(&sampled, &|player| state.residuals.correction(kind(player)));
            state.memory.add(&estimate.mean, &estimate.error, memory);
            let mean = state.memory.mean().unwrap_or(&estimate.mean).to_vec();
            // The supernet follows the values step by step.
            let share = (epoch + 1 - warm_up) as f64 / (epochs - warm_up) as f64;
            state.alphas = spread(&tables(&mean), sharpness * share);
            (estimate, Values { mean, error: state.memory.error() })
        };
        state.history.push(Record {
            epoch,
            estimate,
            values: values.clone(),
            samples: sampled.len(),
            separated,
            full: state.full.take().unwrap_or_default(),
            cost: state.cost,
        });
        state.empty = None;
        state.partial.clear();
        state.sampling = None;
        self.game = None;
        Ok(values)
    }
}

/// Players of a cell type with the same operation are of a kind.
fn kind(player: usize) -> usize {
    let Player { cell, op, .. } = Player::at(player);
    cell.index() * OP_COUNT + op
}

fn corrected(sampled: &Sampled, correction: &dyn Fn(usize) -> (f64, f64)) -> Values {
    let (mut mean, mut error) = (sampled.mean(), sampled.error());
    for player in 0..mean.len() {
        let (shift, noise) = correction(player);
        mean[player] += shift;
        error[player] = error[player].hypot(noise);
    }
    Values { mean, error }
}

/// Returns alphas in proportion to how far values are above the mean of their edge, scaled so that they
/// spread by `sharpness` over each cell type.
///
/// The softmax is taken over an edge, so what all its operations share does not count; one scale for the
/// cell type keeps edges comparable. All are 0 if no two values differ.
fn spread(values: &Tables, sharpness: f64) -> Tables {
    CellType::ALL.map(|cell| {
        let centred = values[cell.index()].map(|edge| {
            let mean = edge.iter().sum::<f64>() / OP_COUNT as f64;
            edge.map(|value| value - mean)
        });
        let squares: f64 = centred.iter().flatten().map(|value| value * value).sum();
        let deviation = (squares / (EDGES * OP_COUNT) as f64).sqrt();
        let scale = if deviation > 0.0 { sharpness / deviation } else { 0.0 };
        centred.map(|edge| edge.map(|value| scale * value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphas_are_centred_per_edge_and_never_nan() {
        let values: Vec<f64> =
            (0..PLAYERS).map(|player| (player * 37 % 101) as f64 + (player / 7) as f64).collect();
        let alphas = spread(&tables(&values), 2.0);
        for cell in alphas {
            let flat = cell.as_flattened();
            let squares: f64 = flat.iter().map(|alpha| alpha * alpha).sum();
            assert!((squares / 98.0 - 4.0).abs() < 1e-9);
            assert!(cell.iter().all(|edge| edge.iter().sum::<f64>().abs() < 1e-9));
        }
        assert_eq!(spread(&tables(&[0.3; PLAYERS]), 2.0), [[[0.0; OP_COUNT]; EDGES]; 2]);
    }
}
