//! Which structures of a search are trained, and with what values they are recorded.

use std::collections::BTreeMap;

use nashost_plugin_api::{
    architecture::{Geometry, Spec},
    component::Kind,
    metric::Score,
    strategy::Ranked,
};

use super::{CHANNELS, Session, portable, search::Searcher};
use crate::{
    error::Result,
    run::events::{self, Candidate, PortableArchitecture, RunEvent},
};

impl Session<'_> {
    /// Sizes of the networks that are trained.
    pub(super) fn geometry(&self) -> Geometry {
        let side = self.config.train.resolution;
        Geometry { input: [CHANNELS, side, side], outputs: self.prepared.store.labels() }
    }

    /// Describes a structure as it is trained, without values.
    pub(super) fn structure(&self, spec: Spec) -> Result<PortableArchitecture> {
        let space = self.architecture_ref.clone();
        let version = self.host.registry.version(Kind::Architecture, &space.id)?;
        portable(self.architecture, space, version, spec, self.geometry(), BTreeMap::new())
    }

    /// Returns the first `search.top` of `ranked` whose networks differ, and warns if there are fewer.
    ///
    /// Their values are those of the search's metric, as the record has them: a strategy may rank by a value
    /// of its own. One that learns from images is itself what values.
    pub(super) fn chosen(
        &mut self,
        searcher: &Searcher<'_>,
        ranked: Vec<Ranked>,
    ) -> Result<Vec<PortableArchitecture>> {
        let top = self.config.search.as_ref().map_or(1, |search| search.top.max(1));
        let id = searcher.metric_id().to_owned();
        let mut chosen: Vec<PortableArchitecture> = Vec::new();
        for Ranked { spec, value, .. } in ranked {
            if chosen.len() == top {
                break;
            }
            let mut structure = self.structure(spec)?;
            if searcher.learns() {
                structure.scores.extend(score(&[value]).map(|score| (id.clone(), score)));
            }
            if chosen.iter().all(|known| known.id != structure.id) {
                chosen.push(structure);
            }
        }
        if chosen.len() < top {
            self.warn(format!(
                "`search.top` is {top}, but the search recommends only {} different networks",
                chosen.len()
            ))?;
        }
        if !searcher.learns() {
            let specs: Vec<Spec> = chosen.iter().map(|structure| structure.spec.clone()).collect();
            let log = self.recorder.dir().file(events::FILE);
            for (structure, values) in chosen.iter_mut().zip(told(&specs, events::candidates(&log)?)?) {
                structure.scores.extend(score(&values).map(|score| (id.clone(), score)));
            }
        }
        Ok(chosen)
    }

    /// Warns, and records the warning unless it is recorded.
    fn warn(&mut self, message: String) -> Result<()> {
        tracing::warn!("{message}");
        if self.recorder.state().warnings.contains(&message) {
            return Ok(());
        }
        self.recorder.record(RunEvent::Warning { message })
    }
}

/// Returns the values that the metric gave each of `specs`.
fn told(specs: &[Spec], candidates: impl Iterator<Item = Result<Candidate>>) -> Result<Vec<Vec<f64>>> {
    let mut told = vec![Vec::new(); specs.len()];
    for candidate in candidates {
        let Candidate { spec, value, .. } = candidate?;
        if let Some(place) = specs.iter().position(|known| *known == spec) {
            told[place].extend(value.filter(|value| value.is_finite()));
        }
    }
    Ok(told)
}

/// The mean of `values`; nothing if there are none. Seconds are left to the candidates: what is said of a
/// structure is the same in a repetition of the run.
fn score(values: &[f64]) -> Option<Score> {
    let n = values.len() as f64;
    let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / n)?;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    let spread = (values.len() > 1).then(|| variance.sqrt());
    Some(Score { value: Some(mean), spread, repeats: values.len() as u32, seconds: 0.0, why: None })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::testing;

    #[test]
    fn a_structure_is_recorded_with_the_mean_of_what_the_metric_said_of_it() {
        let candidate =
            |id, spec: &str, value| Ok(Candidate { spec: json!(spec), value, ..testing::candidate(id, 0.0) });
        let candidates = [
            candidate(0, "a", Some(1.0)),
            candidate(1, "b", Some(7.0)),
            candidate(2, "a", Some(4.0)),
            candidate(3, "a", None),
            candidate(4, "c", None),
        ];
        let specs = ["a", "c", "never proposed", "b"].map(|spec| json!(spec));
        let told = told(&specs, candidates.into_iter()).unwrap();
        assert_eq!(told, [vec![1.0, 4.0], vec![], vec![], vec![7.0]]);
        let scores: Vec<_> = told.iter().map(|values| score(values)).collect();
        let parts = |score: &Option<Score>| score.as_ref().map(|s| (s.value, s.spread, s.repeats));
        assert_eq!(parts(&scores[0]), Some((Some(2.5), Some(1.5), 2)));
        assert_eq!((&scores[1], &scores[2]), (&None, &None), "no value of the metric, none recorded");
        assert_eq!(parts(&scores[3]), Some((Some(7.0), None, 1)));
    }
}
