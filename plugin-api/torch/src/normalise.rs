//! Batch normalisation with the statistics of the batch and nothing to learn, in place.
//!
//! Libtorch has it in pieces that read the values five times and write them three times, or once
//! each to fresh memory. A network of random weights would spend as long there as in its
//! convolutions, as its values do not fit in the cache; here they are read twice and written once.

use tch::{TchError, Tensor};

use crate::{channels_last, floats::floats_mut};

/// Values side by side that are summed at once: their sums stay in registers.
const STRIPE: usize = 16;
/// Lines that are summed in fp32 before their sums are added up in double precision.
const LINES: usize = 64;
/// Values that are transformed in one loop, at least.
const LOOP: usize = 1024;

/// Normalises each of `parts` equal parts of the batch `x`, per channel, by its own mean and biased
/// variance `v`, as `(x − mean) / sqrt(v + ε)`; with `relu`, zeroes what is then negative.
///
/// `x` is fp32 on the CPU, `N×C×H×W` or `N×C`. Its memory is reused if laid out channels last.
/// Returns the values, and for each part the mean over channels of `v`. The same input gives the
/// same bits on every machine.
///
/// # Errors
///
/// Fails if libtorch cannot allocate.
///
/// # Panics
///
/// Panics if `x` is of another kind, on another device, empty, or not divisible by `parts`.
pub fn normalise_batch(
    x: &Tensor,
    parts: usize,
    epsilon: f64,
    relu: bool,
) -> Result<(Tensor, Vec<f64>), TchError> {
    let value = channels_last(x);
    let mut rows = if value.dim() == 4 { value.f_permute([0, 2, 3, 1])? } else { value.f_contiguous()? };
    let [batch, channels] = [x.size()[0], x.size()[1]].map(|size| size as usize);
    assert!(rows.numel() > 0 && batch.is_multiple_of(parts), "{parts} equal parts of {batch} images");
    let values = floats_mut(&mut rows);
    let parts = values.chunks_exact_mut(values.len() / parts);
    let variances = parts.map(|part| normalise(part, channels, epsilon, relu)).collect();
    Ok((if value.dim() == 4 { value } else { rows }, variances))
}

/// Normalises rows of `channels` values; returns the mean of the variances.
fn normalise(values: &mut [f32], channels: usize, epsilon: f64, relu: bool) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has been asked.
        return unsafe { normalise_avx2(values, channels, epsilon, relu) };
    }
    normalise_portable(values, channels, epsilon, relu)
}

/// The same operations, twice as many at once: no result depends on which one runs.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn normalise_avx2(values: &mut [f32], channels: usize, epsilon: f64, relu: bool) -> f64 {
    normalise_portable(values, channels, epsilon, relu)
}

#[inline(always)]
fn normalise_portable(values: &mut [f32], channels: usize, epsilon: f64, relu: bool) -> f64 {
    let n = (values.len() / channels) as f64;
    let (mut means, mut scales, mut total) = (Vec::new(), Vec::new(), 0.0);
    // Far from 0, squares would cancel: distances from the first row do not.
    let origin = values[..channels].to_vec();
    for ([sum, squares], &origin) in sums(values, &origin).into_iter().zip(&origin) {
        let distance = sum / n;
        let variance = (squares / n - distance * distance).max(0.0);
        total += variance;
        means.push((f64::from(origin) + distance) as f32);
        scales.push((variance + epsilon).sqrt().recip() as f32);
    }
    let repeats = LOOP.div_ceil(channels);
    let (means, scales) = (means.repeat(repeats), scales.repeat(repeats));
    // Below every value, or 0.
    let least = if relu { 0.0 } else { f32::NEG_INFINITY };
    for values in values.chunks_mut(means.len()) {
        for ((value, mean), scale) in values.iter_mut().zip(&means).zip(&scales) {
            let normal = (*value - mean) * scale;
            *value = if normal < least { least } else { normal };
        }
    }
    total / channels as f64
}

/// Sums, per channel, of the distances from `origin` and of their squares.
#[inline(always)]
fn sums(values: &[f32], origin: &[f32]) -> Vec<[f64; 2]> {
    let channels = origin.len();
    let mut sums = vec![[0.0; 2]; channels];
    // Several rows make a line, so that lines are whole stripes.
    let line = channels * (STRIPE >> channels.trailing_zeros().min(STRIPE.trailing_zeros()));
    let origins = origin.repeat(line / channels);
    let whole = values.len() - values.len() % line;
    for tile in values[..whole].chunks(LINES * line) {
        for start in (0..line).step_by(STRIPE) {
            let (sum, squares) = stripe(tile, line, start, &origins);
            for i in 0..STRIPE {
                let [all, all_squares] = &mut sums[(start + i) % channels];
                *all += f64::from(sum[i]);
                *all_squares += f64::from(squares[i]);
            }
        }
    }
    for (i, &value) in values[whole..].iter().enumerate() {
        let distance = f64::from(value - origins[i]);
        sums[i % channels][0] += distance;
        sums[i % channels][1] += distance * distance;
    }
    sums
}

