//! Curves of scores against the truth of one label. Undefined is `None`.

/// Standard normal quantile of 0.975.
const Z: f64 = 1.959_963_984_540_054;

/// Points of a curve.
pub(crate) type Points = Vec<(f64, f64)>;

/// Decisions at a threshold, counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Confusion {
    pub(crate) tp: f64,
    pub(crate) fp: f64,
    pub(crate) fn_: f64,
    pub(crate) tn: f64,
}

/// A group of images with similar scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bin {
    /// Mean score.
    pub(crate) score: f64,
    /// Images with the finding.
    pub(crate) positives: u64,
    /// Images.
    pub(crate) images: u64,
}

impl Confusion {
    /// Counts the decisions `score > threshold`.
    pub(crate) fn of(truth: &[bool], scores: &[f64], threshold: f64) -> Self {
        let mut counts = Self::default();
        for (&truth, &score) in truth.iter().zip(scores) {
            let cell = match (truth, score > threshold) {
                (true, true) => &mut counts.tp,
                (true, false) => &mut counts.fn_,
                (false, true) => &mut counts.fp,
                (false, false) => &mut counts.tn,
            };
            *cell += 1.0;
        }
        counts
    }

    /// Mean over trials.
    pub(crate) fn mean(all: &[Self]) -> Option<Self> {
        let n = all.len() as f64;
        let mean = |cell: fn(&Self) -> f64| all.iter().map(cell).sum::<f64>() / n;
        (!all.is_empty()).then(|| Self {
            tp: mean(|c| c.tp),
            fp: mean(|c| c.fp),
            fn_: mean(|c| c.fn_),
            tn: mean(|c| c.tn),
        })
    }

    /// Share of the findings that are found.
    pub(crate) fn sensitivity(&self) -> Option<f64> {
        ratio(self.tp, self.tp + self.fn_)
    }

