//! Models compared on the images of one test set: how sure is a difference, given these patients?

use serde::Serialize;

use crate::{
    Result,
    bootstrap::{Bootstrap, Settings, bootstrap},
    delong::AurocDifference,
    error::paired,
    mcnemar::{McNemar, mcnemar},
    rank::Ranks,
};

/// What is true of the images of a test set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truths {
    /// Number of labels, at least one.
    pub labels: usize,
    /// Images × labels, row-major; none where a label was not assessed.
    pub targets: Vec<Option<bool>>,
}

/// What a model says of the same images.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Images × labels, row-major.
    pub scores: Vec<f64>,
    /// One per label: a score above it is a finding.
    pub thresholds: Vec<f64>,
}

/// A metric over all labels that can be resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The share of images of which all assessed labels are right.
    SubsetAccuracy,
    /// The mean of F1 over labels where it is defined.
    MacroF1,
    /// The mean of the area under the ROC curve over labels with both classes.
    MacroAuroc,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SubsetAccuracy, Self::MacroF1, Self::MacroAuroc];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::SubsetAccuracy => "subset_accuracy",
            Self::MacroF1 => "macro_f1",
            Self::MacroAuroc => "macro_auroc",
        }
    }

    /// The endpoint of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|endpoint| endpoint.name() == name)
    }

    /// Returns its value for the images `rows`, which may repeat; none if it is undefined for them.
    pub fn of(self, truths: &Truths, model: &Model, rows: &[usize]) -> Option<f64> {
        match self {
            Self::SubsetAccuracy => {
                let right: Vec<bool> = rows.iter().filter_map(|&row| all_right(truths, model, row)).collect();
                let count = right.iter().filter(|right| **right).count();
                (!right.is_empty()).then(|| count as f64 / right.len() as f64)
            }
            Self::MacroF1 => macro_mean(truths.labels, |label| f1(truths, model, rows, label)),
            Self::MacroAuroc => macro_mean(truths.labels, |label| auroc(truths, model, rows, label)),
        }
    }
}

/// Whether all assessed labels of an image are right; none if no label was assessed.
fn all_right(truths: &Truths, model: &Model, row: usize) -> Option<bool> {
    let labels = 0..truths.labels;
    let mut assessed = labels.filter_map(|label| {
        let at = row * truths.labels + label;
        truths.targets[at].map(|target| target == (model.scores[at] > model.thresholds[label]))
    });
    let first = assessed.next()?;
    Some(first && assessed.all(|right| right))
}

fn macro_mean(labels: usize, value: impl Fn(usize) -> Option<f64>) -> Option<f64> {
    let defined: Vec<f64> = (0..labels).filter_map(value).collect();
    (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
}

/// Scores and targets of a label, of the images where it was assessed.
fn column<'a>(
    truths: &'a Truths,
    model: &'a Model,
    rows: &'a [usize],
    label: usize,
) -> impl Iterator<Item = (f64, bool)> + 'a {
    rows.iter().filter_map(move |&row| {
        let at = row * truths.labels + label;
        truths.targets[at].map(|target| (model.scores[at], target))
    })
}

fn f1(truths: &Truths, model: &Model, rows: &[usize], label: usize) -> Option<f64> {
    let (mut both, mut either) = (0u64, 0u64);
    for (score, target) in column(truths, model, rows, label) {
        let predicted = score > model.thresholds[label];
        both += 2 * u64::from(predicted && target);
        either += u64::from(predicted) + u64::from(target);
    }
    (either > 0).then(|| both as f64 / either as f64)
}

