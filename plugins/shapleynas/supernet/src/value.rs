//! What a coalition is worth: functions of logits, higher is better.

use tch::{Kind, Reduction, Tensor};

use crate::config::{Loss, Value};

/// A bounded loss never exceeds so many times what a network loses that knows nothing.
const BOUND: f64 = 2.0;

/// Returns the cross-entropy of every label `[n, labels]`, or of every image `[n]` with classes.
fn losses(logits: &Tensor, targets: &Tensor, loss: Loss) -> Tensor {
    let none = None::<&Tensor>;
    match loss {
        Loss::Bce => logits.binary_cross_entropy_with_logits(targets, none, none, Reduction::None),
        Loss::CrossEntropy => -(logits.log_softmax(-1, Kind::Float) * targets).sum_dim_intlist(
            [-1_i64].as_slice(),
            false,
            Kind::Float,
        ),
    }
}

/// Returns the negative bounded loss, in nats, as a scalar with gradients.
///
/// A loss `l` counts as `b (1 - exp(-l/b))` with `b` twice the loss at chance. That is `l` where the
/// network does well and never more than `b`, while the plain loss of a network without half of its
/// operations may be many times that of the whole one, and decides alone then.
pub fn bounded_loss(logits: &Tensor, targets: &Tensor, assessed: &Tensor, loss: Loss) -> Tensor {
    let chance = match loss {
        Loss::Bce => std::f64::consts::LN_2,
        Loss::CrossEntropy => (targets.size()[1] as f64).ln(),
    };
    let bound = BOUND * chance;
    let bounded = -bound * (losses(logits, targets, loss) / -bound).expm1();
    -match loss {
        Loss::CrossEntropy => bounded.mean(Kind::Float),
        Loss::Bce => {
            // Not 0/0 if nothing was assessed.
            (bounded * assessed).sum(Kind::Float) / assessed.sum(Kind::Float).clamp_min(1.0)
        }
    }
}

/// Returns the value of logits `[n, labels]`; `None` if it is undefined for these targets.
///
/// Accuracies are in percent, as in the official code, areas between 0 and 1.
pub fn value(logits: &Tensor, targets: &Tensor, assessed: &Tensor, value: Value, loss: Loss) -> Option<f64> {
    match value {
        Value::Loss => Some(bounded_loss(logits, targets, assessed, loss).double_value(&[])),
        Value::Accuracy => {
            let right = logits.argmax(-1, false).eq_tensor(&targets.argmax(-1, false));
            Some(100.0 * right.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]))
        }
        Value::SubsetAccuracy => {
            let right = logits.gt(0.0).eq_tensor(&targets.gt(0.5)).logical_or(&assessed.lt(0.5));
            let whole = right.all_dim(-1, false).to_kind(Kind::Double);
            Some(100.0 * whole.mean(Kind::Double).double_value(&[]))
        }
        Value::Auroc => macro_mean(logits, targets, assessed, auroc),
        Value::AveragePrecision => macro_mean(logits, targets, assessed, average_precision),
    }
}

