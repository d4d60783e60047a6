//! Training of the supernet's weights.

use tch::{Kind, Reduction, Tensor};

use crate::{
    config::{Loss, PositiveWeight, SearchConfig},
    labels::Labels,
    search::types::Batch,
    supernet::{Mixing, Supernet},
};

/// Positives never count more than so many times as much as negatives, nor less than its inverse.
const MOST_POSITIVE: f64 = 10.0;

/// Returns what the training loss multiplies each label's positives by.
pub(super) fn positive_weights(labels: &Labels, scheme: PositiveWeight) -> Vec<f64> {
    let weight = |label| {
        let count = |f: &dyn Fn(usize) -> bool| (0..labels.images()).filter(|&image| f(image)).count() as f64;
        let positives = count(&|image| labels.is(image, label));
        let negatives = count(&|image| labels.is_not(image, label));
        match scheme {
            PositiveWeight::Equal => 1.0,
            _ if positives == 0.0 || negatives == 0.0 => 1.0,
            PositiveWeight::Balanced => (negatives / positives).clamp(1.0 / MOST_POSITIVE, MOST_POSITIVE),
            PositiveWeight::Study => negatives / (positives + negatives),
        }
    };
    (0..labels.labels()).map(weight).collect()
}

/// Returns the training loss, as a scalar with gradients.
pub(super) fn training_loss(logits: &Tensor, batch: &Batch, loss: Loss, positive: &Tensor) -> Tensor {
    match loss {
        Loss::CrossEntropy => logits.cross_entropy_for_logits(&batch.targets.argmax(-1, false)),
        Loss::Bce => {
            let losses = logits.binary_cross_entropy_with_logits(
                &batch.targets,
                None::<&Tensor>,
                Some(positive),
                Reduction::None,
            );
            let assessed = &batch.assessed;
            (losses * assessed).sum(Kind::Float) / assessed.sum(Kind::Float).clamp_min(1.0)
        }
    }
}

/// Stochastic gradient descent with momentum and weight decay, as PyTorch has it.
#[derive(Debug)]
pub struct Sgd {
    pub(super) velocities: Vec<Tensor>,
    momentum: f64,
    weight_decay: f64,
    clip: Option<f64>,
}

impl Sgd {
    /// Begins without velocities.
    pub fn new(parameters: &[Tensor], config: &SearchConfig) -> Self {
        let velocities = parameters.iter().map(|parameter| parameter.detach().zeros_like()).collect();
        let SearchConfig { momentum, weight_decay, clip, .. } = *config;
        Self { velocities, momentum, weight_decay, clip }
    }

    /// Makes one step on images `[n, channels, height, width]`, and returns their `loss` of the logits.
    ///
    /// Gradients are of this batch's loss by the weights alone: the alphas are no parameters, so nothing
    /// of theirs is added up or enters the norm.
    pub fn step(
        &mut self,
        supernet: &Supernet,
        mixing: &Mixing,
        images: &Tensor,
        loss: &dyn Fn(&Tensor) -> Tensor,
        learning_rate: f64,
    ) -> Tensor {
        let parameters = supernet.parameters();
        let loss = loss(&supernet.train(images, mixing));
        let inputs: Vec<&Tensor> = parameters.iter().collect();
        let gradients = Tensor::run_backward(&[&loss], &inputs, false, false);
        let _no_grad = tch::no_grad_guard();
        // A factor on the device, so that a GPU is not waited for.
        let factor = self.clip.map(|most| {
            let norms: Vec<Tensor> = gradients.iter().map(Tensor::norm).collect();
            (most / (Tensor::stack(&norms, 0).norm() + 1e-6)).clamp_max(1.0)
        });
        for ((parameter, gradient), velocity) in parameters.iter().zip(gradients).zip(&mut self.velocities) {
            let gradient = match &factor {
                Some(factor) => gradient * factor,
                None => gradient,
            };
            let mut parameter = parameter.detach();
            *velocity *= self.momentum;
            *velocity += gradient + self.weight_decay * &parameter;
            parameter -= learning_rate * &*velocity;
        }
        loss.detach()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positives_are_weighted_by_their_rarity() {
        let present = (0..100).map(|i| vec![i < 20, i < 1, false, i < 80]).collect();
        let labels = Labels::new(present, vec![vec![true; 4]; 100]);
        assert_eq!(positive_weights(&labels, PositiveWeight::Balanced), [4.0, 10.0, 1.0, 0.25]);
        assert_eq!(positive_weights(&labels, PositiveWeight::Study), [0.8, 0.99, 1.0, 0.2]);
        assert_eq!(positive_weights(&labels, PositiveWeight::Equal), [1.0; 4]);
    }

    #[test]
    fn labels_that_were_not_assessed_do_not_train() {
        let logits = Tensor::from_slice(&[1.0_f32, -2.0]).view([1, 2]);
        let batch = |target: f32| Batch {
            images: Tensor::zeros([1], (Kind::Float, tch::Device::Cpu)),
            targets: Tensor::from_slice(&[1.0, target]).view([1, 2]),
            assessed: Tensor::from_slice(&[1.0_f32, 0.0]).view([1, 2]),
        };
        let ones = Tensor::ones([2], (Kind::Float, tch::Device::Cpu));
        let loss = |target| training_loss(&logits, &batch(target), Loss::Bce, &ones).double_value(&[]);
        assert_eq!(loss(0.0), loss(1.0));
        assert!((loss(0.0) - (1.0 + (-1.0_f64).exp()).ln()).abs() < 1e-6);
    }
}
