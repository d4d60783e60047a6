//! The Wilcoxon signed-rank test of paired values.

use serde::Serialize;

use crate::{
    Alternative, Method, Result, Undefined,
    distribution::{Tails, normal_p},
    error::{at_least, ordered, paired},
    rank::Ranks,
};

/// Above this many pairs, [`Method::Auto`] is asymptotic (SciPy's limit).
const AUTO_LIMIT: usize = 50;
/// Up to this many pairs, [`Method::Auto`] counts all signs of tied differences (SciPy's limit).
const SIGNS_LIMIT: usize = 13;
/// Most differences whose signs are counted.
const EXACT_LIMIT: usize = 1000;

/// What becomes of pairs without a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Zeros {
    /// They are left out (Wilcoxon 1945).
    #[default]
    Wilcox,
    /// They are ranked and then left out (Pratt 1959).
    Pratt,
    /// They are ranked, and their ranks count half for each side.
    Split,
}

/// What the test found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Wilcoxon {
    /// Sum of the ranks of positive differences.
    pub plus: f64,
    /// Sum of the ranks of negative differences.
    pub minus: f64,
    /// The p-value.
    pub p: f64,
    /// How it was computed.
    pub method: Distribution,
    /// Pairs without a difference.
    pub zeros: usize,
}

/// Where the p of a [`Wilcoxon`] test comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// All signs of the ranks 1…n: exact if nothing is tied.
    Exact,
    /// All signs of the differences as they are, ties and zeros included: exact.
    Signs,
    /// The normal approximation.
    Asymptotic,
}

/// Settings of the test; the defaults are SciPy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// The direction.
    pub alternative: Alternative,
    /// How the p is computed.
    pub method: Method,
    /// What becomes of zeros.
    pub zeros: Zeros,
    /// Whether the normal approximation moves by half a step.
    pub correction: bool,
}

/// Tests whether `differences` are symmetric around 0, as `scipy.stats.wilcoxon` does.
///
/// [`Method::Auto`] is asymptotic above 50 differences; below, it is exact without ties and zeros, goes
/// through all signs of up to 13 differences with ties, and is else asymptotic.
///
/// # Errors
///
/// If there is no difference, or a NaN; if the normal approximation is wanted and all differences are
/// zero; if signs are to be counted of more than 1000 differences.
pub fn wilcoxon(differences: &[f64], settings: Settings) -> Result<Wilcoxon> {
    at_least("the list of differences", differences.len(), 1)?;
    ordered("the differences", differences)?;
    let ranked = Ranked::of(differences, settings.zeros);
    let method = match settings.method {
        Method::Exact => Distribution::Exact,
        Method::Permutation => Distribution::Signs,
        Method::Asymptotic => Distribution::Asymptotic,
        Method::Auto if differences.len() > AUTO_LIMIT => Distribution::Asymptotic,
        Method::Auto if ranked.zeros == 0 && !ranked.ranks.has_ties() => Distribution::Exact,
        Method::Auto if differences.len() <= SIGNS_LIMIT => Distribution::Signs,
        Method::Auto => Distribution::Asymptotic,
    };
    let p = match method {
        Distribution::Exact => ranked.exact(settings.alternative)?,
        Distribution::Signs => ranked.signs(settings.alternative)?,
        Distribution::Asymptotic => ranked.asymptotic(settings)?,
    };
    Ok(Wilcoxon { plus: ranked.plus, minus: ranked.minus, p, method, zeros: ranked.zeros })
}

/// Tests the differences `x − y` of paired values.
///
/// # Errors
///
/// As [`wilcoxon`], and if `x` and `y` differ in length.
pub fn wilcoxon_pairs(x: &[f64], y: &[f64], settings: Settings) -> Result<Wilcoxon> {
    paired(x.len(), y.len())?;
    let differences: Vec<f64> = x.iter().zip(y).map(|(x, y)| x - y).collect();
    wilcoxon(&differences, settings)
}

/// Differences with the ranks of their sizes.
struct Ranked {
    /// Without zeros if they are left out.
    differences: Vec<f64>,
    ranks: Ranks,
    treatment: Zeros,
    zeros: usize,
    plus: f64,
    minus: f64,
}

