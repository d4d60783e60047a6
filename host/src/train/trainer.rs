//! One training step.

use nashost_plugin_torch::{Mode, Network, Weights};
use tch::{Device, Kind, Tensor};

use super::{
    loss::{Loss, Total, Truth},
    optimizer::Optimizer,
    parameters::Parameters,
};
use crate::config::train::{Precision, TrainConfig};

/// A network being trained: its values, its loss and its optimizer.
///
/// Nothing here reads from the device, so on a GPU a step only queues work.
#[derive(Debug)]
pub struct Trainer<'a> {
    network: &'a Network,
    parameters: Parameters,
    loss: Loss,
    optimizer: Optimizer,
    /// Number type of images and activations.
    kind: Kind,
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
        Ok(Self { network, parameters, loss: Loss::new(pos_weight, device)?, optimizer, kind })
    }

    /// Makes one step of learning rate `lr` on a batch (normalised images, channels-last, and what
    /// is true of them); returns the loss before the step, on the device.
    ///
    /// # Errors
    ///
    /// Fails if the sizes differ or the device's memory is full.
    pub fn step(&mut self, images: &Tensor, truth: &Truth, lr: f64) -> anyhow::Result<Total> {
        let images = images.f_to_kind(self.kind)?;
        let logits = self.network.forward(self.parameters.training(), &images, Mode::Train)?;
        let total = self.loss.total(&logits, truth)?;
        self.parameters.backward(&total.mean()?)?;
        self.optimizer.step(lr)?;
        self.parameters.refresh()?;
        Ok(Total { sum: total.sum.f_detach()?, entries: total.entries })
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

    /// Returns the optimizer, to save or restore its state.
    pub fn optimizer(&mut self) -> &mut Optimizer {
        &mut self.optimizer
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nashost_plugin_api::dataset::Target;
    use nashost_plugin_torch::channels_last;
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
