//! Methods compared by their runs: who is better, by how much, and whether these runs can tell.

mod matching;
mod verdict;

use serde::Serialize;

use self::matching::{Matching, left_out};
pub use self::verdict::{Verdict, sentences};
use crate::{
    Alternative, Method, Result, Undefined,
    effect::{Dominance, dominance, matched_rank_biserial},
    mann_whitney::mann_whitney,
    mean::{Equivalence, MeanDifference, Moments, pooled},
    multiple::{benjamini_hochberg, holm},
    power::Design,
    wilcoxon::{Settings, wilcoxon_pairs},
};

/// Up to this many pairs, or values of both samples, a rank test counts all arrangements.
const COUNTED: usize = 50;

/// A method and its results.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name of the method.
    pub method: String,
    /// Results; a key, such as seed and fold, says which runs of different methods belong together.
    pub results: Vec<(Option<String>, f64)>,
}

impl Sample {
    /// The values without their keys.
    pub fn values(&self) -> Vec<f64> {
        self.results.iter().map(|(_, value)| *value).collect()
    }
}

/// What decides a comparison. All of it is fixed before the results are seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Compares every method with this one, and else each with each.
    pub baseline: Option<String>,
    /// Level of intervals, such as 0.95.
    pub level: f64,
    /// Level of tests, such as 0.05.
    pub alpha: f64,
    /// Power at which the minimum detectable difference is given, such as 0.8.
    pub power: f64,
    /// Differences up to this count as none.
    pub margin: Option<f64>,
    /// Whether greater values are better.
    pub higher_is_better: bool,
    /// Which test gives p.
    pub test: Test,
    /// Number of tests of the declared family, if it has more than this comparison makes.
    pub family: Option<usize>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            baseline: None,
            level: 0.95,
            alpha: 0.05,
            power: 0.8,
            margin: None,
            higher_is_better: true,
            test: Test::Rank,
            family: None,
        }
    }
}

/// Which test gives p.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// Wilcoxon's signed ranks for runs that belong together, and else Mann–Whitney.
    #[default]
    Rank,
    /// Student's t: of pairs, and else Welch's.
    T,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// One per method, best mean first.
    pub methods: Vec<Row>,
    /// One per pair of methods.
    pub pairs: Vec<Pair>,
    /// Number of tests that p-values are adjusted for.
    pub family: usize,
}

/// A method in a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub method: String,
    /// Mean and deviation over its runs.
    #[serde(flatten)]
    pub moments: Moments,
}

/// Two methods in a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// The first method.
    pub method: String,
    /// What it is compared with.
    pub against: String,
    /// Runs of both that are compared.
    pub runs: [usize; 2],
    /// Whether runs were matched by their keys.
    pub paired: bool,
    /// Runs of both that have no counterpart, where the others were matched.
    pub left_out: [usize; 2],
    /// First mean minus second.
    pub difference: f64,
    /// Interval of the difference by Student's t.
    pub interval: Option<[f64; 2]>,
    /// `wilcoxon`, `mann-whitney`, `paired-t` or `welch`.
    pub test: &'static str,
    /// Two-sided p.
    pub p: Option<f64>,
    /// Holm's p over the family.
    pub p_holm: Option<f64>,
    /// Benjamini's and Hochberg's p over the family.
    pub p_bh: Option<f64>,
    /// The smallest p that so many runs can give.
    pub least_p: Option<f64>,
    /// The smallest p that they can give after Holm, if every pair has its smallest.
    pub least_p_holm: Option<f64>,
    /// The rank-biserial correlation (Kerby 2014), whose sign is the side that a rank test takes: of pairs
    /// (W⁺ − W⁻) / (W⁺ + W⁻), else Cliff's δ.
    pub rank_biserial: Option<f64>,
    /// Cliff's δ and A₁₂.
    #[serde(flatten)]
    pub dominance: Dominance,
    /// The true difference that so many runs would see with the plan's power, by a t test at the level of
    /// Holm's first step: alpha over the family. Whatever else comes out, it is at least as well seen.
    pub detectable: Option<f64>,
    /// Whether the difference is within the margin, if there is one.
    pub equivalence: Option<Equivalence>,
    /// Holm's p of equivalence over the family.
    pub equivalence_p_holm: Option<f64>,
    /// Why a number is missing, and what limits the comparison.
    pub why: Option<String>,
}

