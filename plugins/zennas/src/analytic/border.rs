//! What a window does at the borders of a map.

use std::f64::consts::PI;

use nashost_plugin_api::graph::Window;

/// Sums over the taps of a window that slides over a map padded with zeros.
///
/// A tap is *valid* at a position where it meets the map. `f` is the share of positions at which a
/// tap is valid, `n` the number of valid taps at a position, `w` the sum of their `f`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Border {
    /// Rows and columns of the output.
    pub(super) output: [usize; 2],
    /// `Σ f` over taps.
    pub(super) valid: f64,
    /// `Σ f²` over taps.
    pub(super) valid_squared: f64,
    /// Variances of `n` and `w` over positions, and their covariance.
    pub(super) spread: Spread,
    /// Number of taps.
    pub(super) taps: f64,
    /// Variance, in pixels along one axis, of the difference of two random taps.
    pub(super) blur: f64,
    /// Share of the variance of a wave over the map that is left after the window.
    pub(super) kept: f64,
    /// Relative variance of the numbers of valid taps.
    pub(super) made: f64,
    /// Covariance of how often a position of the map is read, relative to the mean, with a wave of
    /// variance 1 that has its crest in the middle.
    pub(super) wave: f64,
    /// The same with the counts of this window at stride 1, scaled to variance 1.
    pub(super) own: f64,
    /// Correlation of these two shapes.
    pub(super) alike: f64,
}

/// Second moments over positions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Spread {
    n: f64,
    nw: f64,
    w: f64,
}

/// The sums along one axis; those of the window are products.
struct Axis {
    output: usize,
    valid: f64,
    valid_squared: f64,
    nn: f64,
    nw: f64,
    ww: f64,
    reads: Reads,
}

/// How often positions of the map are read along one axis, relative to the mean and less 1: means of
/// products over positions.
struct Reads {
    /// With the wave.
    wave: f64,
    /// At stride 1, with the wave.
    dense_wave: f64,
    /// With those at stride 1.
    dense: f64,
    /// At stride 1, squared.
    dense_square: f64,
}

impl Reads {
    fn new(window: &Window, axis: usize, size: usize) -> Self {
        let (pad, dilation, kernel) = (window.pads[axis], window.dilations[axis], window.kernel_shape[axis]);
        let counts = |stride: usize| {
            let mut counts = vec![0.0; size];
            let output = (size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
            for position in 0..output {
                for tap in 0..kernel {
                    if let Some(count) = (position * stride + tap * dilation)
                        .checked_sub(pad)
                        .and_then(|at| counts.get_mut(at))
                    {
                        *count += 1.0;
                    }
                }
            }
            let mean = counts.iter().sum::<f64>() / size as f64;
            counts.iter_mut().for_each(|count| *count = *count / mean - 1.0);
            counts
        };
        let (own, dense) = (counts(window.strides[axis]), counts(1));
        let wave: Vec<f64> = (0..size)
            .map(|at| -f64::sqrt(2.0) * (2.0 * PI * (at as f64 + 0.5) / size as f64).cos())
            .collect();
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / size as f64;
        Self {
            wave: product(&own, &wave),
            dense_wave: product(&dense, &wave),
            dense: product(&own, &dense),
            dense_square: product(&dense, &dense),
        }
    }
}

impl Axis {
    fn new(window: &Window, axis: usize, size: usize) -> Self {
        let (kernel, stride) = (window.kernel_shape[axis], window.strides[axis]);
        let (pad, dilation) = (window.pads[axis], window.dilations[axis]);
        let output = (size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
        let valid = |position: usize, tap: usize| {
            let at = position * stride + tap * dilation;
            at >= pad && at < size + pad
        };
        let positions = output as f64;
        let share = |tap| (0..output).filter(|&position| valid(position, tap)).count() as f64 / positions;
        let shares: Vec<f64> = (0..kernel).map(share).collect();
        let mut axis = Self {
            output,
            valid: shares.iter().sum(),
            valid_squared: shares.iter().map(|share| share * share).sum(),
            nn: 0.0,
            nw: 0.0,
            ww: 0.0,
            reads: Reads::new(window, axis, size),
        };
        for position in 0..output {
            let taps = (0..kernel).filter(|&tap| valid(position, tap));
            let (n, w) = taps.fold((0.0, 0.0), |(n, w), tap| (n + 1.0, w + shares[tap]));
            axis.nn += n * n / positions;
            axis.nw += n * w / positions;
            axis.ww += w * w / positions;
        }
        axis
    }
}

impl Border {
    pub(super) fn new(window: &Window, size: [usize; 2]) -> Self {
        let [rows, columns] = [0, 1].map(|axis| Axis::new(window, axis, size[axis]));
        let (valid, valid_squared) = (rows.valid * columns.valid, rows.valid_squared * columns.valid_squared);
        let spread = Spread {
            n: rows.nn * columns.nn - valid * valid,
            nw: rows.nw * columns.nw - valid * valid_squared,
            w: rows.ww * columns.ww - valid_squared * valid_squared,
        };
        let reach = |axis: usize| {
            let (kernel, dilation) = (window.kernel_shape[axis] as f64, window.dilations[axis] as f64);
            (kernel * kernel - 1.0) / 6.0 * dilation * dilation
        };
        // To first order both axes add up.
        let (down, across) = (&rows.reads, &columns.reads);
        let deviation = (down.dense_square + across.dense_square).sqrt();
        let over = |x: f64| if deviation > 1e-9 { x / deviation } else { 0.0 };
        let blur = (reach(0) + reach(1)) / 2.0;
        let across_map = (size[0] * size[1]) as f64 / (2.0 * PI * PI);
        Self {
            output: [rows.output, columns.output],
            valid,
            valid_squared,
            spread,
            taps: (window.kernel_shape[0] * window.kernel_shape[1]) as f64,
            blur,
            kept: across_map / (across_map + blur),
            made: (spread.n / (valid * valid)).max(0.0),
            wave: down.wave.hypot(across.wave),
            own: over(down.dense + across.dense),
            alike: over(down.dense_wave.hypot(across.dense_wave)),
        }
    }

