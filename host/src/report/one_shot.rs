//! What a one-shot search tells the report: kinds of steps from the record, the rest in its own words.

use nashost_report::data::{AttributedOperation, Attribution, Count, Phase};
use serde::Deserialize;

use crate::run::state::SearchState;

/// Key of the details of a one-shot search that holds what the report shows of them.
const REPORT: &str = "report";

/// What a strategy may put there; `docs/plugin-author.md` describes it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Told {
    pub(super) attributions: Vec<Attribution>,
    pub(super) counts: Vec<Count>,
}

/// Reads what the strategy tells, which may be nothing; an error says why it cannot be shown.
pub(super) fn told(search: &SearchState) -> Result<Told, String> {
    let report = search.details.as_ref().and_then(|details| details.get(REPORT));
    let told = report.map(Told::deserialize).transpose();
    let told = told.map_err(|why| format!("what the search tells the report is not drawn: {why}"))?;
    let told = told.unwrap_or_default();
    for attribution in &told.attributions {
        let steps = attribution.steps.len();
        let fits = |numbers: &[f64]| numbers.len() == steps;
        let is_whole = |operation: &AttributedOperation| {
            fits(&operation.values)
                && (operation.standard_errors.is_empty() || fits(&operation.standard_errors))
        };
        if !attribution.operations.iter().all(is_whole) {
            return Err(format!(
                "`{}` of the search is not drawn: not every step has its value",
                attribution.title
            ));
        }
    }
    Ok(told)
}

/// Kinds of steps in the order of their first, with the seconds of each.
pub(super) fn phases(search: &SearchState) -> Vec<Phase> {
    let mut phases: Vec<Phase> = Vec::new();
    for step in &search.steps {
        let place = phases.iter().position(|phase| phase.name == step.phase).unwrap_or_else(|| {
            phases.push(Phase { name: step.phase.clone(), ..Phase::default() });
            phases.len() - 1
        });
        phases[place].steps += 1;
        phases[place].seconds += step.seconds;
    }
    phases
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::{state::State, testing};

    fn search() -> SearchState {
        let records: Vec<_> = testing::one_shot()
            .into_iter()
            .zip(1..)
            .map(|(event, seq)| testing::record(seq, event))
            .collect();
        State::fold(&records).unwrap().search.unwrap()
    }

    #[test]
    fn steps_are_summed_by_kind() {
        let phases = phases(&search());
        assert_eq!(phases, [Phase { name: "weights".to_owned(), steps: 2, seconds: 3.0 }]);
    }

    #[test]
    fn what_the_strategy_tells_is_taken_or_refused_with_the_reason() {
        let mut search = search();
        assert_eq!(told(&search), Ok(Told::default()), "it need not tell anything");
        let report = |values: &[f64]| {
            let operation = json!({"edge": "0 → 2", "operation": "skip", "values": values});
            Some(json!({"report": {"attributions": [
                {"title": "cell", "steps": [1.0, 2.0], "operations": [operation]}
            ], "counts": [{"name": "images", "count": 3}]}}))
        };
        search.details = report(&[0.5, 0.25]);
        let found = told(&search).unwrap();
        assert_eq!(found.attributions[0].operations[0].values, [0.5, 0.25]);
        assert_eq!(found.counts[0].count, 3);
        search.details = report(&[0.5]);
        assert!(told(&search).unwrap_err().contains("`cell`"));
        search.details = Some(json!({"report": {"atributions": []}}));
        assert!(told(&search).unwrap_err().contains("`atributions`"));
    }
}
