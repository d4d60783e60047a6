//! One training step.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use anyhow::Context as _;
use nashost_plugin_api::graph::Auxiliary;
use nashost_plugin_torch::{Network, Weights};
use tch::{Device, Kind, Tensor};

use super::{
    loss::{Loss, Total, Truth},
    optimizer::Optimizer,
    parameters::Parameters,
};
use crate::config::train::{Precision, TrainConfig};

/// What names of weights and of the optimizer's tensors begin with in a state.
const MODEL: &str = "model.";
const OPTIMIZER: &str = "optimizer.";

/// A network being trained: its values, its loss and its optimizer.
///
/// Nothing here reads from the device, so on a GPU a step only queues work.
#[derive(Debug)]
pub struct Trainer<'a> {
    network: Cow<'a, Network>,
    parameters: Parameters,
    loss: Loss,
    optimizer: Optimizer,
    /// Number type of images and activations.
    kind: Kind,
    micro_batches: u32,
}

impl<'a> Trainer<'a> {
    /// Prepares to train `network` from `init` on `device`, with `pos_weight` per label.
    ///
    /// # Errors
    ///
    /// Fails if `init` does not belong to `network` or the device's memory is full.
    pub fn new(
        network: &'a Network,
        init: &Weights,
        config: &TrainConfig,
        pos_weight: &[f64],
        device: Device,
    ) -> anyhow::Result<Self> {
        let parameters = Parameters::new(network, init, config.precision, device)?;
        let optimizer =
            Optimizer::new(config, parameters.values(), parameters.gradient(), parameters.decayed())?;
        let kind = match config.precision {
            Precision::Fp32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        };
        let loss = Loss::new(pos_weight, device)?;
        let network = Cow::Borrowed(network);
        Ok(Self { network, parameters, loss, optimizer, kind, micro_batches: config.micro_batches })
    }

    /// Trains from now on with `share` times the drop-path probabilities of `network`, which the trainer
    /// was made for.
    pub fn drop_paths(&mut self, network: &Network, share: f64) {
        self.network = Cow::Owned(network.with_drop_path(share));
    }

    /// Makes one step of learning rate `lr` on a batch (normalised images, channels-last, and what
    /// is true of them); returns the loss before the step, on the device.
    ///
    /// The passes run over [`TrainConfig::micro_batches`] parts of the batch, one after the other,
    /// so that only the activations of one part are in memory. The step is that of the whole batch,
    /// up to rounding, but for batch normalisation, which sees the parts.
    ///
    /// # Errors
    ///
    /// Fails if the sizes differ or the device's memory is full.
    pub fn step(&mut self, images: &Tensor, truth: &Truth, lr: f64) -> anyhow::Result<Total> {
        let images = images.f_to_kind(self.kind)?;
        let total = match &parts(images.size()[0], self.micro_batches)[..] {
            [] | [_] => self.pass(&images, truth, None)?,
            parts => {
                let entries = truth.entries()?;
                let mut sum: Option<Total> = None;
                for part in parts {
                    let images = images.f_narrow(0, part.start, part.end - part.start)?;
                    let before = sum.is_some();
                    let total = self.pass(&images, &truth.narrow(part)?, Some((&entries, before)))?;
                    sum = Some(match sum {
                        None => total,
                        Some(before) => before.plus(&total)?,
                    });
                }
                sum.context("a batch has parts")?
            }
        };
        self.optimizer.step(lr)?;
        self.parameters.refresh()?;
        Ok(total)
    }

    /// Computes the gradient on `images`: all of a batch, or the part of one of `entries` assessed
    /// entries, added to the gradient of parts before it. Returns the loss of the network's output, as validation
    /// has it; the gradient is also that of an auxiliary classifier.
    fn pass(&self, images: &Tensor, truth: &Truth, part: Option<(&Tensor, bool)>) -> anyhow::Result<Total> {
        let (logits, auxiliary) = self.network.forward_training(self.parameters.training(), images)?;
        let total = self.loss.total(&logits, truth)?;
        let mut objective = Total { sum: total.sum.shallow_clone(), entries: total.entries.shallow_clone() };
        if let (Some(logits), Some(Auxiliary { weight, .. })) = (auxiliary, &self.network.graph().auxiliary) {
            let auxiliary = self.loss.total(&logits, truth)?;
            objective.sum = objective.sum.f_add(&auxiliary.sum.f_mul_scalar(*weight)?)?;
        }
        let (entries, add) = part.unwrap_or((&total.entries, false));
        self.parameters.backward(&objective.share_of(entries)?, add)?;
        Ok(Total { sum: total.sum.f_detach()?, entries: total.entries })
    }

