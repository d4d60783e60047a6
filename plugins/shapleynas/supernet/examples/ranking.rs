//! How well the estimators rank the operations of a small trained supernet, beside many long walks.
//!
//! Trains a supernet on drawn digits, takes long walks as the reference, and prints for every estimator
//! the rank correlation (Spearman) with it, beside what it costs.

use clap::Parser;
use nashost_plugin_api::seed::{derive_seed, rng};
use nashost_plugin_torch::keep_freed_memory;
use nashost_shapley_supernet::{
    Augment, Batch, Role, Samples, SamplesError, Search, SearchConfig, SearchError,
    config::{Loss, Value},
    estimator::{Residuals, Sampled, gradient_group, official, order, walk},
    game::Game as _,
    search::{Measure, SupernetGame},
    space::{OP_COUNT, PLAYERS, Player, softmax, tables},
};
use rand::{Rng as _, seq::SliceRandom as _};
use rustix::time::{ClockId, clock_gettime};
use tch::{Device, Kind, Tensor};

#[derive(Parser)]
struct Options {
    /// Walks of the reference, for each of the two values; half of them are the others in reverse.
    #[arg(long, default_value_t = 20)]
    walks: usize,
    /// Groups of gradients; as many as an epoch of the search takes by default if left out.
    #[arg(long)]
    groups: Option<usize>,
    /// Repetitions of every estimator.
    #[arg(long, default_value_t = 5)]
    repeats: u64,
    /// Images that value operations.
    #[arg(long, default_value_t = 64)]
    images: usize,
    /// Epochs of training.
    #[arg(long, default_value_t = 10)]
    epochs: usize,
    /// The learning rate.
    #[arg(long, default_value_t = 0.02)]
    learning_rate: f64,
    /// Seed of everything.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Ten digits of three by five pixels, row by row.
const DIGITS: [u16; 10] = [
    0b111_101_101_101_111,
    0b010_110_010_010_111,
    0b111_001_111_100_111,
    0b111_001_111_001_111,
    0b101_101_111_001_001,
    0b111_100_111_001_111,
    0b111_100_111_101_111,
    0b111_001_010_010_010,
    0b111_101_111_101_111,
    0b111_101_111_001_111,
];
const SIDE: usize = 16;

/// Digits at random places, in random contrast, with noise.
struct Digits {
    images: usize,
    seed: u64,
}

impl Digits {
    fn image(&self, index: i64) -> Vec<f32> {
        let mut rng = rng(derive_seed(self.seed, &format!("digit/{index}")));
        let mut pixels: Vec<f32> = (0..SIDE * SIDE).map(|_| rng.random_range(-0.4..0.4)).collect();
        let (top, left) = (rng.random_range(2..5), rng.random_range(4..7));
        let contrast = rng.random_range(0.6..1.4);
        let digit = DIGITS[index as usize % 10];
        for (row, column) in (0..10).flat_map(|row| (0..6).map(move |column| (row, column))) {
            if digit >> (14 - (row / 2 * 3 + column / 2)) & 1 == 1 {
                pixels[(top + row) * SIDE + left + column] += contrast;
            }
        }
        pixels
    }

    fn labels(indices: &[i64]) -> Tensor {
        let classes: Vec<i64> = indices.iter().map(|index| index % 10).collect();
        Tensor::from_slice(&classes).one_hot(10).to_kind(Kind::Float)
    }
}

impl Samples for Digits {
    fn len(&self, role: Role) -> usize {
        if role == Role::Train { self.images } else { 0 }
    }

    fn targets(&self, role: Role) -> Result<(Tensor, Tensor), SamplesError> {
        let targets = Self::labels(&(0..self.len(role) as i64).collect::<Vec<_>>());
        Ok((targets.shallow_clone(), targets.ones_like()))
    }

    fn batch(&mut self, _: Role, indices: &[i64], _: Augment) -> Result<Batch, SamplesError> {
        let pixels: Vec<f32> = indices.iter().flat_map(|&index| self.image(index)).collect();
        let side = SIDE as i64;
        let images = Tensor::from_slice(&pixels).view([indices.len() as i64, 1, side, side]);
        let targets = Self::labels(indices);
        Ok(Batch { images, assessed: targets.ones_like(), targets })
    }
}

#[expect(clippy::print_stdout, reason = "a program")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    keep_freed_memory();
    tch::set_num_threads(1);
    let config = SearchConfig {
        channels: 8,
        layers: 3,
        epochs: options.epochs + 1,
        warm_up: options.epochs,
        learning_rate: options.learning_rate,
        epoch_images: None,
        loss: Loss::CrossEntropy,
        ..SearchConfig::default()
    };
    let (groups, strata) = (options.groups.unwrap_or(config.samples), config.strata);
    let mut digits = Digits { images: 1600, seed: options.seed };
    let mut search = Search::new(config, [1, SIDE, SIDE], 10, options.seed, Device::Cpu)?;
    for _ in 0..options.epochs {
        let step = search.step(&mut digits)?;
        println!("epoch {}: loss {:.3}", step.epoch, step.loss.unwrap_or(f64::NAN));
    }
    // Images that have trained nothing.
    let held: Vec<i64> = (1600..1600 + options.images as i64).collect();
    let mut game = |value| -> Result<SupernetGame, SamplesError> {
        let batch = digits.batch(Role::Train, &held, Augment::No)?;
        let measure = Measure { value, loss: Loss::CrossEntropy };
        Ok(SupernetGame::new(search.supernet().freeze(), softmax(&tables(&[0.0; PLAYERS])), batch, measure))
    };
    let (mut loss, mut accuracy) = (game(Value::Loss)?, game(Value::Accuracy)?);
    println!(
        "accuracy {:.1} %, without operations {:.1} %",
        accuracy.value(&[true; PLAYERS])?,
        accuracy.value(&[false; PLAYERS])?
    );
    println!(
        "bounded loss {:.3}, without operations {:.3}",
        loss.value(&[true; PLAYERS])?,
        loss.value(&[false; PLAYERS])?
    );

