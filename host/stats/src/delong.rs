//! DeLong's variance of the area under the ROC curve, and of the difference of two areas on the same
//! cases (DeLong, DeLong and Clarke-Pearson 1988), by midranks (Sun and Xu 2014).

use serde::Serialize;

use crate::{
    Alternative, Result, Undefined,
    distribution::{normal_p, normal_quantile},
    error::{at_least, ordered, paired, share},
    rank::Ranks,
};

/// An area under a ROC curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Auroc {
    /// The chance that a positive case scores above a negative one, ties counting half.
    pub auroc: f64,
    /// Its variance.
    pub variance: f64,
    /// Positive cases.
    pub positives: usize,
    /// Negative cases.
    pub negatives: usize,
}

impl Auroc {
    /// Computes area and variance of `scores`; `positive` says which cases have the finding.
    ///
    /// # Errors
    ///
    /// If the lists differ in length, there are fewer than two positive or negative cases, or a score
    /// is NaN.
    pub fn of(scores: &[f64], positive: &[bool]) -> Result<Self> {
        let placements = Placements::of("the scores", scores, positive)?;
        let variance = placements.covariance(&placements);
        let (positives, negatives) = (placements.positives.len(), placements.negatives.len());
        Ok(Self { auroc: placements.area, variance, positives, negatives })
    }

    /// Returns the normal interval at `level`, cut at 0 and 1.
    ///
    /// # Errors
    ///
    /// If `level` is not between 0 and 1, or the variance is 0: an area of 0 or 1 of few cases is not
    /// certain, but this method cannot tell how uncertain it is.
    pub fn interval(&self, level: f64) -> Result<[f64; 2]> {
        share("the level", level)?;
        if self.variance <= 0.0 {
            return Err(Undefined::NoSpread { what: "the list of placements of the scores" });
        }
        let half = normal_quantile(0.5 + level / 2.0) * self.variance.sqrt();
        Ok([(self.auroc - half).max(0.0), (self.auroc + half).min(1.0)])
    }
}

/// The difference of two areas on the same cases.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AurocDifference {
    /// The first area.
    pub first: Auroc,
    /// The second area.
    pub second: Auroc,
    /// First minus second.
    pub difference: f64,
    /// Variance of the difference, greater than 0.
    pub variance: f64,
}

impl AurocDifference {
    /// Compares two models' scores of the same cases.
    ///
    /// # Errors
    ///
    /// As [`Auroc::of`], and if the difference has no variance, as when both rank all cases alike.
    pub fn of(first: &[f64], second: &[f64], positive: &[bool]) -> Result<Self> {
        let a = Placements::of("the first scores", first, positive)?;
        let b = Placements::of("the second scores", second, positive)?;
        let variance = a.covariance(&a) + b.covariance(&b) - 2.0 * a.covariance(&b);
        // What is left of three terms that cancel is rounding.
        if variance <= 1e-14 * (a.covariance(&a) + b.covariance(&b)) {
            return Err(Undefined::NoSpread { what: "the difference of the placements" });
        }
        let (first, second) = (Auroc::of(first, positive)?, Auroc::of(second, positive)?);
        Ok(Self { first, second, difference: first.auroc - second.auroc, variance })
    }

    /// Returns the normal interval of the difference at `level`.
    ///
    /// # Errors
    ///
    /// If `level` is not between 0 and 1.
    pub fn interval(&self, level: f64) -> Result<[f64; 2]> {
        share("the level", level)?;
        let half = normal_quantile(0.5 + level / 2.0) * self.variance.sqrt();
        Ok([self.difference - half, self.difference + half])
    }

    /// The p of "both areas are equal".
    pub fn p(&self, alternative: Alternative) -> f64 {
        normal_p(self.difference / self.variance.sqrt(), alternative)
    }
}

/// For each case, the share of cases of the other class that it is on the right side of.
struct Placements {
    area: f64,
    positives: Vec<f64>,
    negatives: Vec<f64>,
}

