//! Normal numbers, fast: the weights of a wide network take longer to draw than to use.
//!
//! The ziggurat of Marsaglia and Tsang (2000) with 128 layers of equal area. Each number takes 32
//! random bits: 7 choose the layer and 25 the place in it; they are kept apart, as Doornik (2005)
//! asks for.

use std::sync::LazyLock;

use nashost_plugin_api::seed::{Rng, rng};
use rand::RngCore as _;
use tch::{Device, Kind, Tensor};

use crate::floats::floats_mut;

const LAYERS: usize = 128;
/// Where the tail begins, and the area of each layer (the tail's with what lies under it).
const TAIL: f64 = 3.442_619_855_899;
const AREA: f64 = 9.912_563_035_262_17e-3;

/// Returns independent N(0, 1) values as f32 on the CPU, the same on every machine.
pub fn gaussian(seed: u64, shape: &[i64]) -> Tensor {
    let mut tensor = Tensor::empty(shape, (Kind::Float, Device::Cpu));
    fill_gaussian(seed, &mut tensor);
    tensor
}

/// Writes the values of [`gaussian`] to a contiguous fp32 tensor on the CPU. To write to the same
/// one again saves the system's work of handing out memory, a third of the time.
///
/// # Panics
///
/// Panics if the tensor is another.
pub fn fill_gaussian(seed: u64, tensor: &mut Tensor) {
    ZIGGURAT.fill(floats_mut(tensor), &mut rng(seed));
}

static ZIGGURAT: LazyLock<Ziggurat> = LazyLock::new(Ziggurat::new);

/// The layers, from the bottom.
struct Ziggurat {
    /// Right edge of each layer, and 0 above the last. The bottom layer's is where a rectangle of
    /// its area and height would end.
    edges: [f32; LAYERS + 1],
    /// `exp(-x²/2)` at the right edge of each layer; 1 above the last.
    heights: [f32; LAYERS + 1],
}

fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp()
}

impl Ziggurat {
    fn new() -> Self {
        let mut edges = [0.0; LAYERS + 1];
        edges[0] = AREA / density(TAIL);
        edges[1] = TAIL;
        for layer in 2..LAYERS {
            let below = edges[layer - 1];
            edges[layer] = (-2.0 * (AREA / below + density(below)).ln()).sqrt();
        }
        Self { edges: edges.map(|x| x as f32), heights: edges.map(|x| density(x) as f32) }
    }

    fn fill(&self, values: &mut [f32], rng: &mut Rng) {
        for pair in values.chunks_mut(2) {
            let bits = rng.next_u64();
            for (value, bits) in pair.iter_mut().zip([bits as u32, (bits >> 32) as u32]) {
                *value = self.draw(bits, rng);
            }
        }
    }

    #[inline]
    fn draw(&self, bits: u32, rng: &mut Rng) -> f32 {
        let layer = bits as usize % LAYERS;
        let x = self.place(bits, layer);
        if x.abs() < self.edges[layer + 1] { x } else { self.draw_rest(x, layer, rng) }
    }

    /// A place between the left and right edge of the layer, from the upper 25 bits.
    #[inline]
    fn place(&self, bits: u32, layer: usize) -> f32 {
        let numerator = (bits.cast_signed() >> 7) as f32 + 0.5;
        numerator * (self.edges[layer] / (1 << 24) as f32)
    }

    /// Goes on where the place is not surely under the curve: once in eighty times.
    #[cold]
    fn draw_rest(&self, mut x: f32, mut layer: usize, rng: &mut Rng) -> f32 {
        loop {
            if layer == 0 {
                return tail(rng).copysign(x);
            }
            let (low, high) = (self.heights[layer], self.heights[layer + 1]);
            if low + uniform(rng) * (high - low) < (-0.5 * x * x).exp() {
                return x;
            }
            let bits = rng.next_u32();
            layer = bits as usize % LAYERS;
            x = self.place(bits, layer);
            if x.abs() < self.edges[layer + 1] {
                return x;
            }
        }
    }
}