    let seed = |what: &str| derive_seed(options.seed, what);
    let by_loss = reference(&mut loss, options.walks, seed("reference/loss"))?;
    let by_accuracy = reference(&mut accuracy, options.walks, seed("reference/accuracy"))?;
    for (name, sampled) in [("loss", &by_loss), ("accuracy", &by_accuracy)] {
        println!("reference by {name}: {} walks, reliability {:.3}", options.walks, reliability(sampled));
    }

    println!("estimator, reference: Spearman by repetition; forwards and gradients, CPU seconds each");
    let unit = timed(|| (0..10).try_for_each(|_| loss.value(&[true; PLAYERS]).map(drop)))?.1 / 10.0;
    println!("one evaluation: {unit:.4} s");
    let kind = |player| {
        let Player { cell, op, .. } = Player::at(player);
        cell.index() * OP_COUNT + op
    };
    for corrections in [0, 28] {
        let mut rhos = Vec::new();
        let (_, seconds) = timed(|| {
            for repeat in 0..options.repeats {
                let mut rng = rng(seed(&format!("gradients/{corrections}/{repeat}")));
                let mut residuals = Residuals::new(2 * OP_COUNT);
                if corrections > 0 {
                    residuals.measure(&mut loss, corrections, &kind, &mut rng)?;
                }
                let mut sampled = Sampled::default();
                for _ in 0..groups {
                    sampled.push(gradient_group(&mut loss, strata, &mut rng)?);
                }
                let corrected = sampled.mean().into_iter().enumerate();
                let corrected: Vec<f64> =
                    corrected.map(|(player, mean)| mean + residuals.correction(kind(player)).0).collect();
                rhos.push(spearman(&corrected, &by_loss.mean()));
            }
            Ok(())
        })?;
        let cost = seconds / options.repeats as f64;
        println!(
            "{} gradients, {corrections} corrections, loss: {}; {} forwards, {} backwards, {cost:.2} s = {:.0} \
             evaluations",
            2 * strata * groups,
            list(&rhos),
            2 * strata * groups + if corrections > 0 { corrections + 1 } else { 0 },
            2 * strata * groups + usize::from(corrections > 0),
            cost / unit
        );
    }
    for (estimator, threshold) in
        [("official, 10 walks", 0.5), ("official without truncation, 10 walks", 0.0)]
    {
        let (mut scores, mut means, mut forwards) = (Vec::new(), Vec::new(), 0);
        for repeat in 0..options.repeats.min(if threshold > 0.0 { u64::MAX } else { 1 }) {
            let mut sampled = Sampled::default();
            for walked in 0..10 {
                let mut order: Vec<usize> = (0..PLAYERS).collect();
                order.shuffle(&mut rng(seed(&format!("official/{repeat}/{walked}"))));
                let stop = |value: f64, full: f64| value < threshold * full;
                let walk = walk(&mut accuracy, &order, &|_, _| false, &stop)?;
                forwards += walk.evaluations + 1;
                sampled.push(walk.losses);
            }
            scores.push(spearman(&official::scores(sampled.samples()), &by_accuracy.mean()));
            means.push(spearman(&sampled.mean(), &by_accuracy.mean()));
        }
        println!(
            "{estimator}, accuracy: score {}, mean {}; {} forwards",
            list(&scores),
            list(&means),
            forwards / scores.len()
        );
    }
    Ok(())
}

fn reference(game: &mut SupernetGame, walks: usize, seed: u64) -> Result<Sampled, SearchError> {
    let mut sampled = Sampled::default();
    for index in 0..walks {
        let order = order(PLAYERS, 1, index % 2, &mut rng(derive_seed(seed, &format!("{}", index / 2))));
        sampled.push(walk(game, &order, &|_, _| false, &|_, _| false)?.losses);
    }
    Ok(sampled)
}

/// Returns the rank correlation of two halves, stepped up to the whole (Spearman and Brown).
fn reliability(sampled: &Sampled) -> f64 {
    let half = |first: usize| {
        let mut half = Sampled::default();
        sampled.samples().iter().skip(2 * first).step_by(4).for_each(|sample| half.push(sample.clone()));
        sampled.samples().iter().skip(2 * first + 1).step_by(4).for_each(|sample| half.push(sample.clone()));
        half.mean()
    };
    let rho = spearman(&half(0), &half(1));
    2.0 * rho / (1.0 + rho)
}

fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() - 1) as f64 / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}

/// Returns the ranks from 0; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        tied.iter().for_each(|&place| ranks[place] = below as f64 + (tied.len() - 1) as f64 / 2.0);
        below += tied.len();
    }
    ranks
}

fn timed<T>(f: impl FnOnce() -> Result<T, SearchError>) -> Result<(T, f64), SearchError> {
    let cpu = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    };
    let begin = cpu();
    Ok((f()?, cpu() - begin))
}

fn list(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.3}")).collect::<Vec<_>>().join(" ")
}
