//! Moments of centred ReLUs, in closed form.
//!
//! `x = max(z, 0) − E max(z, 0)` for a standard normal `z`, and pairs of such values whose `z`
//! have the correlation `ρ` (Cho and Saul, *Kernel Methods for Deep Learning*, 2009, for the
//! arc-cosine kernel).

use std::f64::consts::PI;

/// `(E max(z, 0))² = 1 / 2π`.
pub(super) const MEAN_SQUARED: f64 = 0.5 / PI;

/// Variance of `x`.
const VARIANCE: f64 = 0.5 - MEAN_SQUARED;

/// Variance of `x²`.
const SQUARE_VARIANCE: f64 =
    1.5 - 5.0 * MEAN_SQUARED - 3.0 * MEAN_SQUARED * MEAN_SQUARED - VARIANCE * VARIANCE;

/// Variance of `x²` over its squared mean: what one channel adds to the noise of a squared norm.
pub(super) const NOISE: f64 = SQUARE_VARIANCE / (VARIANCE * VARIANCE);

/// First three coefficients of the map from the correlation of two `z` to that of their `x`, by
/// power; the third stands for all powers from the fourth on, so that 1 stays 1.
const KERNEL: [f64; 3] = {
    let (first, second) = (0.25 / VARIANCE, 0.25 / PI / VARIANCE);
    [first, second, 1.0 - first - second]
};

/// The same for the correlation of `x²`; the third is the cube.
const SQUARE_KERNEL: [f64; 3] = {
    let second = 1.0 - 2.0 * MEAN_SQUARED;
    let (first, second) = (MEAN_SQUARED / SQUARE_VARIANCE, second * second / 2.0 / SQUARE_VARIANCE);
    [first, second, 1.0 - first - second]
};

/// What squared correlations near 0 are multiplied with by [`correlation`].
pub(super) const OVERLAP: f64 = KERNEL[0] * KERNEL[0];

/// Correlation of two `x` whose `z` have the correlation `rho`.
pub(super) fn correlation(rho: f64) -> f64 {
    let square = rho * rho;
    rho * KERNEL[0] + square * (KERNEL[1] + square * KERNEL[2])
}

/// Correlation of two `x²` whose `z` have the correlation `rho`.
pub(super) fn square_correlation(rho: f64) -> f64 {
    rho * (SQUARE_KERNEL[0] + rho * (SQUARE_KERNEL[1] + rho * SQUARE_KERNEL[2]))
}

/// Half the mean squared difference of two ReLUs whose `z` are `1 − ρ` = `distance` apart, not centred.
pub(super) fn half_difference(distance: f64) -> f64 {
    let rho = 1.0 - distance;
    let square = rho * rho;
    let kernel = if square < 0.25 {
        // The exact form is slow; the next power is below 10⁻⁵ of the result.
        let even = 0.5 + square * (1.0 / 24.0 + square * (1.0 / 80.0 + square * (5.0 / 896.0)));
        MEAN_SQUARED + 0.25 * rho + MEAN_SQUARED * square * even
    } else {
        ((1.0 - square).max(0.0).sqrt() + rho * (PI - rho.acos())) / (2.0 * PI)
    };
    0.5 - kernel
}

