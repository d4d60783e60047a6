//! Rank correlation: Spearman's ρ and Kendall's τ-b, with p-values and intervals.

use num_bigint::BigUint;
use serde::Serialize;

use crate::{
    Alternative, Method, Result, Undefined,
    distribution::{Student, normal_p, normal_quantile, ratio},
    error::{at_least, ordered, paired, share},
    rank::Ranks,
};

/// Up to this many values without ties, Kendall's p is exact (SciPy's limit).
const KENDALL_EXACT: usize = 33;

/// A rank correlation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Correlation {
    /// From −1 to 1.
    pub coefficient: f64,
    /// The p of "there is no association"; none if there are too few values.
    pub p: Option<f64>,
    /// How p was computed.
    pub method: Method,
    /// Number of pairs.
    pub n: usize,
    /// Variance of the Fisher-transformed coefficient, times n − 3 or n − 4.
    factor: f64,
    /// What n is reduced by.
    lost: usize,
}

impl Correlation {
    /// Returns the interval at `level` by Fisher's transformation, with the variances for ranks of
    /// Bonett and Wright (2000): (1 + ρ²/2)/(n − 3) of ρ, and 0.437/(n − 4) of τ (Fieller, Hartley and
    /// Pearson 1957).
    ///
    /// # Errors
    ///
    /// If there are too few values, `level` is not between 0 and 1, or the coefficient is 1 or −1,
    /// where the transformation is infinite.
    pub fn interval(&self, level: f64) -> Result<[f64; 2]> {
        share("the level", level)?;
        at_least("the list of pairs", self.n, self.lost + 1)?;
        if self.coefficient.abs() == 1.0 {
            return Err(Undefined::NoSpread { what: "the difference of the ranks" });
        }
        let deviation = (self.factor / (self.n - self.lost) as f64).sqrt();
        let half = normal_quantile(0.5 + level / 2.0) * deviation;
        let centre = self.coefficient.atanh();
        Ok([(centre - half).tanh(), (centre + half).tanh()])
    }
}

