//! Measuring a method on some of the test images.

use std::collections::BTreeMap;

use crate::{
    curve::{self, Confusion},
    data::{LabelScores, Subgroup, Value},
};

impl Subgroup {
    /// Measures `method` of `run` on the images of a group: `trials` holds, for each trained network, the
    /// predictions of each label on these images.
    ///
    /// `macro_auroc` is the mean over the labels that have both classes in the group; `micro_recall` and
    /// `micro_specificity` count the decisions of all labels together.
    pub fn measure(
        attribute: &str,
        group: &str,
        method: &str,
        run: &str,
        trials: &[Vec<LabelScores>],
    ) -> Self {
        let first = trials.first().map(Vec::as_slice).unwrap_or_default();
        let positives = first.iter().flat_map(|label| &label.truth).filter(|truth| **truth).count();
        let decisions = |labels: &Vec<LabelScores>| {
            let counts = labels.iter().map(|l| Confusion::of(&l.truth, &l.scores, l.threshold));
            counts.reduce(|a, b| Confusion {
                tp: a.tp + b.tp,
                fp: a.fp + b.fp,
                fn_: a.fn_ + b.fn_,
                tn: a.tn + b.tn,
            })
        };
        let auroc = trials.iter().map(|labels| {
            let areas: Vec<f64> =
                labels.iter().filter_map(|l| Some(curve::roc(&l.truth, &l.scores)?.1)).collect();
            mean(&areas)
        });
        let of = |rate: fn(&Confusion) -> Option<f64>| {
            over_seeds(trials.iter().map(|labels| rate(&decisions(labels)?)))
        };
        let values = [
            ("macro_auroc", over_seeds(auroc)),
            ("micro_recall", of(Confusion::sensitivity)),
            ("micro_specificity", of(Confusion::specificity)),
        ];
        Self {
            attribute: attribute.to_owned(),
            group: group.to_owned(),
            method: method.to_owned(),
            run: run.to_owned(),
            images: first.iter().map(|label| label.truth.len()).max().unwrap_or(0) as u64,
            positives: positives as u64,
            values: BTreeMap::from(values.map(|(name, value)| (name.to_owned(), value))),
        }
    }
}

/// Mean and standard deviation (ddof 1) over the trials where the value is defined.
fn over_seeds(values: impl Iterator<Item = Option<f64>>) -> Value {
    let all: Vec<Option<f64>> = values.collect();
    let defined: Vec<f64> = all.iter().copied().flatten().collect();
    let mean = mean(&defined);
    let sd = mean.filter(|_| defined.len() > 1).map(|mean| {
        let squares: f64 = defined.iter().map(|value| (value - mean).powi(2)).sum();
        (squares / (defined.len() - 1) as f64).sqrt()
    });
    let why = defined.is_empty().then(|| "the group has only one class".to_owned());
    Value { mean, sd, why, ..Value::default() }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(truth: &[bool], scores: &[f64]) -> LabelScores {
        LabelScores { label: "a".to_owned(), threshold: 0.5, truth: truth.to_vec(), scores: scores.to_vec() }
    }

    #[test]
    fn values_are_those_of_the_group() {
        let truth = [true, true, false, false];
        let right = vec![label(&truth, &[0.9, 0.8, 0.2, 0.1]), label(&[false; 4], &[0.6, 0.1, 0.1, 0.1])];
        let wrong = vec![label(&truth, &[0.1, 0.2, 0.8, 0.9]), label(&[false; 4], &[0.1; 4])];
        let group = Subgroup::measure("scanner", "A", "m", "7f3a", &[right, wrong]);
        assert_eq!((group.images, group.positives), (4, 2));
        // 1 and 0: the second label has only one class and does not count.
        let auroc = &group.values["macro_auroc"];
        assert_eq!(auroc.mean, Some(0.5));
        assert!((auroc.sd.unwrap() - 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(group.values["micro_recall"].mean, Some(0.5));
        // 5 of 6 and 4 of 6 images without the finding.
        assert!((group.values["micro_specificity"].mean.unwrap() - 4.5 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn a_group_of_one_class_has_no_auroc() {
        let group = Subgroup::measure("scanner", "A", "m", "7f3a", &[vec![label(&[false], &[0.1])]]);
        assert_eq!(group.values["macro_auroc"].mean, None);
        assert_eq!(group.values["micro_recall"].why.as_deref(), Some("the group has only one class"));
        assert_eq!(Subgroup::measure("s", "A", "m", "7f3a", &[]).images, 0);
    }
}
