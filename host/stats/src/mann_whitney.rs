//! The Mann–Whitney U test of two independent samples.

use num_bigint::BigUint;
use serde::Serialize;

use crate::{
    Alternative, Method, Result, Undefined,
    distribution::{Tails, normal_sf, ratio},
    error::{at_least, ordered},
    rank::Ranks,
};

/// Up to this many values in the smaller sample, [`Method::Auto`] counts exactly (SciPy's limit).
const AUTO_LIMIT: usize = 8;
/// Most additions that counting may take: some seconds.
const MAX_WORK: u128 = 500_000_000;
/// Most values of both samples whose arrangements are counted with ties: floats hold the counts exactly.
const PERMUTATION_LIMIT: usize = 50;

/// What the test found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MannWhitney {
    /// Pairs in which the first sample wins, ties counting half.
    pub u1: f64,
    /// Pairs in which the second sample wins; `u1 + u2` is the number of pairs.
    pub u2: f64,
    /// The p-value.
    pub p: f64,
    /// How it was computed: never [`Method::Auto`].
    pub method: Method,
    /// Whether values are equal: then a p by [`Method::Exact`] is only approximate.
    pub ties: bool,
}

/// Tests whether values of `x` tend to be smaller or greater than those of `y`, as
/// `scipy.stats.mannwhitneyu` does (Mann and Whitney 1947).
///
/// [`Method::Auto`] is exact if the smaller sample has at most eight values and no two values are
/// equal, and else asymptotic: normal, corrected for ties, and with half a step of `continuity`. The
/// exact distribution ignores ties, and rounds U down.
///
/// [`Method::Permutation`] goes through all ways to choose the first sample from these very values, ties
/// included, given what they are (Pitman 1937). Its two-sided p is twice the shorter tail, as that of
/// `scipy.stats.permutation_test`. It takes up to 50 values of both samples together.
///
/// # Errors
///
/// If a sample is empty or has a NaN; if all values are equal and there is no continuity correction;
/// if counting would take too long.
pub fn mann_whitney(
    x: &[f64],
    y: &[f64],
    alternative: Alternative,
    method: Method,
    continuity: bool,
) -> Result<MannWhitney> {
    at_least("the first sample", x.len(), 1)?;
    at_least("the second sample", y.len(), 1)?;
    ordered("the first sample", x)?;
    ordered("the second sample", y)?;
    let ranks = Ranks::of(&[x, y].concat());
    let (n1, n2) = (x.len() as f64, y.len() as f64);
    let u1 = ranks.ranks[..x.len()].iter().sum::<f64>() - n1 * (n1 + 1.0) / 2.0;
    let u2 = n1 * n2 - u1;
    let (u, sides) = match alternative {
        Alternative::TwoSided => (u1.max(u2), 2.0),
        Alternative::Less => (u2, 1.0),
        Alternative::Greater => (u1, 1.0),
    };
    let method = match method {
        Method::Auto if x.len().min(y.len()) <= AUTO_LIMIT && !ranks.has_ties() => Method::Exact,
        Method::Auto => Method::Asymptotic,
        given => given,
    };
    let p = match method {
        Method::Permutation => permutation(&ranks, x.len())?.p(alternative),
        Method::Exact => sides * exact_tail(x.len(), y.len(), u.floor() as usize)?,
        _ => sides * asymptotic_tail(&ranks, n1, n2, u, continuity)?,
    };
    Ok(MannWhitney { u1, u2, p: p.min(1.0), method, ties: ranks.has_ties() })
}

/// The tails of the sum of the first `chosen` ranks, when every choice of so many is as likely as any
/// other.
fn permutation(ranks: &Ranks, chosen: usize) -> Result<Tails> {
    let ranks = ranks.doubled();
    if ranks.len() > PERMUTATION_LIMIT {
        return Err(Undefined::TooLarge { left: chosen, right: ranks.len() - chosen });
    }
    let sum = ranks[..chosen].iter().sum();
    Ok(Tails::of(&choices(&ranks, chosen), sum, sum))
}

/// In how many choices of `chosen` of the `ranks` their sum is 0, 1, ….
fn choices(ranks: &[usize], chosen: usize) -> Vec<f64> {
    let all = ranks.iter().sum::<usize>();
    let mut counts = vec![vec![0.0; all + 1]; chosen + 1];
    counts[0][0] = 1.0;
    for &rank in ranks {
        // From the largest choice down, so that no rank is chosen twice.
        for size in (1..=chosen).rev() {
            let (smaller, larger) = counts.split_at_mut(size);
            for (with, without) in larger[0][rank..].iter_mut().zip(&smaller[size - 1]) {
                *with += without;
            }
        }
    }
    counts.swap_remove(chosen)
}

