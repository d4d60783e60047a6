//! Confusion counts, and metrics that are functions of them.

use std::ops::AddAssign;

use nashost_plugin_api::{
    component::PluginResult,
    dataset::Target,
    metric::{Direction, MetricReport, MetricValue, OutputInfo, Predictions},
};

use crate::{
    input::check,
    report::{Defined, insert_labels, label_outputs, overall, ratio, supported},
};

/// Confusion counts of assessed labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// True positives.
    pub(crate) tp: u64,
    /// False positives.
    pub(crate) fp: u64,
    /// True negatives.
    pub(crate) tn: u64,
    /// False negatives.
    pub(crate) fneg: u64,
}

impl Counts {
    pub(crate) fn positives(self) -> u64 {
        self.tp + self.fneg
    }

    pub(crate) fn negatives(self) -> u64 {
        self.tn + self.fp
    }

    pub(crate) fn predicted_positives(self) -> u64 {
        self.tp + self.fp
    }

    pub(crate) fn predicted_negatives(self) -> u64 {
        self.tn + self.fneg
    }

    pub(crate) fn correct(self) -> u64 {
        self.tp + self.tn
    }

    pub(crate) fn total(self) -> u64 {
        self.positives() + self.negatives()
    }

    fn add(&mut self, predicted: bool, target: Target) {
        let count = match (predicted, target) {
            (_, Target::NotAssessed) => return,
            (true, Target::Positive) => &mut self.tp,
            (true, Target::Negative) => &mut self.fp,
            (false, Target::Negative) => &mut self.tn,
            (false, Target::Positive) => &mut self.fneg,
        };
        *count += 1;
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.tp += other.tp;
        self.fp += other.fp;
        self.tn += other.tn;
        self.fneg += other.fneg;
    }
}

/// Confusion counts of predictions, from one pass over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Confusion {
    /// One per label, over the images.
    pub(crate) labels: Vec<Counts>,
    /// One per image with an assessed label, over its labels.
    pub(crate) images: Vec<Counts>,
}

impl Confusion {
    /// Counts `predictions`.
    ///
    /// # Errors
    ///
    /// Fails if they are malformed.
    pub(crate) fn of(predictions: &Predictions<'_>) -> PluginResult<Self> {
        check(predictions)?;
        let mut labels = vec![Counts::default(); predictions.labels];
        let mut images = Vec::with_capacity(predictions.len());
        for image in 0..predictions.len() {
            let mut counts = Counts::default();
            for (label, column) in labels.iter_mut().enumerate() {
                let (predicted, target) =
                    (predictions.predicted(image, label), predictions.target(image, label));
                column.add(predicted, target);
                counts.add(predicted, target);
            }
            if counts.total() > 0 {
                images.push(counts);
            }
        }
        Ok(Self { labels, images })
    }

    /// The counts of all labels together.
    pub(crate) fn pooled(&self) -> Counts {
        let mut sum = Counts::default();
        self.labels.iter().for_each(|&counts| sum += counts);
        sum
    }

    /// The share of images whose assessed labels are all right.
    pub(crate) fn subset_accuracy(&self) -> MetricValue {
        let images = self.images.len() as u64;
        let right = self.images.iter().filter(|counts| counts.correct() == counts.total()).count();
        supported(ratio(right as u64, images, "no image has an assessed label"), images)
    }
}

/// Averages that a metric has besides the macro mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Averages {
    /// None.
    Macro,
    /// The value of the pooled counts.
    Micro,
    /// That, and the mean over the images of the value of each image's labels.
    Samples,
}

/// A metric that is a function of confusion counts. Higher is better.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountMetric {
    /// Name of the value per label.
    pub(crate) name: &'static str,
    /// The formula in a sentence.
    pub(crate) formula: &'static str,
    /// The formula.
    pub(crate) value: fn(Counts) -> Defined,
    /// Further averages.
    pub(crate) averages: Averages,
}

