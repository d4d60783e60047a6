//! Normal and Student's distribution, and exact counts.
//!
//! Student's distribution is that of `statrs`. Its error function has an error of some 1e-11, so the
//! normal distribution rests on that of `libm`, which is right to the last bit or two.

use std::f64::consts::FRAC_1_SQRT_2;

use num_bigint::BigUint;
use statrs::distribution::{Continuous as _, ContinuousCDF as _, Normal, StudentsT};

use crate::Alternative;

/// P(Z > z) of a standard normal Z.
pub(crate) fn normal_sf(z: f64) -> f64 {
    libm::erfc(z * FRAC_1_SQRT_2) / 2.0
}

/// P(Z ≤ z).
pub(crate) fn normal_cdf(z: f64) -> f64 {
    normal_sf(-z)
}

/// The z with P(Z ≤ z) = `share`; infinite at 0 and 1.
pub(crate) fn normal_quantile(share: f64) -> f64 {
    if share == 0.0 || share == 1.0 {
        return if share == 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let normal = Normal::standard();
    // In the lower half tails have all their digits. A step of Newton gives those that statrs lacks.
    let tail = share.min(1.0 - share);
    let start = normal.inverse_cdf(tail);
    let z = start - (normal_cdf(start) - tail) / normal.pdf(start);
    if share < 0.5 { z } else { -z }
}

/// The p of a standard normal statistic.
pub(crate) fn normal_p(z: f64, alternative: Alternative) -> f64 {
    match alternative {
        Alternative::TwoSided => (2.0 * normal_sf(z.abs())).min(1.0),
        Alternative::Less => normal_cdf(z),
        Alternative::Greater => normal_sf(z),
    }
}

/// Above this many degrees of freedom the incomplete beta function of statrs loses digits.
const MANY: f64 = 1000.0;

/// Student's t with `freedom` > 0 degrees of freedom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Student {
    freedom: f64,
    inner: StudentsT,
}

impl Student {
    pub(crate) fn new(freedom: f64) -> Self {
        let inner = StudentsT::new(0.0, 1.0, freedom).expect("degrees of freedom are positive");
        Self { freedom, inner }
    }

    /// P(T > t).
    pub(crate) fn sf(&self, t: f64) -> f64 {
        if t.is_infinite() {
            f64::from(u8::from(t < 0.0))
        } else if self.freedom > MANY {
            normal_sf(self.as_normal(t))
        } else {
            self.inner.sf(t)
        }
    }

    /// The normal number with (nearly) the same tail as t; for many degrees of freedom its error is
    /// below that of a float's last digits (Hill 1970, algorithm 395).
    fn as_normal(&self, t: f64) -> f64 {
        let a = self.freedom - 0.5;
        let b = 48.0 * a * a;
        let y = a * (t * t / self.freedom).ln_1p();
        let head = ((-0.4 * y - 3.3) * y - 24.0) * y - 85.5;
        let correction = (head / (0.8 * y * y + 100.0 + b) + y + 3.0) / b + 1.0;
        (correction * y.sqrt()).copysign(t)
    }

    /// The t with P(T ≤ t) = `share`, 0 < share < 1.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        // statrs' answer is good to some six digits; two steps of Newton give the rest.
        let tail = share.min(1.0 - share);
        let mut t = -self.inner.inverse_cdf(tail);
        for _ in 0..3 {
            let step = (self.sf(t) - tail) / self.inner.pdf(t);
            t += step;
        }
        if share < 0.5 { -t } else { t }
    }

    /// The p of a statistic.
    pub(crate) fn p(&self, t: f64, alternative: Alternative) -> f64 {
        match alternative {
            Alternative::TwoSided => (2.0 * self.sf(t.abs())).min(1.0),
            Alternative::Less => self.sf(-t),
            Alternative::Greater => self.sf(t),
        }
    }

    /// P(T > t) of the non-central t with shift `delta`: the mean over the chi distribution of
    /// P(Z > t s − delta), s = χ/√freedom.
    pub(crate) fn shifted_sf(&self, t: f64, delta: f64) -> f64 {
        // Density of s in logarithms; it is concentrated around 1 with deviation 1/√(2 freedom).
        let f = self.freedom;
        let constant = std::f64::consts::LN_2 + f / 2.0 * (f / 2.0).ln() - libm::lgamma(f / 2.0);
        let power = |s: f64| if f == 1.0 { 0.0 } else { (f - 1.0) * s.ln() };
        let density = |s: f64| (constant + power(s) - f * s * s / 2.0).exp();
        let width = 12.0 / (2.0 * f).sqrt();
        let (low, high) = ((1.0 - width).max(0.0), 1.0 + width);
        simpson(low, high, |s| density(s) * normal_sf(t * s - delta))
    }
}

