//! What predictions must satisfy before anything is computed.

use nashost_plugin_api::metric::Predictions;

/// Malformed predictions. Images and labels are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// There is no label to judge.
    #[error("predictions have no labels")]
    NoLabels,
    /// The arrays do not fit together.
    #[error(
        "{labels} labels need scores and targets of one size, a multiple of {labels}, and {labels} \
         thresholds; there are {scores} scores, {targets} targets and {thresholds} thresholds"
    )]
    Shape {
        /// Number of labels.
        labels: usize,
        /// Number of scores.
        scores: usize,
        /// Number of targets.
        targets: usize,
        /// Number of thresholds.
        thresholds: usize,
    },
    /// A score is not a probability.
    #[error("score of image {image}, label {label} is {score}, not in 0…1 ({count} such scores)")]
    Score {
        /// Image of the first bad score.
        image: usize,
        /// Label of the first bad score.
        label: usize,
        /// The first bad score.
        score: f64,
        /// Number of bad scores.
        count: usize,
    },
    /// A threshold is not a number.
    #[error("threshold of label {label} is NaN")]
    Threshold {
        /// The label.
        label: usize,
    },
}

/// Checks sizes, scores and thresholds. Scores of labels that were not assessed are checked too: a
/// model that answers NaN is broken wherever it does.
///
/// # Errors
///
/// Fails with the first kind of problem found.
pub(crate) fn check(predictions: &Predictions<'_>) -> Result<(), InputError> {
    let &Predictions { labels, scores, targets, thresholds } = predictions;
    if labels == 0 {
        return Err(InputError::NoLabels);
    }
    if scores.len() != targets.len() || !scores.len().is_multiple_of(labels) || thresholds.len() != labels {
        return Err(InputError::Shape {
            labels,
            scores: scores.len(),
            targets: targets.len(),
            thresholds: thresholds.len(),
        });
    }
    if let Some(label) = thresholds.iter().position(|t| t.is_nan()) {
        return Err(InputError::Threshold { label });
    }
    let mut bad = scores.iter().enumerate().filter(|(_, score)| !(0.0..=1.0).contains(*score));
    match bad.next() {
        None => Ok(()),
        Some((at, &score)) => {
            Err(InputError::Score { image: at / labels, label: at % labels, score, count: 1 + bad.count() })
        }
    }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::dataset::Target::{Negative, NotAssessed, Positive};

    use super::*;

    #[test]
    fn a_bad_score_is_named_even_where_nobody_assessed_the_label() {
        let predictions = Predictions {
            labels: 2,
            scores: &[0.1, 0.2, 0.3, f64::NAN, 1.5, 0.0],
            targets: &[Positive, Negative, Positive, NotAssessed, Positive, Negative],
            thresholds: &[0.5, 0.5],
        };
        let error = check(&predictions).unwrap_err();
        assert_eq!(error.to_string(), "score of image 1, label 1 is NaN, not in 0…1 (2 such scores)");
    }

    #[test]
    fn sizes_must_fit() {
        let good = Predictions { labels: 1, scores: &[0.1], targets: &[Positive], thresholds: &[0.5] };
        assert_eq!(check(&good), Ok(()));
        for bad in [
            Predictions { scores: &[0.1, 0.2], ..good },
            Predictions { thresholds: &[], ..good },
            Predictions { labels: 2, thresholds: &[0.5, 0.5], ..good },
        ] {
            assert!(matches!(check(&bad), Err(InputError::Shape { .. })), "{bad:?}");
        }
        assert_eq!(check(&Predictions { labels: 0, thresholds: &[], ..good }), Err(InputError::NoLabels));
        assert_eq!(
            check(&Predictions { thresholds: &[f64::NAN], ..good }),
            Err(InputError::Threshold { label: 0 })
        );
    }

    #[test]
    fn no_image_is_fine() {
        let empty = Predictions { labels: 2, scores: &[], targets: &[], thresholds: &[0.5, 0.5] };
        assert_eq!(check(&empty), Ok(()));
    }
}
