//! Binary cross-entropy on logits, with weights of positives and masks.

use std::ops::Range;

use nashost_plugin_api::dataset::Target;
use tch::{Device, Kind, Reduction, Tensor};

use crate::config::train::PosWeight;

/// Weights of positives, one per label.
#[derive(Debug, Clone, PartialEq)]
pub struct PositiveWeights {
    /// Factor of the loss of positives.
    pub weights: Vec<f64>,
    /// Labels whose weight could not be computed and is 1, with the reason.
    pub notes: Vec<String>,
}

impl PositiveWeights {
    /// Computes the weights from `targets` (row-major, images of the training part × `names`).
    ///
    /// Entries that are not assessed count neither as positive nor as negative. A label without
    /// positives or without negatives teaches nothing about their ratio: its weight is 1, with a
    /// note.
    pub fn new(mode: PosWeight, cap: f64, names: &[String], targets: &[Target]) -> Self {
        let mut notes = Vec::new();
        if mode == PosWeight::None {
            return Self { weights: vec![1.0; names.len()], notes };
        }
        let weights = names
            .iter()
            .enumerate()
            .map(|(label, name)| {
                let column = targets.iter().skip(label).step_by(names.len());
                let count = |wanted| column.clone().filter(|&&target| target == wanted).count() as f64;
                let (positives, negatives) = (count(Target::Positive), count(Target::Negative));
                let missing = match (positives == 0.0, negatives == 0.0) {
                    (false, false) => None,
                    (true, false) => Some("no positive"),
                    (false, true) => Some("no negative"),
                    (true, true) => Some("no assessed"),
                };
                if let Some(missing) = missing {
                    notes.push(format!(
                        "label `{name}` has {missing} training image: its positives have weight 1"
                    ));
                    return 1.0;
                }
                match mode {
                    PosWeight::None => 1.0,
                    PosWeight::NegOverPos => (negatives / positives).min(cap),
                    PosWeight::Study => negatives / (negatives + positives),
                }
            })
            .collect();
        Self { weights, notes }
    }
}

/// Targets on the device.
#[derive(Debug)]
pub struct Truth {
    /// 1 where a finding is present, else 0; images × labels.
    values: Tensor,
    /// 1 where a target was assessed, else 0; absent if all were.
    assessed: Option<Tensor>,
}

impl Truth {
    /// Uploads `targets`, row-major, images × `labels`.
    ///
    /// # Errors
    ///
    /// Fails if the device's memory is full.
    pub fn new(targets: &[Target], labels: usize, device: Device) -> tch::Result<Self> {
        let upload = |is: &dyn Fn(Target) -> bool| {
            let values: Vec<f32> = targets.iter().map(|&target| f32::from(is(target))).collect();
            Tensor::from_slice(&values).f_view([-1, labels as i64])?.f_to_device(device)
        };
        let all = targets.iter().all(|&target| target != Target::NotAssessed);
        Ok(Self {
            values: upload(&|target| target == Target::Positive)?,
            assessed: if all { None } else { Some(upload(&|target| target != Target::NotAssessed)?) },
        })
    }

    /// Returns the rows `index`.
    ///
    /// # Errors
    ///
    /// Fails if the device's memory is full.
    pub fn select(&self, index: &Tensor) -> tch::Result<Self> {
        let assessed = self.assessed.as_ref().map(|mask| mask.f_index_select(0, index)).transpose()?;
        Ok(Self { values: self.values.f_index_select(0, index)?, assessed })
    }

    /// Returns the rows `range`, in the memory of all.
    ///
    /// # Errors
    ///
    /// Fails if there are not as many.
    pub fn narrow(&self, range: &Range<i64>) -> tch::Result<Self> {
        let rows = |tensor: &Tensor| tensor.f_narrow(0, range.start, range.end - range.start);
        Ok(Self { values: rows(&self.values)?, assessed: self.assessed.as_ref().map(rows).transpose()? })
    }

    /// Returns the number of assessed entries, as a tensor on the device.
    ///
    /// # Errors
    ///
    /// Fails if the device's memory is full.
    pub fn entries(&self) -> tch::Result<Tensor> {
        match &self.assessed {
            Some(mask) => mask.f_sum(Kind::Float),
            None => Tensor::f_full([], self.values.numel() as i64, (Kind::Float, self.values.device())),
        }
    }
}

/// A sum of losses and the number of assessed entries it runs over, both on the device.
#[derive(Debug)]
pub struct Total {
    /// Sum over assessed entries.
    pub sum: Tensor,
    /// Number of assessed entries.
    pub entries: Tensor,
}

impl Total {
    /// Returns the two totals together, in 64 bits.
    ///
    /// # Errors
    ///
    /// Fails if the device's memory is full.
    pub fn plus(&self, other: &Self) -> tch::Result<Self> {
        let add = |a: &Tensor, b: &Tensor| a.f_to_kind(Kind::Double)?.f_add(b);
        Ok(Self { sum: add(&self.sum, &other.sum)?, entries: add(&self.entries, &other.entries)? })
    }

    /// Returns the mean; 0 where nothing was assessed.
    ///
    /// # Errors
    ///
    /// Fails if the device's memory is full.
    pub fn mean(&self) -> tch::Result<Tensor> {
        self.share_of(&self.entries)
    }

    /// Returns what this total adds to the mean over `entries`, of which its own are a part.
    ///
    /// # Errors
    ///
    /// Fails if the device's memory is full.
    pub fn share_of(&self, entries: &Tensor) -> tch::Result<Tensor> {
        self.sum.f_div(&entries.f_clamp_min(1.0)?)
    }
}

/// The loss: PyTorch's `BCEWithLogitsLoss` with `pos_weight`, over assessed entries only.
#[derive(Debug)]
pub struct Loss {
    pos_weight: Tensor,
}

