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

/// Coefficients of `(sin θ − θ cos θ) / (δ √2δ)` by powers of `δ = 1 − cos θ`. Its numerator's derivative
/// by `δ` is `θ`, whose series by `δ` is known.
const SEGMENT: [f64; 16] = {
    let (mut coefficients, mut binomial, mut k) = ([0.0; 16], 1.0, 0);
    while k < coefficients.len() {
        let power = k as f64;
        coefficients[k] = binomial / ((2.0 * power + 1.0) * (power + 1.5));
        binomial *= (2.0 * power + 1.0) / (4.0 * (power + 1.0));
        k += 1;
    }
    coefficients
};

/// Half the mean squared difference of two ReLUs whose `z` are `1 − ρ` = `distance`, at most 1.5, apart,
/// not centred: `½ − (sin θ + (π − θ) cos θ) / 2π` with `cos θ = ρ`.
#[inline]
pub(super) fn half_difference(distance: f64) -> f64 {
    if distance > 0.5 {
        let rho = 1.0 - distance;
        let square = rho * rho;
        // The next power is below 10⁻⁵ of the result.
        let even = 0.5 + square * (1.0 / 24.0 + square * (1.0 / 80.0 + square * (5.0 / 896.0)));
        return 0.5 - (MEAN_SQUARED + 0.25 * rho + MEAN_SQUARED * square * even);
    }
    // Every fourth power apart, as the processor likes it; what is left out is below 10⁻¹³ of the result.
    let square = distance * distance;
    let mut sums = [0.0; 4];
    for some in SEGMENT.as_chunks::<4>().0.iter().rev() {
        sums = std::array::from_fn(|i| sums[i] * (square * square) + some[i]);
    }
    let series = sums[0] + sums[1] * distance + square * (sums[2] + sums[3] * distance);
    distance * (0.5 - MEAN_SQUARED * (2.0 * distance).sqrt() * series)
}

/// How a ReLU changes the relative variances of several log-normal scales that act together: for each,
/// the factor of its variance `V`. `roots` are the square and the fourth roots of `1 + V`, `tails` the
/// product of all such fourth roots.
///
/// Without other scales, `tails` = `(1 + V)^¼`, the squared norm of the centred activations at scale `s` is
/// `s²/2 − 2ms·E s + m(E s)²`, with `m` = [`MEAN_SQUARED`]; others divide `m` by theirs. Small fluctuations
/// pass unchanged; large ones grow, as the curve is convex. With the moments of a log-normal `s` put in, the
/// relative variance has `V` as a factor; this is the other one.
pub(super) fn scale_gains<const N: usize>([squares, roots]: [[f64; N]; 2], tails: f64) -> [f64; N] {
    let m2 = 2.0 * MEAN_SQUARED;
    let first = tails - m2;
    std::array::from_fn(|i| {
        let (square, root) = (1.0 + squares[i], 1.0 + roots[i]);
        let second = tails * (tails * square - 4.0 * m2) * root + 4.0 * m2 * m2;
        second / (first * first * square * root)
    })
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

    #[test]
    fn near_twins_differ_by_the_arc_cosine_kernel() {
        for distance in [0.01_f64, 0.1, 0.3, 0.5] {
            let (rho, angle) = (1.0 - distance, (1.0 - distance).acos());
            let exact = 0.5 - (angle.sin() + rho * (PI - angle)) / (2.0 * PI);
            // The exact form cancels where twins are near.
            let relative = half_difference(distance) / exact - 1.0;
            assert!(relative.abs() < 1e-13, "{distance}: {relative:e}");
        }
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
            let roots = [0.5, 0.25].map(|power| [(1.0 + variance).powf(power)]);
            let tails = roots[1][0] * MEAN_SQUARED / mean_square;
            let a = mean(scale);
            let norm = |z: f64| {
                let s = scale(z);
                s * s / 2.0 - 2.0 * mean_square * s * a + mean_square * a * a
            };
            let relative = mean(|z| norm(z).powi(2)) / mean(norm).powi(2) - 1.0;
            let expected = relative / variance;
            let [found] = scale_gains(roots, tails);
            assert!((found / expected - 1.0).abs() < 1e-4, "{variance}: {found} vs {expected}");
        }
    }
}