/// How a ReLU changes the relative variance of a log-normal scale: the factor for the variance
/// `excess`, where `root` is the fourth root of `1 + excess` and `mean` the squared mean of the
/// ReLUs at scale 1.
///
/// At scale `s` the squared norm of the centred activations is `s²/2 − 2ms·E s + m²(E s)²`, with
/// `m² = mean`. Small fluctuations pass unchanged; large ones grow, as the curve is convex.
pub(super) fn scale_gain(excess: f64, root: f64, mean: f64) -> f64 {
    if excess < 1e-6 {
        return 1.0;
    }
    let (a2, m2) = (1.0 / root, mean * mean);
    let first = 0.5 - mean * a2;
    let second = 0.25 * (1.0 + excess) + (4.0 * m2 + mean) * a2 - 3.0 * m2 * a2 * a2 - 2.0 * mean * root;
    let squared = first * first;
    (second - squared) / (squared * excess)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean of `f` over a standard normal variable.
    fn mean(f: impl Fn(f64) -> f64) -> f64 {
        let steps = 40_000;
        let width = 20.0 / f64::from(steps);
        (0..steps)
            .map(|step| -10.0 + (f64::from(step) + 0.5) * width)
            .map(|z| f(z) * (-z * z / 2.0).exp() / (2.0 * PI).sqrt() * width)
            .sum()
    }

    fn centred(z: f64) -> f64 {
        z.max(0.0) - MEAN_SQUARED.sqrt()
    }

    #[test]
    fn closed_forms_equal_integrals() {
        let second = mean(|z| centred(z).powi(2));
        let fourth = mean(|z| centred(z).powi(4));
        assert!((second - VARIANCE).abs() < 1e-6);
        assert!((fourth / second.powi(2) - 1.0 - NOISE).abs() < 1e-5);
        // Pairs, by one integral inside the other.
        for rho in [0.05, 0.3, 0.7] {
            let other = f64::sqrt(1.0 - rho * rho);
            let pair =
                |f: &dyn Fn(f64) -> f64| mean_coarse(|a| f(a) * mean_coarse(|b| f(rho * a + other * b)));
            let exact = pair(&centred) / second;
            assert!((correlation(rho) - exact).abs() < 3e-3, "{rho}: {} vs {exact}", correlation(rho));
            let squares = pair(&|z| centred(z).powi(2) - second) / SQUARE_VARIANCE;
            assert!((square_correlation(rho) - squares).abs() < 2e-2, "{rho}: {squares}");
        }
    }

    #[test]
    fn differences_equal_integrals_on_both_sides_of_the_switch() {
        for rho in [-0.4_f64, 0.0, 0.2, 0.49, 0.51, 0.9, 0.999] {
            let other = (1.0 - rho * rho).sqrt();
            let pair =
                mean_coarse(|a| mean_coarse(|b| 0.5 * (a.max(0.0) - (rho * a + other * b).max(0.0)).powi(2)));
            let found = half_difference(1.0 - rho);
            assert!((found / pair - 1.0).abs() < 1e-3, "{rho}: {found} vs {pair}");
        }
        let (below, above) = (half_difference(0.5 + 1e-12), half_difference(0.5 - 1e-12));
        assert!((below / above - 1.0).abs() < 1e-5);
    }

    fn mean_coarse(f: impl Fn(f64) -> f64) -> f64 {
        let steps = 800;
        let width = 16.0 / f64::from(steps);
        (0..steps)
            .map(|step| -8.0 + (f64::from(step) + 0.5) * width)
            .map(|z| f(z) * (-z * z / 2.0).exp() / (2.0 * PI).sqrt() * width)
            .sum()
    }

    #[test]
    fn equal_inputs_stay_equal() {
        assert!((correlation(1.0) - 1.0).abs() < 1e-15);
        assert!((square_correlation(1.0) - 1.0).abs() < 1e-15);
        assert_eq!(half_difference(0.0), 0.0);
    }

    #[test]
    fn scales_grow_by_their_own_size() {
        // Against the moments of an explicit log-normal variable.
        for (variance, mean_square) in [(1e-3, MEAN_SQUARED), (0.5, MEAN_SQUARED), (3.0, 0.1)] {
            let sigma = f64::ln(1.0 + variance).sqrt();
            let scale = |z: f64| (sigma * z / 2.0 - sigma * sigma / 4.0).exp();
            let root = (1.0 + variance).powf(0.25);
            let a = mean(scale);
            let norm = |z: f64| {
                let s = scale(z);
                s * s / 2.0 - 2.0 * mean_square * s * a + mean_square * a * a
            };
            let relative = mean(|z| norm(z).powi(2)) / mean(norm).powi(2) - 1.0;
            let expected = relative / variance;
            assert!((scale_gain(variance, root, mean_square) / expected - 1.0).abs() < 1e-4, "{variance}");
        }
    }
}
