//! Corrections for several tests of one family. The family is what is passed: all tests that were
//! planned, not those that came out well.

use crate::{Result, Undefined};

/// Returns Holm's step-down adjusted p-values (1979), in the order of `p`: the chance of any false
/// rejection in the family stays below the level.
///
/// # Errors
///
/// If a p is not in 0…1.
pub fn holm(p: &[f64]) -> Result<Vec<f64>> {
    let order = sorted(p)?;
    let mut adjusted = vec![0.0; p.len()];
    let mut least = 0.0f64;
    for (place, &index) in order.iter().enumerate() {
        least = least.max(p[index] * (p.len() - place) as f64).min(1.0);
        adjusted[index] = least;
    }
    Ok(adjusted)
}

/// Returns Benjamini's and Hochberg's adjusted p-values (1995), in the order of `p`: of the rejections,
/// the expected share of false ones stays below the level, for independent or positively dependent
/// tests.
///
/// # Errors
///
/// If a p is not in 0…1.
pub fn benjamini_hochberg(p: &[f64]) -> Result<Vec<f64>> {
    let order = sorted(p)?;
    let mut adjusted = vec![0.0; p.len()];
    let mut most = 1.0f64;
    for (place, &index) in order.iter().enumerate().rev() {
        most = most.min(p[index] * p.len() as f64 / (place + 1) as f64);
        adjusted[index] = most;
    }
    Ok(adjusted)
}

/// Indices from the smallest p to the greatest.
fn sorted(p: &[f64]) -> Result<Vec<usize>> {
    if let Some(&value) = p.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Undefined::Parameter { name: "a p-value", value, allowed: "from 0 to 1" });
    }
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    Ok(order)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_p_that_is_none_is_refused() {
        for bad in [f64::NAN, -0.1, 1.1] {
            assert!(holm(&[0.5, bad]).is_err() && benjamini_hochberg(&[bad]).is_err());
        }
        assert_eq!(holm(&[]), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn adjusted_values_keep_the_order_and_never_help(
            p in prop::collection::vec(0.0f64..=1.0, 1..20)
        ) {
            let (holm, fdr) = (holm(&p).unwrap(), benjamini_hochberg(&p).unwrap());
            for i in 0..p.len() {
                // p n / n may round below p.
                prop_assert!(p[i] <= fdr[i] + 1e-15 && fdr[i] <= holm[i] + 1e-15 && holm[i] <= 1.0);
                prop_assert!(holm[i] <= (p[i] * p.len() as f64).min(1.0) + 1e-15, "never above Bonferroni");
                for j in 0..p.len() {
                    if p[i] <= p[j] {
                        prop_assert!(holm[i] <= holm[j] && fdr[i] <= fdr[j]);
                    }
                }
            }
        }

        #[test]
        fn a_further_test_never_makes_others_more_significant(
            p in prop::collection::vec(0.0f64..=1.0, 2..12)
        ) {
            let (all, fewer) = (holm(&p).unwrap(), holm(&p[1..]).unwrap());
            for (all, fewer) in all[1..].iter().zip(fewer) {
                prop_assert!(fewer <= *all + 1e-15);
            }
        }
    }
}
