//! What readers of a result must know before they believe it.

use nashost_plugin_api::{
    dataset::Part,
    metric::{Direction, OutputInfo},
};

use super::{HEADLINE, MethodSummary, Summary};
use crate::run::state::State;

/// Shares below this half-width of a 95 % interval are told apart well enough.
const COARSE: f64 = 0.05;
/// Positives below which a label's metrics say little.
const FEW: u64 = 10;

/// What is said of a method with one seed.
pub(crate) const ONE_SEED: &str = "one seed only, so the spread of training is unknown";

pub(super) fn of(summary: &Summary, state: &State) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(small_test(summary));
    warnings.extend(rare_labels(summary, state));
    let metrics = state.started.as_ref().map_or(&[][..], |(_, started)| &started.metrics);
    for method in &summary.methods {
        if method.seeds == 1 {
            warnings.push(format!("{}: {ONE_SEED}", method.method));
        }
        warnings.extend(beaten(method, &summary.baselines, metrics));
    }
    warnings
}

fn small_test(summary: &Summary) -> Option<String> {
    let images = *summary.n.get(&Part::Test)?;
    // Half-width of the normal 95 % interval of a share of 1/2, the widest there is.
    let width = 1.96 * (0.25 / images as f64).sqrt();
    (images > 0 && width > COARSE)
        .then(|| format!("test set has {images} images: differences under ~{width:.2} cannot be resolved"))
}

fn rare_labels(summary: &Summary, state: &State) -> Option<String> {
    let rare: Vec<String> = summary
        .labels
        .iter()
        .enumerate()
        .filter_map(|(index, label)| Some((label, state.positives(Part::Test, index)?)))
        .filter(|(_, positives)| *positives < FEW)
        .map(|(label, positives)| format!("{label} ({positives})"))
        .collect();
    (!rare.is_empty())
        .then(|| format!("labels with fewer than {FEW} positives in the test set: {}", rare.join(", ")))
}

/// One warning per headline metric where a trivial predictor is at least as good, or within the
/// interval of the method.
fn beaten(method: &MethodSummary, baselines: &[MethodSummary], metrics: &[OutputInfo]) -> Vec<String> {
    let compare = |name: &&str| {
        let info = metrics.iter().find(|info| info.name == **name && !info.per_label)?;
        let sign = match info.direction {
            Direction::Higher => 1.0,
            Direction::Lower => -1.0,
        };
        let ours = method.test.get(*name)?;
        let mean = ours.mean?;
        let (trivial, best) = baselines
            .iter()
            .filter_map(|baseline| Some((&baseline.method, baseline.test.get(*name)?.mean?)))
            .max_by(|(_, a), (_, b)| (sign * a).total_cmp(&(sign * b)))?;
        let margin = ours.ci95.map_or(mean, |[low, high]| if sign > 0.0 { low } else { high });
        if sign * mean <= sign * best {
            Some(format!(
                "{}: {name} {mean:.3} is not better than the trivial predictor {trivial} ({best:.3})",
                method.method
            ))
        } else if sign * margin <= sign * best {
            Some(format!(
                "{}: {name} {mean:.3} is not clearly better than the trivial predictor {trivial} ({best:.3}): \
                 the 95 % interval reaches {margin:.3}",
                method.method
            ))
        } else {
            None
        }
    };
    HEADLINE.iter().filter_map(compare).collect()
}