impl CountMetric {
    /// Describes what [`CountMetric::evaluate`] answers.
    pub(crate) fn outputs(&self) -> Vec<OutputInfo> {
        let &Self { name, formula, averages, .. } = self;
        let mut outputs = label_outputs(name, Direction::Higher, formula);
        if averages >= Averages::Micro {
            outputs.push(overall(
                format!("micro_{name}"),
                Direction::Higher,
                format!("Over the pooled counts of all labels: {formula}"),
            ));
        }
        if averages >= Averages::Samples {
            outputs.push(overall(
                format!("samples_{name}"),
                Direction::Higher,
                format!("Mean over the images, each over its own labels, of: {formula}"),
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
        Ok(self.report(&Confusion::of(predictions)?))
    }

    /// Computes the metric from counts.
    pub(crate) fn report(&self, confusion: &Confusion) -> MetricReport {
        let &Self { name, value, averages, .. } = self;
        let mut report = MetricReport::default();
        let labels = confusion.labels.iter().map(|&c| supported(value(c), c.positives())).collect();
        insert_labels(&mut report, name, labels);
        if averages >= Averages::Micro {
            let micro = supported(value(confusion.pooled()), confusion.images.len() as u64);
            report.overall.insert(format!("micro_{name}"), micro);
        }
        if averages >= Averages::Samples {
            report.overall.insert(format!("samples_{name}"), samples_mean(confusion, value));
        }
        report
    }
}

/// Returns the mean over the images where `value` is defined; its support is their number.
fn samples_mean(confusion: &Confusion, value: fn(Counts) -> Defined) -> MetricValue {
    let images = &confusion.images;
    if confusion.labels.len() < 2 {
        // As scikit-learn refuses it: an image with a single label is either right or wrong.
        return MetricValue::undefined(0, "a mean over images needs at least two labels");
    }
    let (mut sum, mut defined, mut reason) = (0.0, 0, "no image has an assessed label");
    for &counts in images {
        match value(counts) {
            Ok(value) => {
                sum += value;
                defined += 1;
            }
            Err(why) => reason = why,
        }
    }
    let left_out = images.len() as u64 - defined;
    if defined == 0 {
        return MetricValue::undefined(0, format!("undefined for every image: {reason}"));
    }
    MetricValue {
        why: (left_out > 0).then(|| format!("leaves out images: {left_out} ({reason})")),
        ..MetricValue::new(sum / defined as f64, defined)
    }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::dataset::Target::{Negative, NotAssessed, Positive};

    use super::*;

    #[test]
    fn labels_not_assessed_count_nowhere() {
        let predictions = Predictions {
            labels: 2,
            scores: &[0.9, 0.9, 0.1, 0.1, 0.5, 0.9],
            targets: &[Positive, NotAssessed, NotAssessed, NotAssessed, Positive, Negative],
            thresholds: &[0.5, 0.5],
        };
        let confusion = Confusion::of(&predictions).unwrap();
        // A score equal to the threshold is not a prediction.
        assert_eq!(confusion.labels[0], Counts { tp: 1, fneg: 1, ..Counts::default() });
        assert_eq!(confusion.labels[1], Counts { fp: 1, ..Counts::default() });
        assert_eq!(confusion.images.len(), 2, "an image without assessed labels is skipped");
        assert_eq!(confusion.pooled(), Counts { tp: 1, fp: 1, tn: 0, fneg: 1 });
        assert_eq!(confusion.subset_accuracy(), MetricValue::new(0.5, 2));
    }

    #[test]
    fn means_over_images_say_how_many_they_leave_out() {
        let right = Counts { tp: 1, ..Counts::default() };
        let value = |c: Counts| ratio(c.tp, c.positives(), "no positives");
        let empty = Counts { tn: 1, ..Counts::default() };
        let mean = |labels: usize, images: &[Counts]| {
            let labels = vec![Counts::default(); labels];
            samples_mean(&Confusion { labels, images: images.to_vec() }, value)
        };
        let two_of_three = mean(2, &[right, empty, right]);
        assert_eq!((two_of_three.value, two_of_three.support), (Some(1.0), 2));
        assert_eq!(two_of_three.why.as_deref(), Some("leaves out images: 1 (no positives)"));
        assert_eq!(mean(2, &[empty]).value, None);
        assert_eq!(mean(1, &[right]).value, None, "one label is no label set");
    }
}