impl Ranked {
    fn of(differences: &[f64], treatment: Zeros) -> Self {
        let zeros = differences.iter().filter(|d| **d == 0.0).count();
        let kept = differences.iter().copied().filter(|d| treatment != Zeros::Wilcox || *d != 0.0);
        let differences: Vec<f64> = kept.collect();
        let sizes: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
        let ranks = Ranks::of(&sizes);
        let sum = |wanted: fn(f64) -> bool| -> f64 {
            differences.iter().zip(&ranks.ranks).filter(|(d, _)| wanted(**d)).map(|(_, rank)| rank).sum()
        };
        let half = if treatment == Zeros::Split { sum(|d| d == 0.0) / 2.0 } else { 0.0 };
        let (plus, minus) = (sum(|d| d > 0.0) + half, sum(|d| d < 0.0) + half);
        Self { differences, ranks, treatment, zeros, plus, minus }
    }

    /// From the distribution of the sum of the ranks 1…n with random signs. A sum between whole numbers
    /// counts for both neighbours.
    fn exact(&self, alternative: Alternative) -> Result<f64> {
        let n = self.countable()?;
        let shares = sum_shares(&(1..=n).collect::<Vec<_>>());
        let tails = Tails::of(&shares, self.plus.floor() as usize, self.plus.ceil() as usize);
        Ok(tails.p(alternative))
    }

    /// From all signs of these very differences.
    fn signs(&self, alternative: Alternative) -> Result<f64> {
        self.countable()?;
        let doubled = self.ranks.doubled();
        let of = |wanted: fn(f64) -> bool| {
            self.differences.iter().zip(&doubled).filter(move |(d, _)| wanted(**d)).map(|(_, rank)| *rank)
        };
        let moving: Vec<usize> = of(|d| d != 0.0).collect();
        let sum = of(|d| d > 0.0).sum();
        Ok(Tails::of(&sum_shares(&moving), sum, sum).p(alternative))
    }

    /// The number of differences, if it is not too large to count their signs.
    fn countable(&self) -> Result<usize> {
        let n = self.differences.len();
        if n > EXACT_LIMIT { Err(Undefined::TooLarge { left: n, right: n }) } else { Ok(n) }
    }

    fn asymptotic(&self, settings: Settings) -> Result<f64> {
        let n = self.differences.len() as f64;
        let zeros = self.zeros as f64;
        let mut mean = n * (n + 1.0) / 4.0;
        let mut square = n * (n + 1.0) * (2.0 * n + 1.0);
        let mut ties = self.ranks.tie_term();
        if self.treatment == Zeros::Pratt {
            // Cureton 1967. Zeros are one group of ties, which does not count.
            mean -= zeros * (zeros + 1.0) / 4.0;
            square -= zeros * (zeros + 1.0) * (2.0 * zeros + 1.0);
            ties -= zeros.powi(3) - zeros;
        }
        let deviation = ((square - ties / 2.0) / 24.0).sqrt();
        let z = (self.plus - mean) / deviation;
        if z.is_nan() {
            return Err(Undefined::NoSpread { what: "the list of differences" });
        }
        let sign = match settings.alternative {
            Alternative::TwoSided if z == 0.0 => 0.0,
            Alternative::TwoSided => z.signum(),
            Alternative::Less => -1.0,
            Alternative::Greater => 1.0,
        };
        let step = if settings.correction { sign * 0.5 / deviation } else { 0.0 };
        Ok(normal_p(z - step, settings.alternative))
    }
}