/// [`sums`] of [`STRIPE`] neighbours in each line of a tile.
#[inline(always)]
fn stripe(tile: &[f32], line: usize, start: usize, origins: &[f32]) -> ([f32; STRIPE], [f32; STRIPE]) {
    let at = |line: &[f32]| *line[start..].first_chunk::<STRIPE>().expect("a line is whole stripes");
    let origin = at(origins);
    let (mut sum, mut squares) = ([0.0; STRIPE], [0.0; STRIPE]);
    for line in tile.chunks_exact(line) {
        let values = at(line);
        for i in 0..STRIPE {
            let distance = values[i] - origin[i];
            sum[i] += distance;
            squares[i] += distance * distance;
        }
    }
    (sum, squares)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tch::{Device, Kind};

    use super::*;
    use crate::gaussian;

    /// By libtorch, in double precision: the values, and the mean variance.
    fn expected(x: &Tensor, epsilon: f64, relu: bool) -> (Tensor, f64) {
        let x = x.to_kind(Kind::Double);
        let none: Option<&Tensor> = None;
        let value = x.batch_norm(none, none, none, none, true, 0.0, epsilon, false);
        let channels = x.transpose(0, 1).flatten(1, -1);
        let variance = channels.var_dim([1].as_slice(), false, false).mean(Kind::Double).double_value(&[]);
        (if relu { value.relu() } else { value }, variance)
    }

    fn check(x: &Tensor, parts: usize, relu: bool) {
        let size = x.size()[0] / parts as i64;
        let expected: Vec<_> =
            (0..parts as i64).map(|i| expected(&x.narrow(0, i * size, size), 1e-3, relu)).collect();
        let (value, variances) = normalise_batch(&channels_last(&x.copy()), parts, 1e-3, relu).unwrap();
        assert_eq!(value.size(), x.size());
        for (i, (expected, variance)) in expected.iter().enumerate() {
            let off = (value.narrow(0, i as i64 * size, size) - expected).abs().max().double_value(&[]);
            // Values up to about 5, of 24 bits, after sums of 24 bits. The value that distances are measured
            // from may lie four deviations off the mean: then 16 of 17 parts of the squares cancel out.
            assert!(off < 1e-4, "{:?}, part {i}: {off}", x.size());
            assert!((variances[i] / variance - 1.0).abs() < 2e-5, "{} {variance}", variances[i]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn equals_libtorch(
            channels in 1..50_i64, half in 1..6_i64, height in 2..9_i64, width in 1..9_i64,
            parts in 1..3_usize, relu: bool, seed: u64,
        ) {
            check(&gaussian(seed, &[half * parts as i64, channels, height, width]), parts, relu);
        }
    }

    #[test]
    fn rows_without_a_plane() {
        check(&gaussian(1, &[64, 24]), 2, true);
    }

    #[test]
    fn values_far_from_zero_keep_their_variance() {
        let noise = gaussian(2, &[8, 16, 32, 32]);
        let (_, variances) =
            normalise_batch(&channels_last(&(noise * 0.1 + 1000.0)), 1, 1e-3, false).unwrap();
        // fp32 holds steps of 6e-5 near 1000.
        assert!((variances[0] - 0.01).abs() < 2e-4, "{variances:?}");
    }

    #[test]
    fn both_kernels_give_the_same_bits() {
        let mut values = Vec::<f32>::try_from(gaussian(3, &[40 * 999])).unwrap();
        let mut others = values.clone();
        let variance = normalise(&mut values, 40, 1e-3, true);
        assert_eq!(variance, normalise_portable(&mut others, 40, 1e-3, true));
        assert_eq!(values, others);
    }

    #[test]
    fn memory_is_reused_if_channels_are_last() {
        let x = channels_last(&gaussian(4, &[2, 8, 4, 4]));
        assert_eq!(normalise_batch(&x, 2, 1e-3, true).unwrap().0.data_ptr(), x.data_ptr());
        let x = Tensor::ones([2, 8, 4, 4], (Kind::Float, Device::Cpu));
        let (value, variances) = normalise_batch(&x, 2, 1e-3, true).unwrap();
        assert_ne!(value.data_ptr(), x.data_ptr());
        assert_eq!((value.abs().max().double_value(&[]), variances), (0.0, vec![0.0, 0.0]));
    }
}
