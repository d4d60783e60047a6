//! Which runs of two methods belong together.

use std::collections::BTreeMap;

use super::Sample;

/// Values of two samples as they are compared.
pub(super) struct Matching {
    /// Of the first, in the order of the pairs if there are any.
    pub(super) x: Vec<f64>,
    /// Of the second.
    pub(super) y: Vec<f64>,
    /// Whether they are pairs.
    pub(super) paired: bool,
    /// Runs of each without a counterpart, if the others are pairs.
    pub(super) left_out: [usize; 2],
}

impl Matching {
    /// Pairs the runs of `a` and `b` whose key both have, if each run has a key of its own, and these are
    /// at least two pairs and half of the larger sample. A run that failed then costs its pair, not the
    /// pairing. Otherwise all runs count, as independent ones.
    pub(super) fn of(a: &Sample, b: &Sample) -> Self {
        let unpaired = || Self { x: a.values(), y: b.values(), paired: false, left_out: [0, 0] };
        pairs(a, b).unwrap_or_else(unpaired)
    }
}

/// Tells of runs without a counterpart, if there are any.
pub(super) fn left_out(runs: [usize; 2]) -> Option<String> {
    match runs.iter().sum() {
        0 => None,
        1 => Some("1 run has no counterpart and is left out".to_owned()),
        runs => Some(format!("{runs} runs have no counterpart and are left out")),
    }
}

fn pairs(a: &Sample, b: &Sample) -> Option<Matching> {
    let (of_a, of_b) = (keyed(a)?, keyed(b)?);
    let common = of_a.iter().filter_map(|(key, x)| Some((*x, *of_b.get(key)?)));
    let (x, y): (Vec<f64>, Vec<f64>) = common.unzip();
    let enough = x.len() > 1 && 2 * x.len() >= of_a.len().max(of_b.len());
    let left_out = [of_a.len() - x.len(), of_b.len() - x.len()];
    enough.then_some(Matching { x, y, paired: true, left_out })
}

/// Values by key, if each has one of its own.
fn keyed(sample: &Sample) -> Option<BTreeMap<&str, f64>> {
    let keyed: Option<BTreeMap<&str, f64>> =
        sample.results.iter().map(|(key, value)| Some((key.as_deref()?, *value))).collect();
    keyed.filter(|keyed| keyed.len() == sample.results.len())
}
