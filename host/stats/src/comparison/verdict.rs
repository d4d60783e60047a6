//! What a comparison means, in sentences.

use super::{Pair, Plan, Report, matching::left_out};

/// What the test of a pair says once its p is adjusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is no p.
    Untested,
    /// p is not below alpha.
    Indistinct,
    /// The first method is better, by its test and by its mean.
    Better,
    /// The first method is worse, by its test and by its mean.
    Worse,
    /// p is below alpha, but ranks and means do not favour the same method: a few runs went far astray.
    Contradictory,
}

impl Pair {
    /// Judges the pair as `plan` says. A rank test tells which method has the greater ranks, which need not
    /// be the one with the greater mean; only where both agree is a method better.
    pub fn verdict(&self, plan: &Plan) -> Verdict {
        let Some(p) = self.p_holm else { return Verdict::Untested };
        if p >= plan.alpha {
            return Verdict::Indistinct;
        }
        let mean = self.favoured(self.difference, plan);
        match self.favoured(self.tested_side(), plan).filter(|test| mean == Some(test)) {
            Some(better) if better == self.method => Verdict::Better,
            Some(_) => Verdict::Worse,
            None => Verdict::Contradictory,
        }
    }

    /// Positive if the test takes the side of greater values of the first method.
    fn tested_side(&self) -> f64 {
        self.rank_biserial.unwrap_or(self.difference)
    }

    /// The better method, if the first one's values are greater by `side`.
    fn favoured(&self, side: f64, plan: &Plan) -> Option<&str> {
        let first = (side > 0.0) == plan.higher_is_better;
        (side != 0.0).then_some(if first { &self.method } else { &self.against })
    }

    /// Says that ranks and means favour different methods.
    pub(super) fn contradiction(&self, plan: &Plan) -> String {
        let name = |side| self.favoured(side, plan).unwrap_or("neither");
        format!("the ranks favour {} and the means {}", name(self.tested_side()), name(self.difference))
    }

    /// Whether some result of so many runs would have been significant.
    fn within_reach(&self, plan: &Plan) -> bool {
        self.least_p_holm.is_none_or(|least| least < plan.alpha)
    }
}

/// Returns sentences about `report` for people: one for each pair, and then what could not have been told
/// apart whatever came out.
pub fn sentences(report: &Report, plan: &Plan) -> Vec<String> {
    let mut sentences: Vec<String> = report.pairs.iter().map(|pair| of_pair(pair, plan)).collect();
    sentences.extend(out_of_reach(report, plan));
    sentences
}

fn of_pair(pair: &Pair, plan: &Plan) -> String {
    // Where there is no p, the reasons that stand there have it.
    let is_told = pair.verdict(plan) == Verdict::Untested;
    let left_out = left_out(pair.left_out).filter(|_| !is_told).map(|text| format!(" {text}."));
    sentence(pair, plan) + &left_out.unwrap_or_default()
}

fn sentence(pair: &Pair, plan: &Plan) -> String {
    let Pair { method, against, difference, .. } = pair;
    let p = pair.p_holm.map(p_text).unwrap_or_default();
    let told_apart =
        |word| format!("{method} is {word} than {against} by {:.4} (p = {p} after Holm).", difference.abs());
    match pair.verdict(plan) {
        Verdict::Untested => {
            let why = pair.why.as_deref().unwrap_or("there is no p");
            format!("{method} and {against} cannot be tested: {why}.")
        }
        Verdict::Better => told_apart("better"),
        Verdict::Worse => told_apart("worse"),
        Verdict::Contradictory => format!(
            "{method} and {against} differ (p = {p} after Holm), but neither is better: {}.",
            pair.contradiction(plan)
        ),
        Verdict::Indistinct => equivalent(pair, plan).unwrap_or_else(|| {
            format!(
                "{method} and {against} are not distinguishable (p = {p} after Holm), which does not mean that they are equal{}.",
                detectable(pair, plan)
            )
        }),
    }
}

/// Says that the methods are equivalent, if they are.
fn equivalent(pair: &Pair, plan: &Plan) -> Option<String> {
    let p = pair.equivalence_p_holm.filter(|p| *p < plan.alpha)?;
    let Pair { method, against, .. } = pair;
    let margin = pair.equivalence?.margin;
    Some(format!("{method} and {against} are equivalent within ±{margin}: p = {} after Holm.", p_text(p)))
}

/// What so many runs would see. Where no result could have been significant, that is beside the point.
fn detectable(pair: &Pair, plan: &Plan) -> String {
    let detectable = pair.detectable.filter(|_| pair.within_reach(plan));
    detectable.map_or_else(String::new, |least| {
        format!(
            "; a t test of {} runs sees a true difference of {least:.4} with {:.0} % probability, and smaller ones \
             more rarely",
            runs(pair),
            100.0 * plan.power
        )
    })
}

fn runs(pair: &Pair) -> String {
    match pair.runs {
        [n, _] if pair.paired => format!("{n} pairs of"),
        [n1, n2] => format!("{n1} and {n2}"),
    }
}

/// What could not have been told apart whatever came out: all pairs, or some of them.
fn out_of_reach(report: &Report, plan: &Plan) -> Vec<String> {
    let lost: Vec<&Pair> = report.pairs.iter().filter(|pair| !pair.within_reach(plan)).collect();
    if lost.len() < report.pairs.len() {
        return lost.into_iter().filter_map(|pair| lost_pair(pair, plan)).collect();
    }
    // The pair that had the best chance speaks for all.
    let best = lost.into_iter().min_by(|a, b| a.least_p.unwrap_or(1.0).total_cmp(&b.least_p.unwrap_or(1.0)));
    best.and_then(|pair| lost_family(pair, report.family, plan)).into_iter().collect()
}

fn lost_family(best: &Pair, family: usize, plan: &Plan) -> Option<String> {
    let holm = match family {
        0 | 1 => String::new(),
        _ => format!(", and after Holm over {family} tests none below {}", p_text(best.least_p_holm?)),
    };
    Some(format!(
        "{} runs cannot give a p below {}{holm}: no result could have been significant at {}. More runs are needed.",
        runs(best),
        p_text(best.least_p?),
        plan.alpha
    ))
}

fn lost_pair(pair: &Pair, plan: &Plan) -> Option<String> {
    Some(format!(
        "{} and {} could not have been told apart at {}: {} runs cannot give a p below {} after Holm. More runs are \
         needed.",
        pair.method,
        pair.against,
        plan.alpha,
        runs(pair),
        p_text(pair.least_p_holm?)
    ))
}

/// A p as people read it.
fn p_text(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { format!("{p:.4}") }
}
