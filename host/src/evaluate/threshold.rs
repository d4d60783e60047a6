//! Decision thresholds, chosen on the validation part.

use std::cmp::Ordering;

use nashost_plugin_api::dataset::Target;
use serde::{Deserialize, Serialize};

use super::PredictionTable;
use crate::config::train::Threshold;

/// The threshold that stands for "more likely than not".
const HALF: f64 = 0.5;

/// The threshold of one label: it is predicted where the score is above.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelThreshold {
    /// The threshold.
    pub value: f64,
    /// Why it is not what the rule asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Chooses one threshold per label on `validation`, after `rule`.
///
/// [`Threshold::ValF1`] tries every threshold that makes a difference: the middle between each two
/// neighbouring scores, and one below them all (half the lowest score, or −0.5 if that is 0). The best
/// F1 wins; of equal ones, the threshold closest to 0.5, then the lower. A label without positives
/// keeps 0.5, with a note.
pub fn choose_thresholds(rule: Threshold, validation: &PredictionTable) -> Vec<LabelThreshold> {
    let labels = validation.truth().labels().len();
    (0..labels)
        .map(|label| match rule {
            Threshold::Half => LabelThreshold { value: HALF, note: None },
            Threshold::ValF1 => match best_f1(assessed(validation, label)) {
                Some(value) => LabelThreshold { value, note: None },
                None => LabelThreshold {
                    value: HALF,
                    note: Some("no positives in the validation part".to_owned()),
                },
            },
        })
        .collect()
}

/// The values of [`choose_thresholds`], in the order of the labels.
pub fn threshold_values(rule: Threshold, validation: &PredictionTable) -> Vec<f64> {
    choose_thresholds(rule, validation).into_iter().map(|threshold| threshold.value).collect()
}

/// Score and truth of every image on which `label` was assessed.
fn assessed(table: &PredictionTable, label: usize) -> Vec<(f64, bool)> {
    let labels = table.truth().labels().len();
    let column = table.truth().targets().iter().zip(table.scores()).skip(label).step_by(labels);
    column
        .filter(|(target, _)| **target != Target::NotAssessed)
        .map(|(target, &score)| (score, *target == Target::Positive))
        .collect()
}

/// A threshold and the F1 it leads to.
#[derive(Clone, Copy)]
struct Candidate {
    threshold: f64,
    /// 2·TP over 2·TP + FP + FN, unreduced, so that ties are exact.
    f1: (u64, u64),
}

impl Candidate {
    fn compare(&self, other: &Self) -> Ordering {
        let cross = |a: u64, b: u64| u128::from(a) * u128::from(b);
        let distance = |candidate: &Self| (candidate.threshold - HALF).abs();
        cross(self.f1.0, other.f1.1)
            .cmp(&cross(other.f1.0, self.f1.1))
            .then(distance(other).total_cmp(&distance(self)))
            .then(other.threshold.total_cmp(&self.threshold))
    }
}

/// The threshold with the best F1; `None` without positives.
fn best_f1(mut cases: Vec<(f64, bool)>) -> Option<f64> {
    let positives = cases.iter().filter(|case| case.1).count() as u64;
    if positives == 0 {
        return None;
    }
    cases.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let (mut found, mut predicted) = (0, 0);
    let mut groups = cases.chunk_by(|a, b| a.0 == b.0).peekable();
    let mut best: Option<Candidate> = None;
    // From the top: everything down to and including `group` is predicted.
    while let Some(group) = groups.next() {
        found += group.iter().filter(|case| case.1).count() as u64;
        predicted += group.len() as u64;
        let threshold = between(groups.peek().map(|next| next[0].0), group[0].0);
        let candidate = Candidate { threshold, f1: (2 * found, predicted + positives) };
        if best.is_none_or(|best| candidate.compare(&best).is_gt()) {
            best = Some(candidate);
        }
    }
    best.map(|best| best.threshold)
}