    /// Relative variance, over positions, of the squared norm that a position sees: a valid tap
    /// adds `square` on average, and all of them are centred by means whose square is `mean`.
    pub(super) fn position_variance(&self, square: f64, mean: f64) -> f64 {
        let Spread { n, nw, w } = self.spread;
        let variance = square * square * n + 4.0 * mean * (mean * w - square * nw);
        let whole = square * self.valid - mean * self.valid_squared;
        // Where all positions are alike rounding may leave less than nothing.
        (variance / (whole * whole)).max(0.0)
    }
}

/// The borders met so far: a search meets few of them, again and again.
#[derive(Debug, Clone, Default)]
pub(super) struct Borders {
    known: Vec<(Window, [usize; 2], Border)>,
    recent: [usize; 2],
}

impl Borders {
    #[inline]
    pub(super) fn get(&mut self, window: &Window, size: [usize; 2]) -> &Border {
        let same = |(known, at, _): &(Window, [usize; 2], Border)| *at == size && known == window;
        // Windows of one tap alternate with others, so the last two are looked at first.
        let index = self.recent.into_iter().find(|&index| self.known.get(index).is_some_and(same));
        let index = index.or_else(|| self.known.iter().position(same)).unwrap_or_else(|| {
            self.known.push((*window, size, Border::new(window, size)));
            self.known.len() - 1
        });
        if self.recent[0] != index {
            self.recent = [index, self.recent[0]];
        }
        &self.known[index].2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_equal_those_counted_one_by_one() {
        let window = Window { strides: [2, 1], dilations: [1, 2], ..Window::square(5, 1).pads(2) };
        let size = [7, 9];
        let border = Border::new(&window, size);
        let [rows, columns] = border.output;
        assert_eq!([rows, columns], [4, 5]);
        let valid = |y: usize, x: usize, t: usize, u: usize| {
            let (y, x) = (2 * y + t, x + 2 * u);
            (2..9).contains(&y) && (2..11).contains(&x)
        };
        let taps = || (0..5).flat_map(|t| (0..5).map(move |u| (t, u)));
        let positions = || (0..rows).flat_map(move |y| (0..columns).map(move |x| (y, x)));
        let count = positions().count() as f64;
        let share = |(t, u)| positions().filter(|&(y, x)| valid(y, x, t, u)).count() as f64 / count;
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} vs {b}");
        close(border.valid, taps().map(share).sum());
        close(border.valid_squared, taps().map(|tap| share(tap).powi(2)).sum());
        let (square, mean) = (0.5, 0.15);
        let norm = |(y, x)| -> f64 {
            taps()
                .map(|(t, u)| {
                    let (v, f) = (f64::from(u8::from(valid(y, x, t, u))), share((t, u)));
                    square * v - 2.0 * mean * v * f + mean * f * f
                })
                .sum()
        };
        let average = positions().map(norm).sum::<f64>() / count;
        let variance = positions().map(|at| (norm(at) - average).powi(2)).sum::<f64>() / count;
        close(border.position_variance(square, mean), variance / average.powi(2));
    }

    #[test]
    fn a_single_tap_has_no_border() {
        let border = Border::new(&Window::square(1, 2), [8, 8]);
        assert_eq!((border.output, border.valid, border.valid_squared), ([4, 4], 1.0, 1.0));
        assert_eq!((border.spread, border.blur), (Spread::default(), 0.0));
    }

    #[test]
    fn the_middle_is_read_more_often_than_the_border() {
        // Counts 2, 3, 3, 3, 3, 3, 3, 2 of a window of three taps.
        let border = Border::new(&Window::square(3, 1), [8, 8]);
        let mean = 22.0 / 8.0;
        let variance = 2.0 * (6.0 * 0.25_f64.powi(2) + 2.0 * 0.75_f64.powi(2)) / 8.0 / (mean * mean);
        assert!((border.own - variance.sqrt()).abs() < 1e-12);
        let wave = f64::sqrt(2.0) * 2.0 / 8.0 * (PI / 8.0).cos() / mean * f64::sqrt(2.0);
        assert!((border.wave - wave).abs() < 1e-12);
        assert!((border.alike - wave / variance.sqrt()).abs() < 1e-12 && border.alike < 1.0);
        let point = Border::new(&Window::square(1, 1), [8, 8]);
        assert_eq!((point.own, point.alike), (0.0, 0.0));
    }
}