/// Shares of all signs for which the sum of the positive `ranks` is 0, 1, ….
fn sum_shares(ranks: &[usize]) -> Vec<f64> {
    let mut shares = vec![0.0; ranks.iter().sum::<usize>() + 1];
    shares[0] = 1.0;
    let mut top = 0;
    for &rank in ranks {
        top += rank;
        for sum in (0..=top).rev() {
            let with = if sum >= rank { shares[sum - rank] } else { 0.0 };
            shares[sum] = (shares[sum] + with) / 2.0;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn five_pairs_cannot_reach_five_per_cent() {
        let test = wilcoxon(&[0.1, 0.2, 0.3, 0.4, 0.5], Settings::default()).unwrap();
        assert_eq!((test.p, test.plus, test.minus), (2.0 / 32.0, 15.0, 0.0));
        assert_eq!(test.method, Distribution::Exact);
    }

    #[test]
    fn pairs_without_a_difference_tell_nothing() {
        let test = wilcoxon(&[0.0; 4], Settings::default()).unwrap();
        assert_eq!((test.p, test.method, test.zeros), (1.0, Distribution::Signs, 4));
        let asymptotic = Settings { method: Method::Asymptotic, ..Settings::default() };
        assert!(matches!(wilcoxon(&[0.0; 4], asymptotic), Err(Undefined::NoSpread { .. })));
        assert!(matches!(wilcoxon(&[], asymptotic), Err(Undefined::TooFew { .. })));
        assert!(matches!(wilcoxon(&[f64::NAN], asymptotic), Err(Undefined::NotFinite { .. })));
        assert!(matches!(wilcoxon_pairs(&[1.0], &[], asymptotic), Err(Undefined::Unpaired { .. })));
    }

    #[test]
    fn ties_of_more_pairs_than_scipy_counts_are_counted_if_that_is_wanted() {
        // Fifteen equal differences, twelve of them positive: a sign test. 2 (1 + 15 + 105 + 455) / 2¹⁵.
        let mut values = [1.0; 15];
        values[..3].fill(-1.0);
        let counted = Settings { method: Method::Permutation, ..Settings::default() };
        let test = wilcoxon(&values, counted).unwrap();
        assert_eq!((test.method, test.p), (Distribution::Signs, 1152.0 / 32768.0));
        assert!(wilcoxon(&values, Settings::default()).unwrap().p < test.p, "the approximation");
        assert!(matches!(wilcoxon(&[1.0; 1001], counted), Err(Undefined::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn turning_all_differences_mirrors_the_test(
            values in prop::collection::vec((-9i32..9).prop_map(f64::from), 1..40),
            zeros in prop::sample::select(vec![Zeros::Wilcox, Zeros::Pratt, Zeros::Split]),
        ) {
            let turned: Vec<f64> = values.iter().map(|d| -d).collect();
            let of = |values: &[f64], alternative| {
                wilcoxon(values, Settings { alternative, zeros, ..Settings::default() })
            };
            match (of(&values, Alternative::Less), of(&turned, Alternative::Greater)) {
                (Ok(there), Ok(back)) => {
                    prop_assert!((there.p - back.p).abs() < 1e-12);
                    prop_assert_eq!((there.plus, there.minus), (back.minus, back.plus));
                }
                (there, back) => prop_assert_eq!(there, back),
            }
        }

        #[test]
        fn all_signs_agree_with_trying_them(values in prop::collection::vec((-4i32..5).prop_map(f64::from), 1..10)) {
            let of = |method| wilcoxon(&values, Settings { method, ..Settings::default() }).unwrap();
            let test = of(Method::Auto);
            prop_assert!((test.p - of(Method::Permutation).p).abs() < 1e-12);
            let kept: Vec<f64> = values.iter().copied().filter(|d| *d != 0.0).collect();
            let ranks = Ranks::of(&kept.iter().map(|d| d.abs()).collect::<Vec<_>>()).ranks;
            let all = 1u32 << kept.len();
            let sum = |signs: u32| -> f64 {
                ranks.iter().enumerate().filter(|(i, _)| signs >> i & 1 == 1).map(|(_, rank)| rank).sum()
            };
            let lower = (0..all).filter(|signs| sum(*signs) <= test.plus).count() as f64 / f64::from(all);
            let upper = (0..all).filter(|signs| sum(*signs) >= test.plus).count() as f64 / f64::from(all);
            prop_assert!((test.p - (2.0 * lower.min(upper)).min(1.0)).abs() < 1e-12);
        }
    }
}