fn auroc(truths: &Truths, model: &Model, rows: &[usize], label: usize) -> Option<f64> {
    let (scores, targets): (Vec<f64>, Vec<bool>) = column(truths, model, rows, label).unzip();
    let ranks = Ranks::of(&scores).ranks;
    let positives = targets.iter().filter(|target| **target).count() as f64;
    let negatives = targets.len() as f64 - positives;
    let sum: f64 = ranks.iter().zip(&targets).filter(|(_, target)| **target).map(|(rank, _)| rank).sum();
    (positives > 0.0 && negatives > 0.0)
        .then(|| (sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// Resamples `clusters` of images and computes the difference of the means of two methods over their
/// models, each model on the same images.
///
/// # Errors
///
/// As [`bootstrap`].
pub fn difference(
    truths: &Truths,
    clusters: &[Vec<usize>],
    endpoint: Endpoint,
    [first, second]: [&[Model]; 2],
    settings: Settings,
) -> Result<Bootstrap> {
    let mean = |models: &[Model], rows: &[usize]| -> Option<f64> {
        let values: Option<Vec<f64>> = models.iter().map(|model| endpoint.of(truths, model, rows)).collect();
        let values = values.filter(|values| !values.is_empty())?;
        Some(values.iter().sum::<f64>() / values.len() as f64)
    };
    bootstrap(clusters, settings, |rows| Some(mean(first, rows)? - mean(second, rows)?))
}

/// Tests whether two models are wholly right on equally many images.
///
/// # Errors
///
/// If the models are of different images.
pub fn subset_mcnemar(truths: &Truths, first: &Model, second: &Model) -> Result<McNemar> {
    paired(first.scores.len(), second.scores.len())?;
    let images = truths.targets.len() / truths.labels;
    let right =
        |model: &Model| (0..images).filter_map(|row| all_right(truths, model, row)).collect::<Vec<_>>();
    mcnemar(&right(first), &right(second))
}

/// Compares the areas under the ROC curves of two models, label by label.
pub fn label_delong(truths: &Truths, first: &Model, second: &Model) -> Vec<Result<AurocDifference>> {
    let images: Vec<usize> = (0..truths.targets.len() / truths.labels).collect();
    let compare = |label| {
        let (a, targets): (Vec<f64>, Vec<bool>) = column(truths, first, &images, label).unzip();
        let b: Vec<f64> = column(truths, second, &images, label).map(|(score, _)| score).collect();
        AurocDifference::of(&a, &b, &targets)
    };
    (0..truths.labels).map(compare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six images, two labels; the second label of the last image was not assessed.
    fn truths() -> Truths {
        let targets = [1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 2];
        Truths { labels: 2, targets: targets.map(|t| (t < 2).then_some(t == 1)).into() }
    }

    fn model(scores: [f64; 12]) -> Model {
        Model { scores: scores.into(), thresholds: vec![0.5, 0.5] }
    }

    fn good() -> Model {
        model([0.9, 0.1, 0.8, 0.7, 0.2, 0.3, 0.6, 0.9, 0.4, 0.5, 0.1, 0.9])
    }

    #[test]
    fn endpoints_are_those_of_the_metrics() {
        let rows: Vec<usize> = (0..6).collect();
        let value = |endpoint: Endpoint| endpoint.of(&truths(), &good(), &rows).unwrap();
        // Images 3 and 4 have a mistake; 0.5 is not above the threshold.
        assert!((value(Endpoint::SubsetAccuracy) - 4.0 / 6.0).abs() < 1e-15);
        // 2·2 / (3 + 3) and 2·2 / (2 + 2).
        assert!((value(Endpoint::MacroF1) - (4.0 / 6.0 + 1.0) / 2.0).abs() < 1e-15);
        // Positives .9 .8 .4 against negatives .2 .6 .1: 8 of 9; .7 .9 against .1 .3 .5: all.
        assert!((value(Endpoint::MacroAuroc) - (8.0 / 9.0 + 1.0) / 2.0).abs() < 1e-15);
        assert_eq!(Endpoint::MacroAuroc.of(&truths(), &good(), &[0, 0]), None, "one class each");
        assert_eq!(Endpoint::SubsetAccuracy.of(&truths(), &good(), &[]), None);
        assert_eq!(Endpoint::named("macro_f1"), Some(Endpoint::MacroF1));
        assert_eq!(Endpoint::named("f1"), None);
    }

    #[test]
    fn a_model_does_not_differ_from_itself() {
        let (truths, good) = (truths(), good());
        let clusters: Vec<Vec<usize>> = vec![vec![0, 1], vec![2], vec![3, 4], vec![5]];
        let models = [std::slice::from_ref(&good), std::slice::from_ref(&good)];
        let found = difference(&truths, &clusters, Endpoint::MacroF1, models, Settings::default()).unwrap();
        assert_eq!((found.estimate, found.percentile(0.95)), (0.0, Ok([0.0, 0.0])));
        assert_eq!(found.p_of_zero(), 1.0);
        let test = subset_mcnemar(&truths, &good, &good).unwrap();
        assert_eq!((test.only_first, test.only_second, test.cases, test.p), (0, 0, 6, 1.0));
        assert!(label_delong(&truths, &good, &good).iter().all(Result::is_err));
    }

    #[test]
    fn a_better_model_is_seen_on_the_same_images() {
        // 40 patients, one image and one label; the second model errs on every fourth.
        let truths = Truths { labels: 1, targets: (0..40).map(|i| Some(i % 2 == 0)).collect() };
        let say = |wrong: fn(usize) -> bool| Model {
            scores: (0..40).map(|i| if (i % 2 == 0) == wrong(i) { 0.1 } else { 0.9 }).collect(),
            thresholds: vec![0.5],
        };
        let (first, second) = (say(|_| false), say(|i| i % 4 == 0));
        let clusters: Vec<Vec<usize>> = (0..40).map(|i| vec![i]).collect();
        let models = [std::slice::from_ref(&first), std::slice::from_ref(&second)];
        let found =
            difference(&truths, &clusters, Endpoint::SubsetAccuracy, models, Settings::default()).unwrap();
        assert_eq!(found.estimate, 0.25);
        let [low, high] = found.percentile(0.95).unwrap();
        // Binomial(40, 1/4) / 40: 5 and 16 of 40 are its percentiles.
        assert!((low - 5.0 / 40.0).abs() <= 0.026 && (high - 16.0 / 40.0).abs() <= 0.026, "{low} {high}");
        assert_eq!(subset_mcnemar(&truths, &first, &second).unwrap().only_first, 10);
    }
}