/// P(U ≥ u) by the normal approximation.
fn asymptotic_tail(ranks: &Ranks, n1: f64, n2: f64, u: f64, continuity: bool) -> Result<f64> {
    let n = n1 + n2;
    let variance = n1 * n2 / 12.0 * ((n + 1.0) - ranks.tie_term() / (n * (n - 1.0)));
    let distance = u - n1 * n2 / 2.0 - if continuity { 0.5 } else { 0.0 };
    let z = distance / variance.sqrt();
    if z.is_nan() { Err(Undefined::NoSpread { what: "the two samples together" }) } else { Ok(normal_sf(z)) }
}

/// P(U ≥ u) when every order of the values is as likely as any other.
fn exact_tail(n1: usize, n2: usize, u: usize) -> Result<f64> {
    // The distribution is symmetric, so P(U ≥ u) = P(U ≤ n1 n2 − u), and the shorter tail is counted.
    let pairs = n1 * n2;
    let lower = pairs - u;
    if 2 * lower <= pairs {
        let counts = counts(n1, n2, lower)?;
        return Ok(ratio(&counts.iter().sum(), &binomial(n1 + n2, n1)));
    }
    if u == 0 {
        return Ok(1.0);
    }
    let counts = counts(n1, n2, u - 1)?;
    let all = binomial(n1 + n2, n1);
    let below: BigUint = counts.iter().sum();
    Ok(ratio(&(&all - below), &all))
}

/// In how many orders of the values U is 0, 1, … `most`: the coefficients of the Gaussian binomial
/// (n1 + n2 over n1), the product over i ≤ n1 of (1 − q^(n2+i)) / (1 − q^i).
fn counts(n1: usize, n2: usize, most: usize) -> Result<Vec<BigUint>> {
    let (small, large) = (n1.min(n2), n1.max(n2));
    if 2 * small as u128 * most as u128 > MAX_WORK {
        return Err(Undefined::TooLarge { left: n1, right: n2 });
    }
    let mut counts = vec![BigUint::ZERO; most + 1];
    counts[0] = 1u32.into();
    for i in 1..=small {
        for k in i..=most {
            let (before, from) = counts.split_at_mut(k);
            from[0] += &before[k - i];
        }
        // Each coefficient of the quotient is at least the one that is taken away.
        for k in (large + i..=most).rev() {
            let (before, from) = counts.split_at_mut(k);
            from[0] -= &before[k - large - i];
        }
    }
    Ok(counts)
}

