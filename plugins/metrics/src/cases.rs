//! Scores with their truth, and metrics that are functions of them.

use nashost_plugin_api::{
    component::PluginResult,
    dataset::Target,
    metric::{Direction, MetricReport, OutputInfo, Predictions},
};

use crate::{
    input::check,
    report::{Defined, insert_labels, label_outputs, overall, supported},
};

/// The score of an assessed label on an image, and what is true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Case {
    /// Probability of the finding.
    pub(crate) score: f64,
    /// Whether the finding is present.
    pub(crate) positive: bool,
}

/// Images that share one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tie {
    /// Positives among them.
    pub(crate) positives: u64,
    /// Negatives among them.
    pub(crate) negatives: u64,
}

/// Sorts `cases` by descending score and returns the groups of equal scores.
pub(crate) fn ties(cases: &mut [Case]) -> impl Iterator<Item = Tie> {
    cases.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
    // Equality of values joins 0 and −0, which `total_cmp` puts side by side.
    cases.chunk_by(|a, b| a.score == b.score).map(|group| {
        let positives = group.iter().filter(|case| case.positive).count();
        Tie { positives: positives as u64, negatives: (group.len() - positives) as u64 }
    })
}

/// Returns the numbers of positives and negatives.
pub(crate) fn class_counts(cases: &[Case]) -> (u64, u64) {
    let positives = cases.iter().filter(|case| case.positive).count();
    (positives as u64, (cases.len() - positives) as u64)
}

/// A metric that is a function of cases. Their order does not matter.
pub(crate) struct CaseMetric<'a> {
    /// Name of the value per label.
    pub(crate) name: &'static str,
    /// Which way is better.
    pub(crate) direction: Direction,
    /// The formula in a sentence.
    pub(crate) formula: &'a str,
    /// The formula; may reorder the cases.
    pub(crate) value: &'a dyn Fn(&mut [Case]) -> Defined,
    /// Whether there is a micro average, over the cases of all labels.
    pub(crate) micro: bool,
}

impl CaseMetric<'_> {
    /// Describes what [`CaseMetric::evaluate`] answers.
    pub(crate) fn outputs(&self) -> Vec<OutputInfo> {
        let mut outputs = label_outputs(self.name, self.direction, self.formula);
        if self.micro {
            outputs.push(overall(
                format!("micro_{}", self.name),
                self.direction,
                format!("Over the pooled cases of all labels: {}", self.formula),
            ));
        }
        outputs
    }

    /// Computes the metric.
    ///
    /// # Errors
    ///
    /// Fails if the predictions are malformed.
    pub(crate) fn evaluate(&self, predictions: &Predictions<'_>) -> PluginResult<MetricReport> {
        check(predictions)?;
        let mut report = MetricReport::default();
        let labels = (0..predictions.labels).map(|label| {
            let mut cases: Vec<Case> =
                (0..predictions.len()).filter_map(|image| case(predictions, image, label)).collect();
            let support = class_counts(&cases).0;
            supported((self.value)(&mut cases), support)
        });
        insert_labels(&mut report, self.name, labels.collect());
        if self.micro {
            let (mut cases, mut images) = (Vec::with_capacity(predictions.scores.len()), 0);
            for image in 0..predictions.len() {
                let before = cases.len();
                cases.extend((0..predictions.labels).filter_map(|label| case(predictions, image, label)));
                images += u64::from(cases.len() > before);
            }
            report
                .overall
                .insert(format!("micro_{}", self.name), supported((self.value)(&mut cases), images));
        }
        Ok(report)
    }
}

/// The case of `label` on `image`, if it was assessed.
fn case(predictions: &Predictions<'_>, image: usize, label: usize) -> Option<Case> {
    let score = predictions.scores[image * predictions.labels + label];
    match predictions.target(image, label) {
        Target::Positive => Some(Case { score, positive: true }),
        Target::Negative => Some(Case { score, positive: false }),
        Target::NotAssessed => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_are_one_group_whatever_the_sign_of_zero() {
        let mut cases = [(0.0, true), (0.7, true), (-0.0, false), (0.7, false), (0.7, false)]
            .map(|(score, positive)| Case { score, positive });
        let groups: Vec<Tie> = ties(&mut cases).collect();
        assert_eq!(groups, [Tie { positives: 1, negatives: 2 }, Tie { positives: 1, negatives: 1 }]);
    }
}
