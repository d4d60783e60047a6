//! Rules for metrics of structures.

use std::cell::Cell;

use super::{
    Bench, ToySpace,
    bench::{Trouble, broken, on_four_threads},
};
use crate::{
    abi::foreign::{CallError, CallErrorKind, ForeignArchitectureMetric},
    metric::{Candidate, Direction, Score, ScoreContext},
    seed::derive_seed,
    strategy::SearchContext as _,
};

/// Structures that are scored.
const CANDIDATES: u64 = 6;

/// Tries every rule on metrics that `make` creates.
pub fn architecture_metric_rules(
    bench: &mut Bench<'_>,
    make: &dyn Fn() -> Result<ForeignArchitectureMetric, CallError>,
) {
    let candidates = candidates();
    let context = ScoreContext { geometry: ToySpace::GEOMETRY, device: "cpu".to_owned() };
    let parallel = Cell::new(false);
    bench.rule("describe", || {
        let metric = make()?;
        let info = metric.describe()?;
        if info != metric.describe()? {
            return broken("two calls answer differently");
        }
        parallel.set(info.parallel);
        Ok(format!("{:?} is better", info.direction))
    });
    let mut expected: Option<Vec<Answer>> = None;
    bench.rule("defined", || {
        let scores = make()?.score(&candidates, &context)?;
        for score in &scores {
            defined(score)?;
        }
        let with_value = scores.iter().filter(|score| score.value.is_some()).count();
        expected = Some(scores.iter().map(answer).collect());
        match (with_value, &scores[0].why) {
            (0, Some(why)) => Err(Trouble::NotTried(format!("no toy network has a value: {why}"))),
            _ => Ok(format!("{with_value} of {} networks have a value", scores.len())),
        }
    });
    let comparable = || match &expected {
        _ if !parallel.get() => Err(Trouble::NotTried("a measured quantity differs each time".to_owned())),
        Some(expected) => Ok(expected),
        None => Err(Trouble::NotTried("it scores nothing".to_owned())),
    };
    bench.rule("seed", || {
        let again = make()?.score(&candidates, &context)?;
        match again.iter().map(answer).eq(comparable()?.iter().cloned()) {
            true => Ok(format!("{CANDIDATES} networks, twice")),
            false => broken("another instance gives the same candidates other scores"),
        }
    });
    bench.rule("neighbours", || {
        let expected = comparable()?;
        let metric = make()?;
        for (index, candidate) in candidates.iter().enumerate().rev() {
            let alone = metric.score(std::slice::from_ref(candidate), &context)?;
            if answer(&alone[0]) != expected[index] {
                return broken(format!("candidate {index} has another score when it is alone"));
            }
        }
        Ok("each network alone, in reverse order".to_owned())
    });
    bench.rule("threads", || {
        let expected = comparable()?;
        let metric = make()?;
        on_four_threads(expected, || Ok(metric.score(&candidates, &context)?.iter().map(answer).collect()))
    });
    bench.rule("nonsense", || {
        let metric = make()?;
        if !metric.score(&[], &context)?.is_empty() {
            return broken("it has scores for no candidates");
        }
        let context = ScoreContext { device: "no-such-device".to_owned(), ..context.clone() };
        match metric.score(&candidates, &context) {
            Err(error) if matches!(error.kind, CallErrorKind::Panicked | CallErrorKind::Poisoned) => {
                broken(error.to_string())
            }
            // What is counted from the graph needs no device.
            _ => Ok("no candidates, an unknown device".to_owned()),
        }
    });
}

/// What must not change: everything but the time.
type Answer = (Option<u64>, Option<u64>, u32, Option<String>);

fn answer(score: &Score) -> Answer {
    (score.value.map(f64::to_bits), score.spread.map(f64::to_bits), score.repeats, score.why.clone())
}

fn defined(score: &Score) -> Result<(), Trouble> {
    match (score.value, &score.why) {
        (Some(value), _) if !value.is_finite() => broken(format!("a score is {value}")),
        (None, None) => broken("a score has neither a value nor a reason"),
        _ if score.spread.is_some_and(|spread| !(spread >= 0.0 && spread.is_finite())) => {
            broken(format!("a spread is {:?}", score.spread))
        }
        _ => Ok(()),
    }
}

fn candidates() -> Vec<Candidate> {
    let space = ToySpace::new(Direction::Higher);
    let candidate = |index: u64| {
        let spec = space.sample(index).expect("the toy space can be sampled");
        let graph = ToySpace::network(&spec).expect("samples of the toy space are networks");
        Candidate { spec, graph, counters: Default::default(), seed: derive_seed(3, &index.to_string()) }
    };
    (0..CANDIDATES).map(candidate).collect()
}