/// A comparison that cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Fewer than two methods.
    #[error("there is {0} method, and a comparison needs two")]
    Methods(usize),
    /// The baseline is no method.
    #[error("there is no method `{name}`; there are {}", known.join(", "))]
    Baseline {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A method has no usable results.
    #[error("method `{method}`: {why}")]
    Method {
        /// Its name.
        method: String,
        /// What is wrong.
        why: Undefined,
    },
    /// A part of the plan makes no sense.
    #[error("{0}")]
    Plan(Undefined),
    /// The family is smaller than the comparison.
    #[error("a family of {family} tests cannot hold {tests}")]
    Family {
        /// What was declared.
        family: usize,
        /// What is compared.
        tests: usize,
    },
}

/// Compares `samples` as `plan` says.
///
/// # Errors
///
/// If there are fewer than two methods, one has no finite result, or the plan makes no sense. What is
/// undefined of a single pair is told there.
pub fn compare(samples: &[Sample], plan: &Plan) -> std::result::Result<Report, CompareError> {
    if samples.len() < 2 {
        return Err(CompareError::Methods(samples.len()));
    }
    for (name, value) in [("the level", plan.level), ("alpha", plan.alpha), ("power", plan.power)] {
        crate::error::share(name, value).map_err(CompareError::Plan)?;
    }
    let row = |sample: &Sample| {
        let moments = Moments::of(&sample.values())
            .map_err(|why| CompareError::Method { method: sample.method.clone(), why })?;
        Ok(Row { method: sample.method.clone(), moments })
    };
    let mut methods: Vec<Row> = samples.iter().map(row).collect::<std::result::Result<_, _>>()?;
    let better = |a: &Row, b: &Row| {
        let order = a.moments.mean.total_cmp(&b.moments.mean);
        if plan.higher_is_better { order.reverse() } else { order }
    };
    methods.sort_by(better);
    let find = |name: &str| samples.iter().find(|sample| sample.method == name);
    let against: Vec<(&Sample, &Sample)> = match &plan.baseline {
        Some(name) => {
            let baseline = find(name).ok_or_else(|| CompareError::Baseline {
                name: name.clone(),
                known: samples.iter().map(|sample| sample.method.clone()).collect(),
            })?;
            let others = methods.iter().filter(|row| row.method != *name);
            others.filter_map(|row| Some((find(&row.method)?, baseline))).collect()
        }
        None => {
            let ordered: Vec<&Sample> = methods.iter().filter_map(|row| find(&row.method)).collect();
            let each = ordered.iter().enumerate();
            each.flat_map(|(i, a)| ordered[i + 1..].iter().map(|b| (*a, *b))).collect()
        }
    };
    let tests = against.len();
    let family = plan.family.unwrap_or(tests);
    if family < tests {
        return Err(CompareError::Family { family, tests });
    }
    let pairs = against.into_iter().map(|(a, b)| pair(a, b, plan, family));
    let mut pairs: Vec<Pair> = pairs.collect::<Result<_>>().map_err(CompareError::Plan)?;
    adjust(&mut pairs, family).map_err(CompareError::Plan)?;
    for pair in pairs.iter_mut().filter(|pair| pair.verdict(plan) == Verdict::Contradictory) {
        let reasons = pair.why.take().into_iter().chain([pair.contradiction(plan)]);
        pair.why = Some(reasons.collect::<Vec<_>>().join("; "));
    }
    Ok(Report { methods, pairs, family })
}

/// Adjusts the p-values of `pairs` for `family` tests of difference, and as many of equivalence.
fn adjust(pairs: &mut [Pair], family: usize) -> Result<()> {
    let p = |of: fn(&Pair) -> Option<f64>| pairs.iter().map(of).collect::<Vec<_>>();
    let difference = p(|pair| pair.p);
    let holm_p = adjusted(holm, &difference, family)?;
    let fdr = adjusted(benjamini_hochberg, &difference, family)?;
    // Holm's p never falls when another one rises.
    let least = adjusted(holm, &p(|pair| pair.least_p), family)?;
    let equivalence = adjusted(holm, &p(|pair| pair.equivalence.map(|found| found.p)), family)?;
    for (index, pair) in pairs.iter_mut().enumerate() {
        (pair.p_holm, pair.p_bh) = (holm_p[index], fdr[index]);
        (pair.least_p_holm, pair.equivalence_p_holm) = (least[index], equivalence[index]);
    }
    Ok(())
}

/// Adjusts `p` by `correct` for `family` tests. A test without a p counts as one that rejects nothing.
fn adjusted(
    correct: fn(&[f64]) -> Result<Vec<f64>>,
    p: &[Option<f64>],
    family: usize,
) -> Result<Vec<Option<f64>>> {
    let mut all: Vec<f64> = p.iter().map(|p| p.unwrap_or(1.0)).collect();
    all.resize(family, 1.0);
    Ok(p.iter().zip(correct(&all)?).map(|(p, adjusted)| p.map(|_| adjusted)).collect())
}