    /// Returns everything that later steps depend on, by name.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let names = self.network.parameters().iter().map(|parameter| format!("{MODEL}{}", parameter.name));
        let weights = names.zip(self.weights().tensors().iter().map(Tensor::shallow_clone));
        let optimizer = self.optimizer.state().into_iter();
        weights.chain(optimizer.map(|(name, tensor)| (format!("{OPTIMIZER}{name}"), tensor))).collect()
    }

    /// Takes up [`Trainer::state`], from any device, and leaves other tensors there.
    ///
    /// # Errors
    ///
    /// Fails if a tensor is missing or has another size.
    pub fn restore(&mut self, state: &mut BTreeMap<String, Tensor>) -> anyhow::Result<()> {
        let mut take = |name: String| state.remove(&name).with_context(|| format!("`{name}` is missing"));
        let names = self.network.parameters().iter().map(|parameter| format!("{MODEL}{}", parameter.name));
        let weights = names.map(&mut take).collect::<anyhow::Result<Vec<_>>>()?;
        let names = self.optimizer.state_names();
        let optimizer = names.map(|name| Ok((name, take(format!("{OPTIMIZER}{name}"))?)));
        let optimizer = optimizer.collect::<anyhow::Result<Vec<_>>>()?;
        self.parameters.restore(&weights)?;
        self.optimizer.restore(&optimizer)?;
        Ok(())
    }

    /// Returns the weights in full precision: what is evaluated and saved, whatever the precision
    /// of the steps, so that a checkpoint repeats the values it was chosen for.
    pub fn weights(&self) -> &Weights {
        self.parameters.master()
    }

    /// Returns the loss, to apply it to validation images.
    pub fn loss(&self) -> &Loss {
        &self.loss
    }
}

