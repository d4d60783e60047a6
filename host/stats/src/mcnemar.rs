//! McNemar's exact test: two classifiers on the same cases.

use num_bigint::BigUint;
use serde::Serialize;

use crate::{Result, distribution::ratio, error::paired};

/// What the test found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// Cases that only the first has right.
    pub only_first: u64,
    /// Cases that only the second has right.
    pub only_second: u64,
    /// Cases in all.
    pub cases: u64,
    /// The two-sided p: 1 if no case tells them apart.
    pub p: f64,
}

/// Tests whether two classifiers are right equally often (McNemar 1947), exactly: given the cases that
/// one alone has right, each side is as likely as the other.
///
/// # Errors
///
/// If the lists differ in length.
pub fn mcnemar(first_right: &[bool], second_right: &[bool]) -> Result<McNemar> {
    paired(first_right.len(), second_right.len())?;
    let count = |wanted: (bool, bool)| {
        first_right.iter().zip(second_right).filter(|(a, b)| (**a, **b) == wanted).count() as u64
    };
    let (only_first, only_second) = (count((true, false)), count((false, true)));
    let cases = first_right.len() as u64;
    Ok(McNemar { only_first, only_second, cases, p: sign_test(only_first, only_second) })
}

/// The exact two-sided p of `plus` against `minus` when both are equally likely (sign test): twice the
/// smaller tail of the binomial distribution, at most 1.
pub fn sign_test(plus: u64, minus: u64) -> f64 {
    let (n, few) = (plus + minus, plus.min(minus));
    let mut ways = BigUint::from(1u32);
    let mut tail = ways.clone();
    for k in 1..=few {
        ways = ways * (n - k + 1) / k;
        tail += &ways;
    }
    (2.0 * ratio(&tail, &(BigUint::from(1u32) << n))).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Undefined;

    #[test]
    fn only_cases_that_differ_count() {
        let first = [true, true, true, true, true, true, false, false];
        let second = [false, false, false, false, false, true, false, true];
        let test = mcnemar(&first, &second).unwrap();
        assert_eq!((test.only_first, test.only_second, test.cases), (5, 1, 8));
        // (1 + 6) / 2^6, twice.
        assert!((test.p - 14.0 / 64.0).abs() < 1e-15);
        assert_eq!(mcnemar(&first, &first).unwrap().p, 1.0);
        assert_eq!(mcnemar(&[], &[true]), Err(Undefined::Unpaired { left: 0, right: 1 }));
    }

    #[test]
    fn the_sides_are_exchangeable_and_more_evidence_lowers_p() {
        for n in [1, 7, 40] {
            let ps: Vec<f64> = (0..=n / 2).map(|few| sign_test(few, n - few)).collect();
            assert!(ps.is_sorted(), "{ps:?}");
            assert_eq!(ps[0], sign_test(n, 0));
            assert!((ps[0] - 2f64.powi(1 - n as i32)).abs() < 1e-300);
        }
        assert!(sign_test(0, 3000) == 0.0 && sign_test(1, 1000) > 0.0, "2^-2999 is below every float");
    }
}