/// Compares `a` and `b` in a family of `family` tests, for which the p-values are yet to be adjusted.
fn pair(a: &Sample, b: &Sample, plan: &Plan, family: usize) -> Result<Pair> {
    let Matching { x, y, paired, left_out: alone } = Matching::of(a, b);
    let mut reasons: Vec<String> = left_out(alone).into_iter().collect();
    let mut note = |why: Undefined| {
        let why = why.to_string();
        if !reasons.contains(&why) {
            reasons.push(why);
        }
    };
    let t = if paired { MeanDifference::of_pairs(&x, &y) } else { MeanDifference::of_samples(&x, &y) };
    let (test, p) = match (plan.test, paired) {
        (Test::Rank, true) => ("wilcoxon", signed_ranks(&x, &y)),
        (Test::Rank, false) => ("mann-whitney", rank_sums(&x, &y)),
        (Test::T, true) => ("paired-t", t.clone().map(|t| t.p(0.0, Alternative::TwoSided))),
        (Test::T, false) => ("welch", t.clone().map(|t| t.p(0.0, Alternative::TwoSided))),
    };
    let design = if paired { Design::Paired(x.len()) } else { Design::Independent(x.len(), y.len()) };
    let first_step = plan.alpha / family as f64;
    let detectable =
        spread(&x, &y, paired).and_then(|deviation| design.detectable(deviation, first_step, plan.power));
    let equivalence = plan.margin.map(|margin| t.clone().and_then(|t| t.equivalence(margin)));
    let mean = |values: &[f64]| Moments::of(values).map(|moments| moments.mean);
    let dominance = dominance(&x, &y, plan.level)?;
    let ranked = plan.test == Test::Rank;
    Ok(Pair {
        method: a.method.clone(),
        against: b.method.clone(),
        runs: [x.len(), y.len()],
        paired,
        left_out: alone,
        difference: mean(&x)? - mean(&y)?,
        interval: t.and_then(|t| t.interval(plan.level)).map_err(&mut note).ok(),
        test,
        p: p.map_err(&mut note).ok(),
        p_holm: None,
        p_bh: None,
        least_p: ranked.then(|| least_p(x.len(), y.len(), paired)),
        least_p_holm: None,
        rank_biserial: ranked.then(|| rank_biserial(&x, &y, paired, &dominance)).transpose()?,
        dominance,
        detectable: detectable.map_err(&mut note).ok(),
        equivalence: equivalence.and_then(|found| found.map_err(&mut note).ok()),
        equivalence_p_holm: None,
        why: (!reasons.is_empty()).then(|| reasons.join("; ")),
    })
}

/// The p of Wilcoxon's signed ranks.
fn signed_ranks(x: &[f64], y: &[f64]) -> Result<f64> {
    let settings = Settings { method: counting(x.len()), ..Settings::default() };
    wilcoxon_pairs(x, y, settings).map(|found| found.p)
}

/// The p of Mann's and Whitney's rank sums.
fn rank_sums(x: &[f64], y: &[f64]) -> Result<f64> {
    let method = counting(x.len() + y.len());
    mann_whitney(x, y, Alternative::TwoSided, method, true).map(|found| found.p)
}

/// Small samples with ties are far from normal, so that of few pairs or values all arrangements are counted.
fn counting(n: usize) -> Method {
    if n <= COUNTED { Method::Permutation } else { Method::Auto }
}

/// The effect whose sign is the side that a rank test takes.
fn rank_biserial(x: &[f64], y: &[f64], paired: bool, dominance: &Dominance) -> Result<f64> {
    if !paired {
        return Ok(dominance.cliffs_delta);
    }
    matched_rank_biserial(&x.iter().zip(y).map(|(x, y)| x - y).collect::<Vec<_>>())
}

/// The deviation that a design measures effects in.
fn spread(x: &[f64], y: &[f64], paired: bool) -> Result<f64> {
    if paired {
        Ok(MeanDifference::of_pairs(x, y)?.standard_error * (x.len() as f64).sqrt())
    } else {
        pooled(x, y)
    }
}

/// The smallest two-sided p of the exact rank test without ties: all pairs, or all runs, on one side.
fn least_p(n1: usize, n2: usize, paired: bool) -> f64 {
    let orders = if paired {
        2f64.powf(n1 as f64)
    } else {
        (1..=n1.min(n2)).map(|i| (n1.max(n2) + i) as f64 / i as f64).product()
    };
    (2.0 / orders).min(1.0)
}

#[cfg(test)]
mod tests;
