//! Statistics of the methods on one dataset.

use std::collections::BTreeMap;

use nashost_stats::{
    bootstrap::Settings,
    comparison::{self, Plan, Report, Sample, sentences},
    proxy::{self, Structures, Worth},
};

use super::{
    config::StudyConfig,
    summary::{Made, MethodResult, mean},
};

/// Resamples of structures behind the intervals of rank correlations.
const RESAMPLES: usize = 2000;
/// Level of all intervals.
const LEVEL: f64 = 0.95;

/// Compares each method and control with each other by the selecting metric on the test part. The family of
/// tests is all pairs.
pub(super) fn compare(
    study: &StudyConfig,
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
    let plan = Plan::default();
    match comparison::compare(&samples, &plan) {
        Ok(report) => {
            let words = sentences(&report, &plan);
            (Some(report), words)
        }
        Err(error) => (None, vec![error.to_string()]),
    }
}

/// What is known of one structure.
#[derive(Default)]
struct Known<'a> {
    /// Result of each of its runs.
    trained: Vec<f64>,
    /// Parameters and multiply-adds.
    sizes: [f64; 2],
    proxies: BTreeMap<&'a str, Option<f64>>,
}

/// Correlates proxies and sizes of all structures that were trained with the selecting metric on the test
/// part, averaged over the runs of a structure.
pub(super) fn proxies(study: &StudyConfig, made: &[&Made]) -> Vec<Worth> {
    let mut known: BTreeMap<&str, Known<'_>> = BTreeMap::new();
    for made in made {
        let architecture = made.trial().and_then(|trial| made.state.architectures.get(&trial.architecture));
        let Some((architecture, value)) = architecture.zip(tested(study, made)) else { continue };
        let entry = known.entry(&architecture.id).or_default();
        entry.trained.push(value);
        entry.sizes = [architecture.params as f64, architecture.macs as f64];
        entry.proxies.extend(architecture.scores.iter().map(|(name, score)| (name.as_str(), score.value)));
    }
    let mut names: Vec<&str> = known.values().flat_map(|known| known.proxies.keys().copied()).collect();
    names.sort_unstable();
    names.dedup();
    let column =
        |name: &str| known.values().map(|known| known.proxies.get(name).copied().flatten()).collect();
    let size = |index: usize| known.values().map(|known| known.sizes[index]).collect();
    let structures = Structures {
        trained: known.values().filter_map(|known| mean(&known.trained)).collect(),
        proxies: names.into_iter().map(|name| (name.to_owned(), column(name))).collect(),
        sizes: BTreeMap::from([("params".to_owned(), size(0)), ("macs".to_owned(), size(1))]),
    };
    let settings = Settings { resamples: RESAMPLES, seed: 0 };
    // Columns of one table have one length, which is all that could be refused.
    proxy::check(&structures, LEVEL, settings).unwrap_or_default()
}

fn tested(study: &StudyConfig, made: &Made) -> Option<f64> {
    made.trial()?.test()?.test.overall.get(&study.select.metric)?.value
}