impl Loss {
    /// Builds the loss for `pos_weight`, one per label.
    ///
    /// # Errors
    ///
    /// Fails if the device's memory is full.
    pub fn new(pos_weight: &[f64], device: Device) -> tch::Result<Self> {
        let pos_weight = Tensor::from_slice(pos_weight).f_to_kind(Kind::Float)?.f_to_device(device)?;
        Ok(Self { pos_weight })
    }

    /// Returns the summed loss of `logits` (images × labels, any float type; computed in 32 bits).
    ///
    /// # Errors
    ///
    /// Fails if the sizes differ or the device's memory is full.
    pub fn total(&self, logits: &Tensor, truth: &Truth) -> tch::Result<Total> {
        let sum = logits.f_to_kind(Kind::Float)?.f_binary_cross_entropy_with_logits(
            &truth.values,
            truth.assessed.as_ref(),
            Some(&self.pos_weight),
            Reduction::Sum,
        )?;
        Ok(Total { sum, entries: truth.entries()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Target::{Negative as N, NotAssessed as X, Positive as P};

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|label| format!("finding {label}")).collect()
    }

    fn mean(logits: &[f64], targets: &[Target], pos_weight: &[f64]) -> f64 {
        let labels = pos_weight.len();
        let loss = Loss::new(pos_weight, Device::Cpu).unwrap();
        let truth = Truth::new(targets, labels, Device::Cpu).unwrap();
        let logits = Tensor::from_slice(logits).view([-1, labels as i64]);
        loss.total(&logits, &truth).unwrap().mean().unwrap().double_value(&[])
    }

    /// −log of the probability of what is true, weighted where it is positive.
    fn by_hand(logit: f64, target: Target, weight: f64) -> f64 {
        let p = 1.0 / (1.0 + (-logit).exp());
        if target == P { -weight * p.ln() } else { -(1.0 - p).ln() }
    }

    #[test]
    fn weights_follow_their_formulas() {
        // Label 0: 1 positive, 3 negatives; label 1: 2 and 1 (one not assessed).
        let targets = [P, P, N, N, N, X, N, P];
        let of = |mode, cap| PositiveWeights::new(mode, cap, &names(2), &targets);
        assert_eq!(of(PosWeight::NegOverPos, 20.0).weights, [3.0, 0.5]);
        assert_eq!(of(PosWeight::NegOverPos, 2.0).weights, [2.0, 0.5]);
        assert_eq!(of(PosWeight::Study, 20.0).weights, [0.75, 1.0 / 3.0]);
        assert_eq!(of(PosWeight::None, 20.0).weights, [1.0, 1.0]);
        assert!(of(PosWeight::Study, 20.0).notes.is_empty());
    }

    #[test]
    fn study_weights_are_the_published_ones() {
        // Alignment in the neck set: 411 of 746 training images; the study prints 0.449.
        let mut targets = vec![P; 411];
        targets.resize(746, N);
        let weights = PositiveWeights::new(PosWeight::Study, 20.0, &names(1), &targets).weights;
        assert!((weights[0] - 0.449).abs() < 5e-4);
    }

    #[test]
    fn one_sided_labels_have_weight_one_and_a_note() {
        let targets = [P, N, X, P, N, X];
        assert!(PositiveWeights::new(PosWeight::None, 20.0, &names(3), &targets).notes.is_empty());
        for mode in [PosWeight::NegOverPos, PosWeight::Study] {
            let answer = PositiveWeights::new(mode, 20.0, &names(3), &targets);
            assert_eq!(answer.weights, [1.0; 3]);
            for (note, missing) in answer.notes.iter().zip(["no negative", "no positive", "no assessed"]) {
                assert!(note.contains(missing), "{note}");
            }
        }
    }

    #[test]
    fn loss_is_the_mean_of_the_definition() {
        let (logits, targets) = ([0.3, -1.2, 2.0, 0.0, -0.7, 5.0], [P, N, N, P, P, N]);
        let weights = [3.0, 0.5];
        let expected: f64 = (0..6).map(|i| by_hand(logits[i], targets[i], weights[i % 2])).sum::<f64>() / 6.0;
        // 32-bit arithmetic of a value near 1.
        assert!((mean(&logits, &targets, &weights) - expected).abs() < 1e-6);
    }

    #[test]
    fn masked_entries_change_nothing() {
        let weights = [3.0, 0.5];
        let expected = (by_hand(0.3, P, 3.0) + by_hand(2.0, N, 3.0) + by_hand(0.1, P, 0.5)) / 3.0;
        for ignored in [-4.0, 90.0] {
            let value = mean(&[0.3, ignored, 2.0, 0.1], &[P, X, N, P], &weights);
            assert!((value - expected).abs() < 1e-6);
        }
        assert_eq!(mean(&[0.3, 1.0], &[X, X], &weights), 0.0);
    }

    #[test]
    fn masked_entries_have_no_gradient() {
        let loss = Loss::new(&[1.0, 1.0], Device::Cpu).unwrap();
        for (targets, expected) in [([P, X], [true, false]), ([X, X], [false, false])] {
            let logits = Tensor::from_slice(&[0.0_f32, 0.0]).view([1, 2]).set_requires_grad(true);
            let truth = Truth::new(&targets, 2, Device::Cpu).unwrap();
            loss.total(&logits, &truth).unwrap().mean().unwrap().backward();
            let gradient = Vec::<f32>::try_from(logits.grad().view(-1)).unwrap();
            assert_eq!([gradient[0] != 0.0, gradient[1] != 0.0], expected);
            assert!(gradient.iter().all(|value| value.is_finite()));
        }
    }
}
