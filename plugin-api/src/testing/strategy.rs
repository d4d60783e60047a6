//! Rules for strategies.

use super::{
    Bench, Manner, Search, Trace,
    bench::{Check, Trouble, broken},
};
use crate::{
    abi::foreign::{CallError, CallErrorKind, ForeignStrategy},
    architecture::Spec,
    metric::Direction,
    seed::derive_seed,
    strategy::{Outcome, SearchContext},
};

/// Most proposals of one search: enough for several generations, few enough for seconds.
const PROPOSALS: u64 = 40;

/// What a strategy is told of its proposals.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// The value of a structure; `None` if undefined.
    pub value: &'a dyn Fn(&Spec) -> Option<f64>,
    /// Which ways may be better, at least one.
    pub directions: &'a [Direction],
    /// Whether any of them may be left out. A strategy that computes its own metric may refuse that.
    pub may_lack: bool,
}

impl std::fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Values").field("directions", &self.directions).finish_non_exhaustive()
    }
}

/// Values that are made up, for strategies that take any.
const MADE_UP: Values<'static> = Values {
    value: &|spec| Some(made_up(spec)),
    directions: &[Direction::Higher, Direction::Lower],
    may_lack: true,
};

/// Tries every rule on strategies that `make` creates, in the space that `space` makes, with values that
/// are made up.
pub fn strategy_rules<'s>(
    bench: &mut Bench<'_>,
    make: &dyn Fn() -> Result<ForeignStrategy, CallError>,
    space: &dyn Fn(Direction) -> Box<dyn SearchContext + 's>,
) {
    strategy_rules_by(MADE_UP, bench, make, space);
}

/// Tries every rule as [`strategy_rules`] does, with `values`.
pub fn strategy_rules_by<'s>(
    values: Values<'_>,
    bench: &mut Bench<'_>,
    make: &dyn Fn() -> Result<ForeignStrategy, CallError>,
    space: &dyn Fn(Direction) -> Box<dyn SearchContext + 's>,
) {
    let Values { value, directions, may_lack } = values;
    let context = space(directions[0]);
    let all = |_: u64, spec: &Spec| value(spec);
    let search = Search { make, context: &*context, value: &all, limit: PROPOSALS };
    bench.rule("describe", || {
        let strategy = make()?;
        let info = strategy.describe()?;
        if info != strategy.describe()? {
            return broken("two calls answer differently");
        }
        if info.lag == 0 {
            return broken("`lag` is 0: at least one proposal must be open at a time");
        }
        Ok(format!("lag {}", info.lag))
    });
    let mut reference = None;
    bench.rule("proposals", || {
        let trace = search.run(Manner::Full)?;
        let detail = match trace.proposals.len() {
            0 => return broken("the search ended without a proposal"),
            made if trace.ended => format!("{made} proposals, then the end"),
            made => format!("{made} proposals, then the kit's limit"),
        };
        reference = Some(trace);
        Ok(detail)
    });
    let reference = || reference.as_ref().ok_or(Trouble::NotTried("the search itself fails".to_owned()));
    bench.rule("budgets", || {
        for (id, proposal) in reference()?.proposals.iter().enumerate() {
            let budget = context.violation(&proposal.spec).map_err(|e| Trouble::NotTried(e.to_string()))?;
            if let Some(budget) = budget {
                return broken(format!("proposal {id} breaks the budget `{budget}`"));
            }
        }
        Ok(format!("{} structures", reference()?.proposals.len()))
    });
    bench.rule("seed", || {
        same(reference()?, &search.run(Manner::Full)?, "in another search of the same seed")
    });
    bench.rule("lag", || same(reference()?, &search.run(Manner::Singly)?, "when asked for one at a time"));
    bench.rule("checkpoint", || same(reference()?, &search.run(Manner::Relay)?, "after a restore"));
    bench.rule("undefined", || {
        reference()?;
        if !may_lack {
            return Err(Trouble::NotTried("it is told the values of its own metric".to_owned()));
        }
        let some = |id: u64, spec: &Spec| value(spec).filter(|_| id % 3 != 1);
        let trace = Search { value: &some, ..search }.run(Manner::Full)?;
        let ranked = &trace.result.ranked;
        if let Some(entry) = ranked.iter().find(|entry| !entry.value.is_finite()) {
            return broken(format!("proposal {} is recommended with the value {}", entry.id, entry.value));
        }
        let by_told = ranks_by_told(&trace);
        match ranked.iter().find(|entry| by_told && told(&trace, entry.id).is_none()) {
            Some(entry) => broken(format!("proposal {} had no value and is recommended", entry.id)),
            None => Ok("every third outcome had no value".to_owned()),
        }
    });
    bench.rule("result", || {
        reference()?;
        for &direction in directions {
            let context = space(direction);
            let trace = Search { context: &*context, ..search }.run(Manner::Full)?;
            ranked(&trace, direction)?;
        }
        Ok(if directions.len() > 1 { "both directions" } else { "the direction of its metric" }.to_owned())
    });
    bench.rule("nonsense", || {
        let mut strategy = make()?;
        let outcome = Outcome { id: 987_654, value: Some(1.0), spread: None, why: None };
        refused(strategy.tell(&[outcome]), "an outcome that it never asked for")?;
        let state = make()?.checkpoint()?;
        for damaged in [&b""[..], b"nonsense", b"{\"nonsense\": 1}", b"\xff\xfe\0", &state[..state.len() / 2]]
        {
            refused(make()?.restore(damaged), "a damaged state")?;
        }
        Ok("an unknown outcome, five damaged states".to_owned())
    });
}

