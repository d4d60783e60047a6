//! Differences of means: intervals and tests by Student's t, and equivalence.

use serde::Serialize;

use crate::{
    Alternative, Result, Undefined,
    distribution::Student,
    error::{at_least, finite, paired, share},
};

/// Mean of values, and how much they vary.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Moments {
    /// Number of values.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (ddof 1); none of a single value.
    pub sd: Option<f64>,
}

impl Moments {
    /// Of `values`.
    ///
    /// # Errors
    ///
    /// If there is none, or one is not finite.
    pub fn of(values: &[f64]) -> Result<Self> {
        at_least("the sample", values.len(), 1)?;
        finite("the sample", values)?;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let sd = (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
        Ok(Self { n: values.len(), mean, sd })
    }
}

/// A difference of means, with what is needed for tests of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanDifference {
    /// First mean minus second.
    pub difference: f64,
    /// Its standard error, greater than 0.
    pub standard_error: f64,
    /// Degrees of freedom of Student's t.
    pub freedom: f64,
}

impl MeanDifference {
    /// Of paired values: the mean of `x − y`.
    ///
    /// # Errors
    ///
    /// If there are fewer than two pairs, a value is not finite, or all differences are equal.
    pub fn of_pairs(x: &[f64], y: &[f64]) -> Result<Self> {
        paired(x.len(), y.len())?;
        finite("the first sample", x)?;
        finite("the second sample", y)?;
        at_least("the list of pairs", x.len(), 2)?;
        let differences: Vec<f64> = x.iter().zip(y).map(|(x, y)| x - y).collect();
        let moments = Moments::of(&differences)?;
        let n = moments.n as f64;
        let standard_error = moments.sd.unwrap_or_default() / n.sqrt();
        if is_rounding(standard_error, x, y) {
            return Err(Undefined::NoSpread { what: "the list of differences" });
        }
        Ok(Self { difference: moments.mean, standard_error, freedom: n - 1.0 })
    }

    /// Of independent samples whose variances may differ (Welch 1947).
    ///
    /// # Errors
    ///
    /// If a sample has fewer than two values, a value is not finite, or neither sample varies.
    pub fn of_samples(x: &[f64], y: &[f64]) -> Result<Self> {
        at_least("the first sample", x.len(), 2)?;
        at_least("the second sample", y.len(), 2)?;
        let (mx, my) = (Moments::of(x)?, Moments::of(y)?);
        let variance = |m: &Moments| m.sd.unwrap_or_default().powi(2) / m.n as f64;
        let (vx, vy) = (variance(&mx), variance(&my));
        let standard_error = (vx + vy).sqrt();
        if is_rounding(standard_error, x, y) {
            return Err(Undefined::NoSpread { what: "the two samples, each for itself," });
        }
        let freedom = (vx + vy).powi(2) / (vx * vx / (mx.n as f64 - 1.0) + vy * vy / (my.n as f64 - 1.0));
        Ok(Self { difference: mx.mean - my.mean, standard_error, freedom })
    }

    /// The interval at `level`, such as 0.95.
    ///
    /// # Errors
    ///
    /// If `level` is not between 0 and 1.
    pub fn interval(&self, level: f64) -> Result<[f64; 2]> {
        share("the level", level)?;
        let half = Student::new(self.freedom).quantile(0.5 + level / 2.0) * self.standard_error;
        Ok([self.difference - half, self.difference + half])
    }

    /// The p of the hypothesis that the means differ by `by` (0: not at all).
    pub fn p(&self, by: f64, alternative: Alternative) -> f64 {
        Student::new(self.freedom).p((self.difference - by) / self.standard_error, alternative)
    }

    /// Tests whether the means differ by less than `margin` (two one-sided tests; Schuirmann 1987).
    ///
    /// # Errors
    ///
    /// If `margin` is not positive and finite.
    pub fn equivalence(&self, margin: f64) -> Result<Equivalence> {
        if !(margin > 0.0 && margin.is_finite()) {
            return Err(Undefined::Parameter { name: "the margin", value: margin, allowed: "positive" });
        }
        let p_above = self.p(-margin, Alternative::Greater);
        let p_below = self.p(margin, Alternative::Less);
        Ok(Equivalence { margin, p_above, p_below, p: p_above.max(p_below) })
    }
}

