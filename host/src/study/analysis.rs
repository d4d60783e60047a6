//! Statistics of the methods on one dataset.

use nashost_plugin_api::metric::Direction;
use nashost_stats::{
    bootstrap::Settings,
    comparison::{self, Plan, Report, Sample, sentences},
    proxy::{self, Worth},
};

use super::{
    config::StudyConfig,
    summary::{Made, MethodResult},
};
use crate::statistics::structures_by;

/// Resamples of structures behind the intervals of rank correlations.
const RESAMPLES: usize = 2000;
/// Level of all intervals.
const LEVEL: f64 = 0.95;

/// Compares each method and control with each other by the selecting metric on the test part. The family of
/// tests is all pairs.
pub(super) fn compare(
    study: &StudyConfig,
    direction: Direction,
    methods: &[MethodResult],
    made: &[&Made],
) -> (Option<Report>, Vec<String>) {
    let samples: Vec<Sample> = methods
        .iter()
        .map(|method| {
            let of_method = made.iter().filter(|made| made.is_of(method));
            let results =
                of_method.filter_map(|made| Some((Some(made.counterpart()), tested(study, made)?))).collect();
            Sample { method: method.method.clone(), results }
        })
        .filter(|sample| !sample.results.is_empty())
        .collect();
    let plan = Plan { higher_is_better: direction == Direction::Higher, ..Plan::default() };
    match comparison::compare(&samples, &plan) {
        Ok(report) => {
            let words = sentences(&report, &plan);
            (Some(report), words)
        }
        Err(error) => (None, vec![error.to_string()]),
    }
}

/// Correlates proxies and sizes of all structures that were trained with the selecting metric on the test
/// part, averaged over the runs of a structure.
pub(super) fn proxies(study: &StudyConfig, made: &[&Made]) -> Vec<Worth> {
    let states = made.iter().map(|made| &made.state);
    let structures = structures_by(states, &study.select.metric);
    let settings = Settings { resamples: RESAMPLES, seed: 0 };
    // Columns of one table have one length and the settings are sound, which is all that could be refused.
    proxy::check(&structures, LEVEL, settings).unwrap_or_default()
}

fn tested(study: &StudyConfig, made: &Made) -> Option<f64> {
    made.trial()?.test()?.test.overall.get(&study.select.metric)?.value
}