/// The tails of a discrete distribution at an observed sum.
pub(crate) struct Tails {
    lower: f64,
    upper: f64,
}

impl Tails {
    /// P(S ≤ `to`) and P(S ≥ `from`), where S is 0, 1, … as often as `weights` say.
    pub(crate) fn of(weights: &[f64], from: usize, to: usize) -> Self {
        let all: f64 = weights.iter().sum();
        let share = |weights: &[f64]| weights.iter().sum::<f64>() / all;
        Self { lower: share(&weights[..=to]), upper: share(&weights[from..]) }
    }

    /// The p of the observed sum; of both sides, twice the shorter tail.
    pub(crate) fn p(&self, alternative: Alternative) -> f64 {
        match alternative {
            Alternative::TwoSided => (2.0 * self.lower.min(self.upper)).min(1.0),
            Alternative::Less => self.lower.min(1.0),
            Alternative::Greater => self.upper.min(1.0),
        }
    }
}

/// Simpson's rule with 4000 panels: smooth integrands of this crate are exact to some 1e-12.
fn simpson(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    const PANELS: u32 = 4000;
    let h = (high - low) / f64::from(PANELS);
    let inner: f64 =
        (1..PANELS).map(|i| f(low + f64::from(i) * h) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    (f(low) + inner + f(high)) * h / 3.0
}

/// The quotient of two counts, correct to the last bits however large they are. `whole` is not 0.
pub(crate) fn ratio(part: &BigUint, whole: &BigUint) -> f64 {
    let (p, p_exponent) = scaled(part);
    let (w, w_exponent) = scaled(whole);
    p / w * 2f64.powi(p_exponent - w_exponent)
}

/// A count as a float times a power of two.
fn scaled(count: &BigUint) -> (f64, i32) {
    let shift = count.bits().saturating_sub(64);
    let head = (count >> shift).to_u64_digits().first().copied().unwrap_or(0);
    (head as f64, i32::try_from(shift).expect("counts have fewer than 2^31 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_has_all_digits() {
        // scipy.stats.norm.sf and .ppf, SciPy 1.17.
        for (z, sf) in NORMAL {
            // The last digit of z counts z² times.
            assert!((normal_sf(z) / sf - 1.0).abs() < 1e-13, "{z}: {}", normal_sf(z));
            assert!((normal_quantile(sf) + z).abs() < 1e-13 * z.abs().max(1.0), "{sf}");
        }
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-14);
    }

    #[test]
    fn student_s_distribution_serves_for_few_and_many_degrees_of_freedom() {
        // scipy.stats.t.sf and .isf, SciPy 1.17.
        for (freedom, t, sf) in STUDENT {
            let student = Student::new(freedom);
            assert!((student.sf(t) / sf - 1.0).abs() < 1e-10, "{freedom} {t}: {}", student.sf(t));
            assert!((student.quantile(sf) / t + 1.0).abs() < 1e-8, "{freedom}: {}", student.quantile(sf));
        }
        assert_eq!(Student::new(3.0).p(f64::NEG_INFINITY, Alternative::Greater), 1.0);
    }

    #[test]
    fn quotients_of_counts_keep_their_digits() {
        let big = BigUint::from(3u32).pow(2000);
        assert_eq!(ratio(&big, &(&big * 4u32)), 0.25);
        assert_eq!(ratio(&BigUint::ZERO, &big), 0.0);
        assert_eq!(ratio(&BigUint::from(1u32), &BigUint::from(3u32)), 1.0 / 3.0);
    }

    const NORMAL: [(f64, f64); 6] = [
        (-3.0, 0.9986501019683699),
        (0.1, 0.460172162722971),
        (0.5, 0.3085375387259869),
        (1.3, 0.09680048458561036),
        (4.0, 3.167124183311986e-05),
        (20.0, 2.7536241186061556e-89),
    ];
    const STUDENT: [(f64, f64, f64); 10] = [
        (1.0, 12.7, 0.025012163844672083),
        (2.0, 0.5, 0.33333333333333337),
        (4.0, 2.776, 0.02501138915998821),
        (3.7, 5.0, 0.004581983822446657),
        (30.0, 2.0, 0.027312522481491547),
        (999.5, 2.5, 0.006289323826368831),
        (1000.5, 8.0, 1.7124983555869612e-15),
        (1001.0, 0.2, 0.42076060185331504),
        (5000.0, 1.96, 0.025025626145909752),
        (200000.0, 3.0, 0.001350064231388395),
    ];
}
