//! What a number of runs can tell: power, and the minimum detectable difference.

use crate::{
    Result, Undefined,
    distribution::Student,
    error::{at_least, share},
};

/// How runs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    /// This many pairs, and the deviation is that of their differences.
    Paired(usize),
    /// Two independent samples of these sizes, with the deviation that they have in common.
    Independent(usize, usize),
}

impl Design {
    /// Degrees of freedom, and the factor from a standardised difference to the shift of t.
    fn shape(self) -> Result<(f64, f64)> {
        match self {
            Self::Paired(n) => {
                at_least("the list of pairs", n, 2)?;
                Ok((n as f64 - 1.0, (n as f64).sqrt()))
            }
            Self::Independent(n1, n2) => {
                at_least("the first sample", n1, 1)?;
                at_least("the second sample", n2, 1)?;
                at_least("the two samples together", n1 + n2, 3)?;
                let (n1, n2) = (n1 as f64, n2 as f64);
                Ok((n1 + n2 - 2.0, (n1 * n2 / (n1 + n2)).sqrt()))
            }
        }
    }

    /// Returns the chance that a two-sided t test at `alpha` sees a true difference of `effect`
    /// standard deviations (Cohen 1988, 2.2; by the non-central t, good to 1e-9).
    ///
    /// # Errors
    ///
    /// If there are too few values, `alpha` is not between 0 and 1, or `effect` is not finite.
    pub fn power(self, effect: f64, alpha: f64) -> Result<f64> {
        share("alpha", alpha)?;
        let (freedom, factor) = self.shape()?;
        if !effect.is_finite() {
            return Err(Undefined::NotFinite { what: "the effect", number: 1, value: effect });
        }
        let student = Student::new(freedom);
        let critical = student.quantile(1.0 - alpha / 2.0);
        let shift = effect.abs() * factor;
        // The wrong side: T < −c is −T > c, with the shift turned.
        Ok(student.shifted_sf(critical, shift) + student.shifted_sf(critical, -shift))
    }

    /// Returns the minimum detectable difference: the true difference that a two-sided t test at
    /// `alpha` sees with the chance `power`, in units of `sd`.
    ///
    /// # Errors
    ///
    /// If there are too few values, `alpha` or `power` are not between 0 and 1, `power` is not above
    /// `alpha`, or `sd` is not positive and finite.
    pub fn detectable(self, sd: f64, alpha: f64, power: f64) -> Result<f64> {
        share("power", power)?;
        share("alpha", alpha)?;
        if power <= alpha {
            return Err(Undefined::Parameter { name: "power", value: power, allowed: "above alpha" });
        }
        if !(sd > 0.0 && sd.is_finite()) {
            return Err(Undefined::NoSpread { what: "the sample" });
        }
        let (mut low, mut high) = (0.0, 1.0);
        while self.power(high, alpha)? < power {
            (low, high) = (high, 2.0 * high);
        }
        // Power rises with the effect; some fifty halvings exhaust a float.
        while high - low > 1e-12 * high {
            let middle = (low + high) / 2.0;
            if self.power(middle, alpha)? < power { low = middle } else { high = middle }
        }
        Ok(high * sd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_difference_power_is_alpha() {
        for design in
            [Design::Paired(2), Design::Paired(10), Design::Independent(5, 5), Design::Independent(90, 100)]
        {
            let power = design.power(0.0, 0.05).unwrap();
            assert!((power - 0.05).abs() < 1e-9, "{design:?}: {power}");
        }
    }

    #[test]
    fn more_runs_see_smaller_differences() {
        let mdd: Vec<f64> = (3..12).map(|n| Design::Paired(n).detectable(2.0, 0.05, 0.8).unwrap()).collect();
        assert!(mdd.windows(2).all(|two| two[0] > two[1]), "{mdd:?}");
        let power = Design::Paired(7).power(mdd[4] / 2.0, 0.05).unwrap();
        assert!((power - 0.8).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        assert!(Design::Paired(1).power(1.0, 0.05).is_err());
        assert!(Design::Independent(1, 1).power(1.0, 0.05).is_err());
        assert!(Design::Paired(5).detectable(0.0, 0.05, 0.8).is_err());
        assert!(Design::Paired(5).detectable(1.0, 0.5, 0.4).is_err());
    }
}