/// The deviation of one value that independent samples have in common, as Student's t pools it.
///
/// # Errors
///
/// If a sample is empty, both together have fewer than three values, a value is not finite, or neither
/// sample varies.
pub(crate) fn pooled(x: &[f64], y: &[f64]) -> Result<f64> {
    at_least("the two samples together", x.len() + y.len(), 3)?;
    let squares = |values: &[f64]| -> Result<f64> {
        Ok(Moments::of(values)?.sd.unwrap_or_default().powi(2) * (values.len() as f64 - 1.0))
    };
    let n = (x.len() + y.len()) as f64;
    let sd = ((squares(x)? + squares(y)?) / (n - 2.0)).sqrt();
    if is_rounding(sd / n.sqrt(), x, y) {
        return Err(Undefined::NoSpread { what: "the two samples, each for itself," });
    }
    Ok(sd)
}

/// Whether a standard error is no more than what rounding makes of values such as these: the mean of equal
/// numbers may differ from them by a last digit.
fn is_rounding(standard_error: f64, x: &[f64], y: &[f64]) -> bool {
    let scale = x.iter().chain(y).fold(0.0f64, |most, value| most.max(value.abs()));
    standard_error <= 4.0 * f64::EPSILON * scale
}

/// What two one-sided tests found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Equivalence {
    /// Differences within ± this much count as none.
    pub margin: f64,
    /// The p of "the difference is −margin or less".
    pub p_above: f64,
    /// The p of "the difference is margin or more".
    pub p_below: f64,
    /// The greater of both: below the level, the methods are equivalent.
    pub p: f64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_without_spread_are_told_apart_from_significant_ones() {
        let constant = MeanDifference::of_pairs(&[0.3, 0.5, 0.7], &[0.1, 0.3, 0.5]);
        assert!(matches!(constant, Err(Undefined::NoSpread { .. })), "rounding is no spread: {constant:?}");
        let still = MeanDifference::of_samples(&[1.0, 1.0], &[2.0, 2.0]);
        assert!(matches!(still, Err(Undefined::NoSpread { .. })));
        // Three times 36/94 has a mean that is not 36/94.
        let (x, y) = ([36.0 / 94.0; 3], [35.0 / 94.0; 3]);
        assert!(Moments::of(&x).unwrap().sd.unwrap() > 0.0);
        assert!(matches!(MeanDifference::of_samples(&x, &y), Err(Undefined::NoSpread { .. })));
        assert!(matches!(pooled(&x, &y), Err(Undefined::NoSpread { .. })));
        assert!(MeanDifference::of_samples(&x, &[0.1, 0.2]).is_ok(), "one that varies is enough");
        // (0 + 2) / (1 + 3 − 2)
        assert_eq!(pooled(&[5.0], &[1.0, 2.0, 3.0]), Ok(1.0));
        assert!(matches!(MeanDifference::of_pairs(&[1.0], &[2.0]), Err(Undefined::TooFew { .. })));
        assert!(matches!(Moments::of(&[f64::INFINITY]), Err(Undefined::NotFinite { .. })));
        assert_eq!(Moments::of(&[2.0]).unwrap().sd, None);
    }

    proptest! {
        #[test]
        fn interval_test_and_equivalence_agree(
            pairs in prop::collection::vec((-1.0f64..1.0, -1.0f64..1.0), 3..20),
            margin in 0.01f64..2.0,
        ) {
            let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let found = MeanDifference::of_pairs(&x, &y).unwrap();
            let [low, high] = found.interval(0.95).unwrap();
            prop_assert_eq!(found.p(0.0, Alternative::TwoSided) < 0.05, low > 0.0 || high < 0.0);
            // TOST at 5 % rejects exactly if the 90 % interval lies within the margins.
            let [low, high] = found.interval(0.90).unwrap();
            let equivalent = found.equivalence(margin).unwrap().p < 0.05;
            prop_assert_eq!(equivalent, -margin < low && high < margin);
        }
    }
}