/// Computes Spearman's ρ, as `scipy.stats.spearmanr` does: the correlation of the ranks, with a p by
/// Student's t with n − 2 degrees of freedom.
///
/// # Errors
///
/// If the lists differ in length, have fewer than two values or a NaN, or one of them is constant.
pub fn spearman(x: &[f64], y: &[f64], alternative: Alternative) -> Result<Correlation> {
    check(x, y)?;
    let (x, y) = (Ranks::of(x), Ranks::of(y));
    spread(&x, &y)?;
    let n = x.ranks.len();
    let mean = (n as f64 + 1.0) / 2.0;
    let product = |a: &Ranks, b: &Ranks| -> f64 {
        a.ranks.iter().zip(&b.ranks).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let rho = product(&x, &y) / (product(&x, &x) * product(&y, &y)).sqrt();
    let rho = rho.clamp(-1.0, 1.0);
    let p = (n > 2).then(|| {
        let freedom = n as f64 - 2.0;
        Student::new(freedom).p(rho * (freedom / ((1.0 + rho) * (1.0 - rho))).sqrt(), alternative)
    });
    let factor = 1.0 + rho * rho / 2.0;
    Ok(Correlation { coefficient: rho, p, method: Method::Asymptotic, n, factor, lost: 3 })
}

/// Computes Kendall's τ-b, as `scipy.stats.kendalltau` does, in n log n steps (Knight 1966). Its p is
/// exact without ties, up to 33 values or for an order that is turned at no more than one place, and
/// else normal with the variance for ties (Kendall 1970).
///
/// # Errors
///
/// As [`spearman`].
pub fn kendall(x: &[f64], y: &[f64], alternative: Alternative) -> Result<Correlation> {
    check(x, y)?;
    let (rx, ry) = (Ranks::of(x), Ranks::of(y));
    spread(&rx, &ry)?;
    let n = x.len();
    let mut order: Vec<usize> = (0..n).collect();
    let by = |ranks: &Ranks, a: usize, b: usize| ranks.ranks[a].total_cmp(&ranks.ranks[b]);
    order.sort_by(|&a, &b| by(&rx, a, b).then(by(&ry, a, b)));
    let joint = order.chunk_by(|&a, &b| rx.ranks[a] == rx.ranks[b] && ry.ranks[a] == ry.ranks[b]);
    let joint: u64 = joint.map(|group| pairs(group.len())).sum();
    let mut sequence: Vec<f64> = order.iter().map(|&i| ry.ranks[i]).collect();
    let mut buffer = sequence.clone();
    let discordant = inversions(&mut sequence, &mut buffer);
    let tied = |ranks: &Ranks| ranks.groups.iter().map(|&size| pairs(size)).sum::<u64>();
    let (x_ties, y_ties, all) = (tied(&rx), tied(&ry), pairs(n));
    let score = all as f64 - x_ties as f64 - y_ties as f64 + joint as f64 - 2.0 * discordant as f64;
    let tau = score / ((all - x_ties) as f64 * (all - y_ties) as f64).sqrt();
    let fewest = discordant.min(all - discordant);
    let exact = x_ties == 0 && y_ties == 0 && (n <= KENDALL_EXACT || fewest <= 1);
    let (p, method) = if exact {
        (Some(kendall_exact(n, all, discordant, alternative)), Method::Exact)
    } else {
        (kendall_normal(&rx, &ry, score, alternative), Method::Asymptotic)
    };
    Ok(Correlation { coefficient: tau.clamp(-1.0, 1.0), p, method, n, factor: 0.437, lost: 4 })
}

fn check(x: &[f64], y: &[f64]) -> Result<()> {
    paired(x.len(), y.len())?;
    at_least("the list of pairs", x.len(), 2)?;
    ordered("the first values", x)?;
    ordered("the second values", y)
}

fn spread(x: &Ranks, y: &Ranks) -> Result<()> {
    for (ranks, what) in [(x, "the list of first values"), (y, "the list of second values")] {
        if ranks.groups.len() == 1 {
            return Err(Undefined::NoSpread { what });
        }
    }
    Ok(())
}

fn pairs(n: usize) -> u64 {
    let n = n as u64;
    n * n.saturating_sub(1) / 2
}

/// Counts pairs in the wrong order, and sorts, by merging.
fn inversions(values: &mut [f64], buffer: &mut [f64]) -> u64 {
    if values.len() < 2 {
        return 0;
    }
    let half = values.len() / 2;
    let mut count = {
        let (left, right) = values.split_at_mut(half);
        let (left_buffer, right_buffer) = buffer.split_at_mut(half);
        inversions(left, left_buffer) + inversions(right, right_buffer)
    };
    let (mut left, mut right) = (0, half);
    for place in buffer.iter_mut() {
        if right == values.len() || (left < half && values[left] <= values[right]) {
            *place = values[left];
            left += 1;
        } else {
            *place = values[right];
            right += 1;
            count += (half - left) as u64;
        }
    }
    values.copy_from_slice(buffer);
    count
}

/// The p of a score by the normal approximation; none for two values, where it has no variance.
fn kendall_normal(x: &Ranks, y: &Ranks, score: f64, alternative: Alternative) -> Option<f64> {
    let n = x.ranks.len() as f64;
    let sum =
        |ranks: &Ranks, of: fn(f64) -> f64| -> f64 { ranks.groups.iter().map(|&size| of(size as f64)).sum() };
    let m = n * (n - 1.0);
    let ordered = |ranks: &Ranks| sum(ranks, |t| t * (t - 1.0) * (2.0 * t + 5.0));
    let triples = |ranks: &Ranks| sum(ranks, |t| t * (t - 1.0) * (t - 2.0));
    let doubles = |ranks: &Ranks| sum(ranks, |t| t * (t - 1.0));
    let variance = (m * (2.0 * n + 5.0) - ordered(x) - ordered(y)) / 18.0
        + doubles(x) * doubles(y) / (2.0 * m)
        + triples(x) * triples(y) / (9.0 * m * (n - 2.0));
    (n > 2.0 && variance > 0.0).then(|| normal_p(score / variance.sqrt(), alternative))
}

/// The p of `discordant` pairs when all orders of n different values are equally likely.
fn kendall_exact(n: usize, all: u64, discordant: u64, alternative: Alternative) -> f64 {
    let concordant = all - discordant;
    let fewest = concordant.min(discordant);
    // Orders with up to `fewest` inversions: the product over j ≤ n of (1 − q^j) / (1 − q).
    let most = usize::try_from(fewest).expect("few pairs");
    let mut orders = vec![BigUint::ZERO; most + 1];
    orders[0] = 1u32.into();
    for j in 2..=n {
        for k in 1..=most {
            let (before, from) = orders.split_at_mut(k);
            from[0] += &before[k - 1];
        }
        for k in (j..=most).rev() {
            let (before, from) = orders.split_at_mut(k);
            from[0] -= &before[k - j];
        }
    }
    // n! takes many digits, but a few factors are enough to make the quotient 0.
    let share = |count: &BigUint| {
        let mut share = ratio(count, &1u32.into());
        for j in 2..=n {
            share /= j as f64;
            if share == 0.0 {
                break;
            }
        }
        share
    };
    let tail = share(&orders.iter().sum());
    let opposite = 1.0 - tail + share(&orders[most]);
    let is_greater = concordant >= discordant;
    match alternative {
        Alternative::TwoSided => (2.0 * tail).min(1.0),
        Alternative::Greater if is_greater => tail,
        Alternative::Less if !is_greater => tail,
        Alternative::Greater | Alternative::Less => opposite.min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_no_answer_says_why() {
        for of in [spearman, kendall] {
            let both = |x: &[f64], y: &[f64]| of(x, y, Alternative::TwoSided);
            assert!(matches!(both(&[1.0, 2.0], &[3.0, 3.0]), Err(Undefined::NoSpread { .. })));
            assert!(matches!(both(&[1.0], &[3.0]), Err(Undefined::TooFew { .. })));
            assert!(matches!(both(&[1.0, 2.0], &[3.0]), Err(Undefined::Unpaired { .. })));
            assert!(matches!(both(&[1.0, f64::NAN], &[3.0, 4.0]), Err(Undefined::NotFinite { .. })));
            let perfect = both(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
            assert_eq!(perfect.coefficient, 1.0);
            assert!(perfect.interval(0.95).is_err());
        }
        assert_eq!(spearman(&[1.0, 2.0], &[1.0, 2.0], Alternative::TwoSided).unwrap().p, None);
    }

    proptest! {
        #[test]
        fn pairs_are_counted_as_by_hand(
            cases in prop::collection::vec((0i32..12, 0i32..12), 2..30)
        ) {
            let (x, y): (Vec<f64>, Vec<f64>) =
                cases.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).unzip();
            let (mut score, mut dx, mut dy) = (0, 0, 0);
            for i in 0..cases.len() {
                for j in 0..i {
                    let (a, b) = ((cases[i].0 - cases[j].0).signum(), (cases[i].1 - cases[j].1).signum());
                    score += a * b;
                    dx += a * a;
                    dy += b * b;
                }
            }
            match kendall(&x, &y, Alternative::TwoSided) {
                Ok(found) => {
                    let expected = f64::from(score) / (f64::from(dx) * f64::from(dy)).sqrt();
                    prop_assert!((found.coefficient - expected).abs() < 1e-12);
                }
                Err(_) => prop_assert!(dx == 0 || dy == 0),
            }
        }

        #[test]
        fn only_order_counts_and_turning_one_side_turns_the_sign(
            cases in prop::collection::vec((-9i32..9, -9i32..9), 5..30)
        ) {
            let (x, y): (Vec<f64>, Vec<f64>) =
                cases.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).unzip();
            let bent: Vec<f64> = x.iter().map(|v| v.powi(3) + 1.0).collect();
            let turned: Vec<f64> = y.iter().map(|v| -v).collect();
            for of in [spearman, kendall] {
                let there = of(&x, &y, Alternative::Greater);
                prop_assert_eq!(&there, &of(&bent, &y, Alternative::Greater));
                if let (Ok(there), Ok(back)) = (there, of(&x, &turned, Alternative::Less)) {
                    prop_assert!((there.coefficient + back.coefficient).abs() < 1e-12);
                    prop_assert!((there.p.unwrap() - back.p.unwrap()).abs() < 1e-12);
                    if let Ok([low, high]) = there.interval(0.95) {
                        prop_assert!(low < there.coefficient && there.coefficient < high);
                    }
                }
            }
        }
    }
}
