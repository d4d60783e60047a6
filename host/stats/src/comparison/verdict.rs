//! What a comparison means, in sentences.

use super::{Pair, Plan, Report};

/// Returns sentences about `report` for people: what is not distinguishable, what could not have been,
/// and what would be needed.
pub fn sentences(report: &Report, plan: &Plan) -> Vec<String> {
    let mut sentences: Vec<String> =
        report.pairs.iter().map(|pair| sentence(pair, plan, report.family)).collect();
    sentences.extend(out_of_reach(report, plan));
    sentences
}

fn sentence(pair: &Pair, plan: &Plan, family: usize) -> String {
    let Pair { method, against, difference, .. } = pair;
    let Some(p) = pair.p_holm else {
        let why = pair.why.as_deref().unwrap_or("there is no p");
        return format!("{method} and {against} cannot be tested: {why}.");
    };
    if p < plan.alpha {
        let word = if (*difference > 0.0) == plan.higher_is_better { "better" } else { "worse" };
        return format!(
            "{method} is {word} than {against} by {:.4} (p = {} after Holm).",
            difference.abs(),
            p_text(p)
        );
    }
    if let Some(found) = pair.equivalence.filter(|found| found.p < plan.alpha) {
        return format!(
            "{method} and {against} are equivalent within ±{}: p = {}.",
            found.margin,
            p_text(found.p)
        );
    }
    // Where no result could have been significant, what a t test would see is beside the point.
    let detectable = pair.detectable.filter(|_| within_reach(pair, plan, family));
    let detectable = detectable.map_or_else(String::new, |least| {
        format!(
            "; a t test of {} runs sees a true difference of {least:.4} with {:.0} % probability, and smaller ones \
             more rarely",
            runs(pair),
            100.0 * plan.power
        )
    });
    format!(
        "{method} and {against} are not distinguishable (p = {} after Holm), which does not mean that they are equal{detectable}.",
        p_text(p)
    )
}

fn runs(pair: &Pair) -> String {
    match pair.runs {
        [n, _] if pair.paired => format!("{n} pairs of"),
        [n1, n2] => format!("{n1} and {n2}"),
    }
}

/// Whether some result of so many runs would have been significant in a family of so many tests.
fn within_reach(pair: &Pair, plan: &Plan, family: usize) -> bool {
    pair.least_p.is_none_or(|least| least * (family as f64) < plan.alpha)
}

/// Pairs that could not have been told apart whatever came out.
fn out_of_reach(report: &Report, plan: &Plan) -> Option<String> {
    let family = report.family;
    let pair = report.pairs.iter().find(|pair| !within_reach(pair, plan, family))?;
    let least = pair.least_p?;
    let adjusted = (least * family as f64).min(1.0);
    let holm = if family > 1 {
        format!(", and after Holm over {family} tests none below {}", p_text(adjusted))
    } else {
        String::new()
    };
    Some(format!(
        "{} runs cannot give a p below {}{holm}: no result could have been significant at {}. More runs are needed.",
        runs(pair),
        p_text(least),
        plan.alpha
    ))
}

/// A p as people read it.
pub(super) fn p_text(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { format!("{p:.4}") }
}