/// A value beyond [`TAIL`] (Marsaglia 1964).
fn tail(rng: &mut Rng) -> f32 {
    let start = TAIL as f32;
    loop {
        let beyond = -uniform(rng).ln() / start;
        if -2.0 * uniform(rng).ln() >= beyond * beyond {
            return start + beyond;
        }
    }
}

/// A value between 0 and 1, without both.
fn uniform(rng: &mut Rng) -> f32 {
    ((rng.next_u32() >> 9) as f32 + 0.5) / (1 << 23) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: i64 = 4_000_000;

    fn doubles() -> Tensor {
        gaussian(11, &[N]).to_kind(Kind::Double)
    }

    #[test]
    fn the_distribution_is_normal() {
        // Kolmogorov and Smirnov: the largest distance between the distribution of the sample and
        // the normal one, times sqrt(n), exceeds 2.3 once in 20,000 samples; a layer of the wrong
        // width by 1 % moves it to 10.
        let sorted = doubles().sort(0, false).0;
        let empirical = (Tensor::arange(N, (Kind::Double, Device::Cpu)) + 0.5) / N as f64;
        let distance = (sorted.special_ndtr() - empirical).abs().max().double_value(&[]);
        assert!(distance * (N as f64).sqrt() < 2.3, "{}", distance * (N as f64).sqrt());
    }

    #[test]
    fn moments_are_those_of_the_normal_distribution() {
        let sample = doubles();
        // E[x^k] and five standard errors, sqrt((E[x^2k] - E[x^k]²) / n).
        for (power, moment, square) in
            [(1, 0.0, 1.0), (2, 1.0, 3.0), (3, 0.0, 15.0), (4, 3.0, 105.0), (6, 15.0, 10_395.0)]
        {
            let found = sample.pow_tensor_scalar(power).mean(Kind::Double).double_value(&[]);
            let bound = 5.0 * ((square - moment * moment) / N as f64).sqrt();
            assert!((found - moment).abs() < bound, "moment {power}: {found}");
        }
    }

    #[test]
    fn the_tail_is_as_heavy_as_it_should_be() {
        let sample = doubles().abs();
        // 2·(1 − Φ(x)), with five standard errors of the count.
        for (x, probability) in [(TAIL, 5.761_11e-4), (4.0, 6.334_25e-5)] {
            let found = sample.gt(x).to_kind(Kind::Double).sum(Kind::Double).double_value(&[]);
            let expected = probability * N as f64;
            assert!((found - expected).abs() < 5.0 * expected.sqrt(), "beyond {x}: {found} vs {expected}");
        }
    }

    #[test]
    fn neighbours_are_independent() {
        let sample = doubles();
        let (even, odd) = (sample.slice(0, 0, N, 2), sample.slice(0, 1, N, 2));
        for (a, b) in [(even.shallow_clone(), odd.shallow_clone()), (even.square(), odd.square())] {
            let pair = Tensor::stack(&[a, b], 0).corrcoef().double_value(&[0, 1]);
            assert!(pair.abs() < 5.0 / ((N / 2) as f64).sqrt(), "{pair}");
        }
    }

    #[test]
    fn values_depend_on_the_seed_and_begin_alike_for_every_size() {
        let long = gaussian(1, &[10_000]);
        assert_eq!(long.narrow(0, 0, 7), gaussian(1, &[7]));
        assert_ne!(gaussian(1, &[7]), gaussian(2, &[7]));
        assert_eq!(gaussian(1, &[2, 3]).view(-1), gaussian(1, &[6]));
        assert_eq!(gaussian(1, &[0, 3]).size(), [0, 3]);
        // Fixed for ever: stored results depend on them.
        let first = Vec::<f32>::try_from(gaussian(1, &[4])).unwrap();
        assert_eq!(first, [-1.572_531_1, 0.749_924_3, -0.028_155_427, 0.194_173_56]);
    }
}