/// Cuts a batch into `wanted` parts whose sizes differ by one at most. There are fewer parts if they
/// would have a single image, which has no batch statistics.
fn parts(images: i64, wanted: u32) -> Vec<Range<i64>> {
    let count = i64::from(wanted).clamp(1, (images / 2).max(1));
    (0..count).map(|part| part * images / count..(part + 1) * images / count).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nashost_plugin_api::dataset::Target;
    use nashost_plugin_torch::{Mode, channels_last};
    use serde::Deserialize;

    use super::*;
    use crate::{config::train::Optimizer, train::tests::fixture_network};

    const CPU: Device = Device::Cpu;

    #[derive(Deserialize)]
    struct Trajectory {
        losses: Vec<f64>,
        tensors: BTreeMap<String, Vec<f64>>,
    }

    fn wave(size: &[i64], step: f64, phase: f64) -> Tensor {
        let count = size.iter().product::<i64>();
        (Tensor::arange(count, (Kind::Double, CPU)) * step + phase).sin().view(size)
    }

    /// The weights of `tests/fixtures/train/make.py`.
    fn weights(network: &Network) -> Weights {
        let mut k = -1;
        let tensors = network.parameters().iter().map(|parameter| {
            k += i32::from(parameter.trainable);
            let (shape, options) = (&parameter.shape, (Kind::Float, CPU));
            match parameter.name.as_str() {
                "bn1.weight" | "bn1.running_var" => Tensor::ones(shape, options),
                "bn1.bias" | "bn1.running_mean" => Tensor::zeros(shape, options),
                "bn1.num_batches_tracked" => Tensor::zeros(shape, (Kind::Int64, CPU)),
                _ => channels_last(&(wave(shape, 0.9, f64::from(k)) * 0.4).to_kind(Kind::Float)),
            }
        });
        Weights::new(tensors.collect())
    }

    /// Batch `number` (0 or 1) of the fixture.
    fn batch(number: i64) -> (Tensor, Truth) {
        let images = (wave(&[12, 3, 8, 8], 1.3, 0.2) * 1.5).to_kind(Kind::Float);
        let targets: Vec<Target> = (number * 18..(number + 1) * 18)
            .map(|i| match (i % 5 != 0, (i * i + 3 * i) % 7 < 3) {
                (false, _) => Target::NotAssessed,
                (true, true) => Target::Positive,
                (true, false) => Target::Negative,
            })
            .collect();
        (channels_last(&images.narrow(0, number * 6, 6)), Truth::new(&targets, 3, CPU).unwrap())
    }

    fn trainer<'a>(network: &'a Network, config: &TrainConfig) -> Trainer<'a> {
        Trainer::new(network, &weights(network), config, &[2.5, 0.4, 1.0], CPU).unwrap()
    }

    /// Ten steps with weight decay, class weights and a mask end where PyTorch's end: the only
    /// difference is rounding to 32 bits, which ten steps do not amplify beyond 1e-5.
    #[test]
    fn steps_equal_pytorchs() {
        let expected: BTreeMap<String, Trajectory> =
            serde_json::from_str(include_str!("../../../tests/fixtures/train/trajectories.json")).unwrap();
        let base = TrainConfig { weight_decay: 0.01, ..TrainConfig::default() };
        for (name, config) in [
            ("adam", TrainConfig { lr: 0.01, ..base.clone() }),
            ("sgd", TrainConfig { lr: 0.05, optimizer: Optimizer::Sgd, momentum: 0.9, ..base }),
        ] {
            let network = fixture_network();
            let mut trainer = trainer(&network, &config);
            for (step, loss) in expected[name].losses.iter().enumerate() {
                let (images, truth) = batch(step as i64 % 2);
                let total = trainer.step(&images, &truth, config.lr).unwrap();
                let found = total.mean().unwrap().double_value(&[]);
                assert!((found - loss).abs() < 1e-5, "{name}, step {step}: {found} for {loss}");
            }
            for (parameter, tensor) in network.parameters().iter().zip(trainer.weights().tensors()) {
                if parameter.name.ends_with("num_batches_tracked") {
                    continue;
                }
                let found = Vec::<f64>::try_from(tensor.contiguous().view(-1).to_kind(Kind::Double)).unwrap();
                let wanted = &expected[name].tensors[&parameter.name];
                assert_eq!(found.len(), wanted.len());
                let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-5, "{name}, {}: off by {worst}", parameter.name);
            }
        }
    }

    #[test]
    fn a_step_changes_what_the_next_pass_sees() {
        for precision in [Precision::Fp32, Precision::Bf16] {
            let network = fixture_network();
            let config = TrainConfig { precision, lr: 0.1, ..TrainConfig::default() };
            let mut trainer = trainer(&network, &config);
            let (images, truth) = batch(0);
            let master = |trainer: &Trainer<'_>| {
                let _guard = tch::no_grad_guard();
                network.forward(trainer.weights(), &images, Mode::Eval).unwrap()
            };
            let before = master(&trainer);
            trainer.step(&images, &truth, config.lr).unwrap();
            assert_ne!(before, master(&trainer));
            // Training and full-precision weights are two views of the same values.
            for (low, full) in trainer.parameters.training().tensors().iter().zip(trainer.weights().tensors())
            {
                assert_eq!(low.to_kind(Kind::Double), full.to_kind(low.kind()).to_kind(Kind::Double));
                assert_eq!(full.stride(), channels_last(full).stride());
            }
        }
    }

    /// Parts of 7 images with different numbers of assessed entries: a mean of the parts' means
    /// would be another step.
    #[test]
    fn a_batch_in_parts_makes_the_same_step() {
        let network = crate::train::tests::network(0.0, false);
        let init = network.initialize(1);
        let images = channels_last(&wave(&[7, 1, 8, 8], 1.3, 0.2).to_kind(Kind::Float));
        let targets: Vec<Target> = (0..14)
            .map(|i| match (i < 5 && i != 2, i % 3 == 0) {
                (true, _) => Target::NotAssessed,
                (false, true) => Target::Positive,
                (false, false) => Target::Negative,
            })
            .collect();
        let truth = Truth::new(&targets, 2, CPU).unwrap();
        let after = |micro_batches: u32, precision: Precision| {
            let sgd = TrainConfig { optimizer: Optimizer::Sgd, weight_decay: 0.01, ..TrainConfig::default() };
            let config = TrainConfig { micro_batches, precision, ..sgd };
            let mut trainer = Trainer::new(&network, &init, &config, &[2.5, 0.4], CPU).unwrap();
            let mut losses = Vec::new();
            for _ in 0..3 {
                let total = trainer.step(&images, &truth, 0.05).unwrap();
                losses.push(total.mean().unwrap().double_value(&[]));
            }
            let flat: Vec<Tensor> = trainer.weights().tensors().iter().map(|t| t.reshape([-1])).collect();
            (losses, Tensor::cat(&flat, 0))
        };
        let before = Tensor::cat(&init.tensors().iter().map(|t| t.reshape([-1])).collect::<Vec<_>>(), 0);
        // 32 bits round at 1e-7 of values below 1; bfloat16 rounds each gradient at 1/256 of itself.
        for (precision, within) in [(Precision::Fp32, 1e-6), (Precision::Bf16, 1e-3)] {
            let (losses, whole) = after(1, precision);
            assert!((&whole - &before).abs().max().double_value(&[]) > 1e-2, "the steps do something");
            for micro_batches in [2, 3, 100] {
                let (found, divided) = after(micro_batches, precision);
                let worst = (&divided - &whole).abs().max().double_value(&[]);
                assert!(worst < within, "{precision:?} in {micro_batches}: weights differ by {worst}");
                let loss = found.iter().zip(&losses).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(loss < 10.0 * within, "{precision:?} in {micro_batches}: losses differ by {loss}");
            }
        }
    }

    #[test]
    fn parts_cover_the_batch_and_have_two_images() {
        let whole = |images| parts(images, 1);
        assert_eq!(whole(7).first(), Some(&(0..7)));
        assert_eq!(whole(7).len(), 1);
        assert_eq!(parts(7, 2), [0..3, 3..7]);
        assert_eq!(parts(7, 100), [0..2, 2..4, 4..7]);
        assert_eq!(parts(3, 2), whole(3));
        assert_eq!(parts(0, 2), whole(0));
    }

    #[test]
    fn weights_belong_to_the_trainer() {
        let network = fixture_network();
        let init = weights(&network);
        let before: Vec<Tensor> = init.tensors().iter().map(Tensor::copy).collect();
        let config = TrainConfig::default();
        let mut trainer = Trainer::new(&network, &init, &config, &[1.0; 3], CPU).unwrap();
        let (images, truth) = batch(0);
        trainer.step(&images, &truth, 0.1).unwrap();
        assert_eq!(init.tensors(), before);
    }
}