    /// Share of the images without the finding that are left alone.
    pub(crate) fn specificity(&self) -> Option<f64> {
        ratio(self.tn, self.tn + self.fp)
    }
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// Decisions that become positive together, from the highest score down: (true, false) positives.
fn steps(truth: &[bool], scores: &[f64]) -> Vec<(f64, f64)> {
    let mut order: Vec<(f64, bool)> = scores.iter().copied().zip(truth.iter().copied()).collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let groups = order.chunk_by(|a, b| a.0 == b.0);
    groups
        .map(|group| {
            let positives = group.iter().filter(|(_, truth)| *truth).count();
            (positives as f64, (group.len() - positives) as f64)
        })
        .collect()
}

/// Returns the ROC curve, (1 − specificity, sensitivity) from (0, 0) to (1, 1), and the area under
/// it; ties count one half. None unless both classes are there.
pub(crate) fn roc(truth: &[bool], scores: &[f64]) -> Option<(Points, f64)> {
    let positives = truth.iter().filter(|truth| **truth).count() as f64;
    let negatives = truth.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let (mut tp, mut fp, mut area) = (0.0, 0.0, 0.0);
    let mut points = vec![(0.0, 0.0)];
    for (more_tp, more_fp) in steps(truth, scores) {
        area += more_fp * (tp + more_tp / 2.0);
        tp += more_tp;
        fp += more_fp;
        points.push((fp / negatives, tp / positives));
    }
    Some((points, area / (positives * negatives)))
}

/// Returns the precision-recall curve as steps, (recall, precision), and average precision
/// Σ (Rₙ − Rₙ₋₁) Pₙ. None without a positive.
pub(crate) fn precision_recall(truth: &[bool], scores: &[f64]) -> Option<(Points, f64)> {
    let positives = truth.iter().filter(|truth| **truth).count() as f64;
    if positives == 0.0 {
        return None;
    }
    let (mut tp, mut fp, mut area) = (0.0, 0.0, 0.0);
    let mut points = Vec::new();
    for (more_tp, more_fp) in steps(truth, scores) {
        let before = tp / positives;
        tp += more_tp;
        fp += more_fp;
        let (recall, precision) = (tp / positives, tp / (tp + fp));
        area += (recall - before) * precision;
        if recall > before {
            points.extend([(before, precision), (recall, precision)]);
        }
    }
    Some((points, area))
}

/// Divides images by their score into at most `bins` groups of about equal size. Equal scores stay
/// together.
pub(crate) fn calibration(truth: &[bool], scores: &[f64], bins: usize) -> Vec<Bin> {
    let mut order: Vec<(f64, bool)> = scores.iter().copied().zip(truth.iter().copied()).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut answer = Vec::new();
    let mut begin = 0;
    for bin in 1..=bins {
        let mut end = (order.len() * bin / bins).max(begin);
        while end > begin && end < order.len() && order[end].0 == order[end - 1].0 {
            end += 1;
        }
        let group = &order[begin..end];
        if !group.is_empty() {
            answer.push(Bin {
                score: group.iter().map(|(score, _)| score).sum::<f64>() / group.len() as f64,
                positives: group.iter().filter(|(_, truth)| *truth).count() as u64,
                images: group.len() as u64,
            });
        }
        begin = end;
    }
    answer
}

/// Wilson's 95 % score interval (1927) of `part` in `whole`; `part` may be a mean over trials.
pub(crate) fn wilson(part: f64, whole: f64) -> Option<[f64; 2]> {
    if whole <= 0.0 {
        return None;
    }
    let p = part / whole;
    let scale = 1.0 + Z * Z / whole;
    let centre = p + Z * Z / (2.0 * whole);
    let half = Z * (p * (1.0 - p) / whole + Z * Z / (4.0 * whole * whole)).sqrt();
    Some([((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0)])
}

/// Shares of `scores` in `bins` equal bins of 0…1; the last holds 1.
pub(crate) fn histogram(scores: impl Iterator<Item = f64>, bins: usize) -> Vec<f64> {
    let mut counts = vec![0.0; bins];
    let mut total = 0.0;
    for score in scores {
        counts[((score * bins as f64) as usize).min(bins - 1)] += 1.0;
        total += 1.0;
    }
    counts.into_iter().map(|count| if total > 0.0 { count / total } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRUTH: [bool; 8] = [true, false, true, false, false, true, false, false];
    const SCORES: [f64; 8] = [0.9, 0.8, 0.7, 0.7, 0.4, 0.3, 0.2, 0.1];

    #[test]
    fn areas_equal_those_of_scikit_learn() {
        // Of the 15 pairs, 10 are in order and 1 is tied: sklearn.metrics.roc_auc_score gives 0.7.
        let (points, area) = roc(&TRUTH, &SCORES).unwrap();
        assert!((area - 0.7).abs() < 1e-12, "{area}");
        assert_eq!((points[0], points[points.len() - 1]), ((0.0, 0.0), (1.0, 1.0)));
        // sklearn.metrics.average_precision_score: (1/1 + 2/4 + 3/6) / 3.
        let (points, area) = precision_recall(&TRUTH, &SCORES).unwrap();
        assert!((area - 2.0 / 3.0).abs() < 1e-12, "{area}");
        assert_eq!(points[0], (0.0, 1.0));
        assert_eq!(points[points.len() - 1], (1.0, 0.5));
    }

    #[test]
    fn curves_without_a_class_are_undefined() {
        assert_eq!(roc(&[true, true], &[0.1, 0.2]), None);
        assert_eq!(roc(&[false, false], &[0.1, 0.2]), None);
        assert_eq!(precision_recall(&[false], &[0.1]), None);
        assert_eq!(roc(&[], &[]), None);
        assert_eq!(Confusion::of(&[false], &[0.9], 0.5).sensitivity(), None);
        assert_eq!(wilson(0.0, 0.0), None);
    }

    #[test]
    fn a_score_at_the_threshold_is_not_predicted() {
        let counts = Confusion::of(&TRUTH, &SCORES, 0.7);
        assert_eq!(counts, Confusion { tp: 1.0, fp: 1.0, fn_: 2.0, tn: 4.0 });
        assert_eq!((counts.sensitivity(), counts.specificity()), (Some(1.0 / 3.0), Some(0.8)));
    }

    #[test]
    fn wilson_equals_a_published_example() {
        // 13 of 17: statsmodels proportion_confint(13, 17, method="wilson") = 0.527382, 0.904450.
        let [low, high] = wilson(13.0, 17.0).unwrap();
        assert!((low - 0.527_382).abs() < 1e-6 && (high - 0.904_450).abs() < 1e-6, "{low} {high}");
    }

    proptest! {
        #[test]
        fn groups_of_calibration_hold_every_image_once(
            pairs in prop::collection::vec((any::<bool>(), 0_u8..20), 0..200), bins in 1_usize..12
        ) {
            let truth: Vec<bool> = pairs.iter().map(|p| p.0).collect();
            let scores: Vec<f64> = pairs.iter().map(|p| f64::from(p.1) / 20.0).collect();
            let groups = calibration(&truth, &scores, bins);
            prop_assert!(groups.len() <= bins);
            prop_assert_eq!(groups.iter().map(|b| b.images).sum::<u64>(), truth.len() as u64);
            prop_assert_eq!(
                groups.iter().map(|b| b.positives).sum::<u64>(),
                truth.iter().filter(|t| **t).count() as u64
            );
            prop_assert!(groups.is_sorted_by(|a, b| a.score < b.score), "equal scores stay together");
        }

        #[test]
        fn turning_the_scores_round_turns_the_area_round(
            pairs in prop::collection::vec((any::<bool>(), 0_u8..20), 2..100)
        ) {
            let truth: Vec<bool> = pairs.iter().map(|p| p.0).collect();
            let scores: Vec<f64> = pairs.iter().map(|p| f64::from(p.1)).collect();
            let turned: Vec<f64> = scores.iter().map(|s| -s).collect();
            if let (Some((points, area)), Some((_, turned))) = (roc(&truth, &scores), roc(&truth, &turned)) {
                prop_assert!((area + turned - 1.0).abs() < 1e-12);
                prop_assert!(points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1));
            }
        }
    }
}