fn binomial(n: usize, k: usize) -> BigUint {
    let k = k.min(n - k);
    (1..=k).fold(BigUint::from(1u32), |product, i| product * (n - k + i) / i)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn p(x: &[f64], y: &[f64], method: Method) -> Result<f64> {
        mann_whitney(x, y, Alternative::TwoSided, method, true).map(|test| test.p)
    }

    #[test]
    fn counts_add_up_to_all_orders_and_are_symmetric() {
        for (n1, n2) in [(1, 1), (3, 5), (7, 4), (6, 6)] {
            let counts = counts(n1, n2, n1 * n2).unwrap();
            assert_eq!(counts.iter().sum::<BigUint>(), binomial(n1 + n2, n1));
            assert!(counts.iter().eq(counts.iter().rev()));
        }
        // Mann and Whitney 1947, table I: n = 3, m = 3 has P(U ≤ 1) = 0.100.
        assert_eq!(counts(3, 3, 1).unwrap().iter().sum::<BigUint>(), 2u32.into());
    }

    #[test]
    fn full_separation_of_five_and_five_is_the_smallest_p() {
        let (x, y) = ([1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0]);
        assert!((p(&x, &y, Method::Auto).unwrap() - 2.0 / 252.0).abs() < 1e-17);
    }

    #[test]
    fn what_has_no_answer_says_why() {
        assert!(matches!(p(&[], &[1.0], Method::Auto), Err(Undefined::TooFew { found: 0, .. })));
        assert!(matches!(
            p(&[1.0, f64::NAN], &[1.0], Method::Auto),
            Err(Undefined::NotFinite { number: 2, .. })
        ));
        let same = mann_whitney(&[3.0], &[3.0; 4], Alternative::TwoSided, Method::Auto, false);
        assert_eq!(same, Err(Undefined::NoSpread { what: "the two samples together" }));
        assert_eq!(p(&[3.0], &[3.0; 4], Method::Auto), Ok(1.0), "the correction decides, as in SciPy");
        let many: Vec<f64> = (0..5000).map(f64::from).collect();
        assert!(matches!(p(&many, &many, Method::Exact), Err(Undefined::TooLarge { .. })));
        assert_eq!(p(&[f64::NEG_INFINITY], &[f64::INFINITY], Method::Auto), Ok(1.0));
    }

    #[test]
    fn many_values_against_few_are_counted_exactly() {
        // All of eight values below 2000 others: 2 / C(2008, 8).
        let few: Vec<f64> = (0..8).map(f64::from).collect();
        let many: Vec<f64> = (8..2008).map(f64::from).collect();
        let orders: f64 = (1..=8).map(|i| f64::from(2000 + i) / f64::from(i)).product();
        let p = p(&few, &many, Method::Auto).unwrap();
        assert!((p * orders / 2.0 - 1.0).abs() < 1e-13, "{p}");
    }

    #[test]
    fn ties_are_counted_as_they_are() {
        // Three equal values wholly above three: 2 / C(6, 3). The approximation has 0.0369.
        let (low, high) = ([0.2; 3], [0.3; 3]);
        assert_eq!(p(&low, &high, Method::Permutation), Ok(0.1));
        assert!(p(&low, &high, Method::Auto).unwrap() < 0.05);
        // One of C(7, 3) choices has so large a sum, 18 of 5.5, 5.5 and 7.
        let (x, y) = ([38.0, 38.0, 39.0], [30.0, 30.0, 31.0, 31.0]);
        assert_eq!(p(&x, &y, Method::Permutation), Ok(2.0 / 35.0));
        assert_eq!(p(&[3.0], &[3.0; 4], Method::Permutation), Ok(1.0));
        let many = vec![0.0; 51];
        assert!(matches!(p(&many, &[1.0], Method::Permutation), Err(Undefined::TooLarge { .. })));
    }

    #[test]
    fn arrangements_without_ties_are_those_of_the_exact_distribution() {
        for (n1, n2) in [(1, 1), (4, 7), (8, 8), (25, 25), (3, 47)] {
            for shift in 0..n1 {
                let x: Vec<f64> = (0..n1).map(|i| f64::from(i * 3 + shift)).collect();
                let y: Vec<f64> = (0..n2).map(|i| f64::from(i * 2) + 0.5).collect();
                let (exact, counted) = (p(&x, &y, Method::Exact), p(&x, &y, Method::Permutation));
                assert!((counted.unwrap() / exact.unwrap() - 1.0).abs() < 1e-14, "{n1} {n2} {shift}");
            }
        }
    }

    fn sample() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec((-20i32..20).prop_map(|v| f64::from(v) / 4.0), 1..14)
    }

    proptest! {
        #[test]
        fn the_two_sides_mirror_each_other(x in sample(), y in sample()) {
            let both = |x: &[f64], y: &[f64], alternative| {
                mann_whitney(x, y, alternative, Method::Auto, true).unwrap()
            };
            let (there, back) =
                (both(&x, &y, Alternative::TwoSided), both(&y, &x, Alternative::TwoSided));
            prop_assert_eq!(there.u1 + there.u2, (x.len() * y.len()) as f64);
            prop_assert_eq!((there.u1, there.u2), (back.u2, back.u1));
            prop_assert!((there.p - back.p).abs() < 1e-14);
            let (less, greater) = (both(&x, &y, Alternative::Less), both(&y, &x, Alternative::Greater));
            prop_assert!((less.p - greater.p).abs() < 1e-14);
            prop_assert!((0.0..=1.0).contains(&there.p));
        }

        #[test]
        fn arrangements_agree_with_trying_them(
            x in prop::collection::vec((0i32..6).prop_map(f64::from), 1..6),
            y in prop::collection::vec((0i32..6).prop_map(f64::from), 1..6),
        ) {
            let ranks = Ranks::of(&[&x[..], &y].concat()).ranks;
            let sum = |choice: u32| -> f64 {
                ranks.iter().enumerate().filter(|(i, _)| choice >> i & 1 == 1).map(|(_, rank)| rank).sum()
            };
            let choices: Vec<u32> =
                (0..1 << ranks.len()).filter(|choice: &u32| choice.count_ones() as usize == x.len()).collect();
            let observed = sum((1 << x.len()) - 1);
            let share = |wanted: &dyn Fn(f64) -> bool| {
                choices.iter().filter(|choice| wanted(sum(**choice))).count() as f64 / choices.len() as f64
            };
            let (lower, upper) = (share(&|sum| sum <= observed), share(&|sum| sum >= observed));
            let of = |alternative| mann_whitney(&x, &y, alternative, Method::Permutation, true).unwrap().p;
            prop_assert!((of(Alternative::Less) - lower).abs() < 1e-12);
            prop_assert!((of(Alternative::Greater) - upper).abs() < 1e-12);
            prop_assert!((of(Alternative::TwoSided) - (2.0 * lower.min(upper)).min(1.0)).abs() < 1e-12);
        }

        #[test]
        fn only_the_order_of_values_counts(x in sample(), y in sample()) {
            let bent = |values: &[f64]| values.iter().map(|v| v.powi(3) + 7.0).collect::<Vec<_>>();
            let of = |x: &[f64], y: &[f64]| mann_whitney(x, y, Alternative::Less, Method::Auto, true);
            prop_assert_eq!(of(&x, &y), of(&bent(&x), &bent(&y)));
        }
    }
}