/// A threshold that `above` exceeds and `below` does not.
fn between(below: Option<f64>, above: f64) -> f64 {
    let middle = match below {
        Some(below) => below.midpoint(above),
        None if above > 0.0 => above / 2.0,
        None => -0.5,
    };
    // Neighbouring floats have no number between them; the lower one separates them.
    if middle < above { middle } else { below.unwrap_or(0.0) }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::dataset::Target::{Negative, NotAssessed, Positive};

    use super::*;
    use crate::evaluate::testing::table;

    fn chosen(scores: &[f64], targets: &[Target]) -> LabelThreshold {
        choose_thresholds(Threshold::ValF1, &table(1, scores, targets)).remove(0)
    }

    fn f1(threshold: f64, cases: &[(f64, bool)]) -> f64 {
        let count = |predicted, truth| {
            cases.iter().filter(|case| (case.0 > threshold) == predicted && case.1 == truth).count() as f64
        };
        2.0 * count(true, true) / (2.0 * count(true, true) + count(true, false) + count(false, true))
    }

    #[test]
    fn half_is_half() {
        let table = table(1, &[0.2], &[Positive]);
        assert_eq!(choose_thresholds(Threshold::Half, &table), [LabelThreshold { value: 0.5, note: None }]);
    }

    #[test]
    fn the_middle_of_the_gap_separates() {
        let best = chosen(&[0.125, 0.25, 0.375, 0.75], &[Negative, Negative, Positive, Positive]);
        assert_eq!(best, LabelThreshold { value: 0.3125, note: None });
    }

    #[test]
    fn of_equal_thresholds_the_one_closest_to_a_half_wins() {
        // Predicting one, or all three: F1 2/3 and 2·2/(3+2) = 4/5; predicting the top one and all four
        // of the second table: both 2/3, at 0.75 and 0.1.
        assert_eq!(chosen(&[0.8, 0.6, 0.4], &[Positive, Negative, Positive]).value, 0.2);
        let tied = chosen(&[0.8, 0.7, 0.6, 0.2], &[Positive, Negative, Negative, Positive]);
        assert_eq!(tied.value, 0.75);
    }

    #[test]
    fn labels_without_positives_say_so() {
        let best = chosen(&[0.9, 0.1, 0.4], &[Negative, Negative, NotAssessed]);
        assert_eq!(best.value, 0.5);
        assert!(best.note.unwrap().contains("no positives"));
    }

    #[test]
    fn everything_can_be_predicted_even_at_score_zero() {
        let best = chosen(&[0.0, 0.0], &[Positive, Positive]);
        assert!(best.value < 0.0, "{best:?}");
        let best = chosen(&[0.2, 0.2], &[Positive, Positive]);
        assert_eq!(best.value, 0.1);
    }

    #[test]
    fn neighbouring_floats_are_separated() {
        for low in [0.3_f64, 0.5, 0.999, 0.0] {
            let high = low.next_up();
            let best = chosen(&[low, high], &[Negative, Positive]);
            assert!(low <= best.value && best.value < high, "{low}: {best:?}");
        }
    }

    #[test]
    fn no_threshold_does_better() {
        use rand::Rng as _;
        let mut rng = nashost_plugin_api::seed::rng(7);
        for _ in 0..200 {
            let n = rng.random_range(1..30);
            let mut cases: Vec<(f64, bool)> = (0..n)
                .map(|_| (f64::from(rng.random_range(0..=20_u8)) / 20.0, rng.random_bool(0.4)))
                .collect();
            cases[0].1 = true;
            let best = best_f1(cases.clone()).unwrap();
            let grid = (-1..=100).map(|step| f1(f64::from(step) / 100.0 + 0.001, &cases));
            let limit = grid.fold(0.0, f64::max);
            assert!(f1(best, &cases) >= limit - 1e-12, "{best} on {cases:?}: below {limit}");
        }
    }
}