/// Returns the mean over the labels for which `metric` is defined.
fn macro_mean(
    logits: &Tensor,
    targets: &Tensor,
    assessed: &Tensor,
    metric: fn(&[(f64, bool)]) -> Option<f64>,
) -> Option<f64> {
    let column = |tensor: &Tensor, label| {
        Vec::<f64>::try_from(tensor.select(1, label).to_kind(Kind::Double).contiguous()).ok()
    };
    let mut values = Vec::new();
    for label in 0..targets.size()[1] {
        let (scores, present) = (column(logits, label)?, column(targets, label)?);
        let known = column(assessed, label)?;
        let mut cases: Vec<(f64, bool)> = (0..scores.len())
            .filter(|&image| known[image] > 0.5)
            .map(|image| (scores[image], present[image] > 0.5))
            .collect();
        cases.sort_by(|a, b| b.0.total_cmp(&a.0));
        values.extend(metric(&cases));
    }
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Returns the share of pairs of a positive and a negative in the right order, ties by half.
/// `cases` are by falling score.
fn auroc(cases: &[(f64, bool)]) -> Option<f64> {
    let positives = cases.iter().filter(|case| case.1).count();
    let negatives = cases.len() - positives;
    let (mut above, mut pairs) = (0.0, 0.0);
    for tied in cases.chunk_by(|a, b| a.0 == b.0) {
        let here = tied.iter().filter(|case| case.1).count() as f64;
        let others = tied.len() as f64 - here;
        pairs += others * (above + here / 2.0);
        above += here;
    }
    (positives > 0 && negatives > 0).then(|| pairs / (positives * negatives) as f64)
}

/// Returns the precision at each threshold, weighted by the recall gained there.
fn average_precision(cases: &[(f64, bool)]) -> Option<f64> {
    let positives = cases.iter().filter(|case| case.1).count();
    let (mut seen, mut found, mut sum) = (0.0, 0.0, 0.0);
    for tied in cases.chunk_by(|a, b| a.0 == b.0) {
        let here = tied.iter().filter(|case| case.1).count() as f64;
        seen += tied.len() as f64;
        found += here;
        sum += here * found / seen;
    }
    (positives > 0 && positives < cases.len()).then(|| sum / positives as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[[f64; 2]]) -> Tensor {
        Tensor::from_slice(&rows.concat()).view([-1, 2]).to_kind(Kind::Float)
    }

    #[test]
    fn areas_are_those_of_hand_made_cases() {
        let logits = matrix(&[[0.9, 0.1], [0.8, 0.1], [0.3, 0.1], [0.1, 9.0]]);
        let targets = matrix(&[[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]);
        let all = targets.ones_like();
        let of = |metric| value(&logits, &targets, &all, metric, Loss::Bce).unwrap();
        // The second label has no positives and is left out.
        assert_eq!(of(Value::Auroc), 0.75);
        assert!((of(Value::AveragePrecision) - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        let none = targets.zeros_like();
        assert_eq!(value(&logits, &none, &all, Value::Auroc, Loss::Bce), None);
    }

    #[test]
    fn ties_count_by_half() {
        assert_eq!(auroc(&[(1.0, true), (1.0, false)]), Some(0.5));
        assert_eq!(auroc(&[(1.0, true)]), None);
        assert_eq!(average_precision(&[(1.0, true), (1.0, false)]), Some(0.5));
    }

    #[test]
    fn subset_accuracy_takes_no_notice_of_what_was_not_assessed() {
        let logits = matrix(&[[3.0, -3.0], [3.0, 3.0]]);
        let targets = matrix(&[[1.0, 0.0], [1.0, 0.0]]);
        let of = |assessed| value(&logits, &targets, &assessed, Value::SubsetAccuracy, Loss::Bce);
        assert_eq!(of(targets.ones_like()), Some(50.0));
        assert_eq!(of(matrix(&[[1.0, 1.0], [1.0, 0.0]])), Some(100.0));
    }

    #[test]
    fn the_bounded_loss_is_the_loss_where_it_is_small_and_stays_bounded() {
        let targets = matrix(&[[1.0, 0.0]]);
        let all = targets.ones_like();
        let of =
            |logits: [f64; 2], loss| bounded_loss(&matrix(&[logits]), &targets, &all, loss).double_value(&[]);
        let small = of([6.0, -6.0], Loss::Bce);
        assert!((small + (1.0 + (-6.0_f64).exp()).ln()).abs() < 1e-5, "{small}");
        let worst = of([-500.0, 500.0], Loss::Bce);
        assert!((worst + 2.0 * std::f64::consts::LN_2).abs() < 1e-6, "{worst}");
        assert!((of([-500.0, 500.0], Loss::CrossEntropy) + 2.0 * 2.0_f64.ln()).abs() < 1e-6);
        let chance = of([0.0, 0.0], Loss::Bce);
        assert!(chance > worst && chance < small);
    }

    #[test]
    fn accuracy_counts_images() {
        let logits = matrix(&[[3.0, 1.0], [1.0, 3.0], [0.0, 1.0], [2.0, 1.0]]);
        let targets = matrix(&[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]);
        assert_eq!(
            value(&logits, &targets, &targets.ones_like(), Value::Accuracy, Loss::CrossEntropy),
            Some(75.0)
        );
    }
}