/// A number between 0 and 1 for every structure.
fn made_up(spec: &Spec) -> f64 {
    (derive_seed(0, &spec.to_string()) >> 11) as f64 / (1_u64 << 53) as f64
}

fn refused(answer: Result<(), CallError>, what: &str) -> Result<(), Trouble> {
    match answer {
        Ok(()) => broken(format!("it accepts {what}")),
        Err(error) if matches!(error.kind, CallErrorKind::Panicked | CallErrorKind::Poisoned) => {
            broken(format!("{what}: {error}"))
        }
        Err(_) => Ok(()),
    }
}

fn same(expected: &Trace, found: &Trace, when: &str) -> Check {
    for (id, (expected, found)) in expected.proposals.iter().zip(&found.proposals).enumerate() {
        if expected.spec != found.spec {
            return broken(format!("proposal {id} is {} instead of {} {when}", found.spec, expected.spec));
        }
        if expected.origin != found.origin {
            let (found, expected) = (&found.origin, &expected.origin);
            return broken(format!(
                "the origin of proposal {id} is `{found}` instead of `{expected}` {when}"
            ));
        }
    }
    if expected.proposals.len() != found.proposals.len() {
        let (found, expected) = (found.proposals.len(), expected.proposals.len());
        return broken(format!("{found} proposals instead of {expected} {when}"));
    }
    if expected.result != found.result {
        return broken(format!("another result {when}"));
    }
    Ok(format!("{} proposals and the result", expected.proposals.len()))
}

fn ranked(trace: &Trace, direction: Direction) -> Result<(), Trouble> {
    let ranked = &trace.result.ranked;
    if ranked.is_empty() {
        return broken("the search recommends nothing");
    }
    for entry in ranked {
        match trace.proposals.get(entry.id as usize) {
            // A search that was cut may know already what it would have proposed.
            None if !trace.ended => {}
            None => return broken(format!("it recommends proposal {}, which it never made", entry.id)),
            Some(proposal) if proposal.spec != entry.spec => {
                return broken(format!("it recommends another structure than proposal {} was", entry.id));
            }
            Some(_) => {}
        }
    }
    for (place, entry) in ranked.iter().enumerate() {
        if let Some(first) = ranked[..place].iter().find(|first| first.spec == entry.spec) {
            let (first, again) = (first.id, entry.id);
            return broken(format!("it recommends one structure twice, as proposals {first} and {again}"));
        }
    }
    let is_ordered = |direction| {
        let ordered = |a: f64, b: f64| if direction == Direction::Higher { a >= b } else { a <= b };
        ranked.windows(2).all(|pair| ordered(pair[0].value, pair[1].value))
    };
    // Which way a value of its own is better, only the strategy knows.
    let fits = match ranks_by_told(trace) {
        true => is_ordered(direction),
        false => is_ordered(Direction::Higher) || is_ordered(Direction::Lower),
    };
    if !fits {
        return broken(format!("the result is not best first where {direction:?} is better"));
    }
    Ok(())
}

/// What the strategy was told of a proposal.
fn told(trace: &Trace, id: u64) -> Option<f64> {
    trace.proposals.get(id as usize).and_then(|proposal| proposal.value)
}

/// Whether it ranks by the values that it was told. Others rank by a value of their own, which they may
/// have for proposals without one too.
fn ranks_by_told(trace: &Trace) -> bool {
    let ranked = &trace.result.ranked;
    ranked.iter().all(|entry| told(trace, entry.id).is_none_or(|value| value == entry.value))
}