impl Placements {
    fn of(what: &'static str, scores: &[f64], positive: &[bool]) -> Result<Self> {
        paired(scores.len(), positive.len())?;
        ordered(what, scores)?;
        let class = |wanted: bool| -> Vec<f64> {
            scores.iter().zip(positive).filter(|(_, p)| **p == wanted).map(|(score, _)| *score).collect()
        };
        let (x, y) = (class(true), class(false));
        at_least("the list of positive cases", x.len(), 2)?;
        at_least("the list of negative cases", y.len(), 2)?;
        let (m, n) = (x.len() as f64, y.len() as f64);
        let all = Ranks::of(&[&x[..], &y[..]].concat()).ranks;
        let (own_x, own_y) = (Ranks::of(&x).ranks, Ranks::of(&y).ranks);
        let positives: Vec<f64> = all.iter().zip(&own_x).map(|(all, own)| (all - own) / n).collect();
        let negatives: Vec<f64> =
            all[x.len()..].iter().zip(&own_y).map(|(all, own)| 1.0 - (all - own) / m).collect();
        Ok(Self { area: positives.iter().sum::<f64>() / m, positives, negatives })
    }

    /// Covariance of the areas of two models (DeLong et al. 1988, eq. 5 to 8).
    fn covariance(&self, other: &Self) -> f64 {
        let of = |a: &[f64], b: &[f64]| -> f64 {
            let products = a.iter().zip(b).map(|(a, b)| (a - self.area) * (b - other.area));
            products.sum::<f64>() / ((a.len() - 1) * a.len()) as f64
        };
        of(&self.positives, &other.positives) + of(&self.negatives, &other.negatives)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_no_answer_says_why() {
        let few = Auroc::of(&[0.1, 0.9, 0.5], &[false, true, false]);
        assert!(matches!(few, Err(Undefined::TooFew { found: 1, needed: 2, .. })), "{few:?}");
        let perfect = Auroc::of(&[0.1, 0.2, 0.8, 0.9], &[false, false, true, true]).unwrap();
        assert_eq!((perfect.auroc, perfect.variance), (1.0, 0.0));
        assert!(matches!(perfect.interval(0.95), Err(Undefined::NoSpread { .. })));
        let scores = [0.1, 0.6, 0.4, 0.9];
        let squared = scores.map(|score| score * score);
        let same = AurocDifference::of(&scores, &squared, &[false, false, true, true]);
        assert!(matches!(same, Err(Undefined::NoSpread { .. })), "{same:?}");
        assert!(Auroc::of(&[f64::NAN; 4], &[false, false, true, true]).is_err());
    }

    proptest! {
        #[test]
        fn models_are_exchangeable_and_classes_mirror(
            cases in prop::collection::vec((0u8..12, 0u8..12, any::<bool>()), 8..40)
        ) {
            let first: Vec<f64> = cases.iter().map(|case| f64::from(case.0)).collect();
            let second: Vec<f64> = cases.iter().map(|case| f64::from(case.1)).collect();
            let truth: Vec<bool> = cases.iter().map(|case| case.2).collect();
            let turned: Vec<bool> = truth.iter().map(|t| !t).collect();
            if let Ok(there) = AurocDifference::of(&first, &second, &truth) {
                let back = AurocDifference::of(&second, &first, &truth).unwrap();
                prop_assert!((there.difference + back.difference).abs() < 1e-12);
                prop_assert!((there.variance - back.variance).abs() < 1e-12);
                let mirrored = Auroc::of(&first, &turned).unwrap();
                prop_assert!((mirrored.auroc - (1.0 - there.first.auroc)).abs() < 1e-12);
                prop_assert!((mirrored.variance - there.first.variance).abs() < 1e-12);
                prop_assert!(there.first.variance >= 0.0);
            }
        }
    }
}
