//! The recursion over the layers of a chain; `docs/zen-score-analytic.md` derives it.

use std::f64::consts::PI;

use nashost_plugin_api::graph::Window;

use super::{
    Config,
    border::{Border, Borders},
    moments::{MEAN_SQUARED, NOISE, OVERLAP, correlation, half_difference, scale_gains, square_correlation},
};
use crate::score::BnTerm;

/// Number of running variances whose product is taken before its logarithm. Each is below 2³², as
/// no weight of a graph has more values, so that nothing overflows.
const FACTORS: u32 = 24;

/// A convolution with its batch normalisation; a ReLU follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Layer {
    /// Input channels that one output channel reads.
    pub(super) fan: usize,
    pub(super) output: usize,
    pub(super) window: Window,
    /// Share of the old value in a running variance (ONNX momentum).
    pub(super) momentum: f64,
}

/// What is known of the pre-activations after a batch normalisation, averaged over weights.
///
/// A *squared norm* is that of what a position of an image shows over all channels, relative to
/// its mean over the batch; the fields that are relative variances say how it fluctuates.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    config: Config,
    size: [usize; 2],
    /// Positions of the map, and one over them.
    positions: f64,
    one_position: f64,
    /// Turns a biased variance of a batch into the unbiased one.
    unbias: f64,
    /// Width of the widest pattern of a single image.
    widest: f64,
    /// Images of a batch, and one over them.
    batch: f64,
    one_image: f64,
    channels: usize,
    /// One over the channels.
    one_channel: f64,
    first: bool,
    /// Relative variance of squared norms between images.
    image: f64,
    /// Between places of an image, in slow patterns.
    smooth: f64,
    /// Width of these patterns: variance in pixels along an axis.
    width: f64,
    /// Between neighbouring positions.
    local: f64,
    /// Between positions, the same in each image: borders.
    border: Profile,
    /// The same of the squared difference of an image and its perturbed twin.
    difference: Profile,
    /// Of single channels of a grouped convolution; other channels do not share it.
    private: f64,
    /// Mean squared correlation of two random positions.
    overlap: f64,
    /// The same for the channels of one group.
    private_overlap: f64,
    /// Correlation of two positions of one image, beyond that of two images.
    within: f64,
    /// One minus the correlation of an image and its perturbed twin.
    distance: f64,
    /// Sum of the logarithms of running variances; not yet taken: the product of some.
    logarithms: f64,
    product: f64,
    factors: u32,
    /// Correction for the mean over few channels.
    few_channels: f64,
}

/// How squared norms fall towards the borders of the map.
#[derive(Debug, Clone, Copy, Default)]
struct Profile {
    /// Relative variance over positions.
    variance: f64,
    /// Share of it that the last window has made.
    fresh: f64,
}

impl Profile {
    /// Covariance with how often a window reads a position, relative to both means. What the last window
    /// has made has the shape of its counts, what is older that of a wave; both are low at the borders.
    fn covariance(self, border: &Border) -> f64 {
        let (old, fresh) = ((1.0 - self.fresh).sqrt(), self.fresh.sqrt());
        let whole = 1.0 + 2.0 * border.alike * old * fresh;
        (self.variance / whole).sqrt() * (border.wave * old + border.own * fresh)
    }

    /// Flattens what is there and adds what a window makes.
    fn blur(&mut self, kept: f64, made: f64) {
        self.variance = self.variance * kept + made;
        self.fresh = if made > 0.0 { made / self.variance } else { 0.0 };
    }
}

/// Square and fourth roots, of several numbers at once as the processor likes it.
fn roots<const N: usize>(x: [f64; N]) -> [[f64; N]; 2] {
    let squares = x.map(f64::sqrt);
    [squares, squares.map(f64::sqrt)]
}

/// The lesser of two numbers; unlike [`f64::min`] it is a single instruction, as it does not look for NaN.
fn least(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// `new`, held back as the relative variance `old / scale` of `n` values grows: of a sample of `n`
/// log-normal values of variance `V`, relative to the sample's mean, it is `V − (1 + V)(V + 2V²) / n` to
/// first order, whose slope is `1 − (1 + 6V + 6V²) / n`, and never more than `n − 1`.
fn bounded([old, scale]: [f64; 2], new: f64, n: f64) -> f64 {
    // Two divisions side by side, the slope with its fraction expanded: neither waits for the other.
    let square = scale * scale;
    let slope = n * square / ((n + 1.0) * square + 6.0 * old * (scale + old));
    let old = old / scale;
    least(old + (new - old) * slope, n - 1.0)
}

impl Walk {
    pub(super) fn new(config: &Config, [channels, height, width]: [usize; 3]) -> Self {
        let mut walk = Self {
            config: config.clone(),
            size: [0, 0],
            positions: 0.0,
            one_position: 0.0,
            unbias: 0.0,
            widest: 0.0,
            batch: f64::from(config.batch),
            one_image: 1.0 / f64::from(config.batch),
            channels,
            one_channel: 1.0 / channels as f64,
            first: true,
            image: 0.0,
            smooth: 0.0,
            width: 0.0,
            local: 0.0,
            border: Profile::default(),
            difference: Profile::default(),
            private: 0.0,
            overlap: 0.0,
            private_overlap: 0.0,
            within: 0.0,
            distance: 1.0 - 1.0 / (1.0 + config.gamma * config.gamma).sqrt(),
            logarithms: 0.0,
            product: 1.0,
            factors: 0,
            few_channels: 0.0,
        };
        walk.resize([height, width]);
        walk
    }

    /// Takes over the size of a map, and what follows from it alone.
    fn resize(&mut self, size: [usize; 2]) {
        self.size = size;
        self.positions = (size[0] * size[1]) as f64;
        self.one_position = 1.0 / self.positions;
        let values = self.batch * self.positions;
        self.unbias = values / (values - 1.0);
        // Patterns end at the borders, beyond which there are zeros. The widest is a whole wave, and it
        // fades beside the half wave that all images share.
        self.widest = 2.0 * self.positions / (3.0 * PI * PI);
    }

    /// Channels of the current map.
    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Goes through one layer, and through the ReLU before it.
    pub(super) fn layer(&mut self, layer: &Layer, borders: &mut Borders) {
        let border = borders.get(&layer.window, self.size);
        let variance = if self.first { self.image_layer(layer, border) } else { self.inner(layer, border) };
        let (output, [rows, columns]) = (border.output, layer.window.strides);
        if rows * columns > 1 {
            self.width /= (rows * columns) as f64;
        }
        if output != self.size {
            self.resize(output);
        }
        self.channels = layer.output;
        self.one_channel = 1.0 / layer.output as f64;
        self.first = false;
        self.normalise(layer, variance);
    }

    /// The first convolution: images are white noise. Answers the variance it makes.
    fn image_layer(&mut self, layer: &Layer, border: &Border) -> f64 {
        let fan = layer.fan as f64;
        self.smooth = 2.0 / (fan * border.taps);
        self.width = border.blur / 2.0;
        self.image = 2.0 / (fan * self.positions);
        self.overlap = 1.0 / (fan * border.taps);
        self.border = Profile { variance: border.position_variance(1.0, 0.0), fresh: 1.0 };
        self.difference = self.border;
        fan * border.valid
    }

    /// ReLU and convolution. Answers the variance they make.
    fn inner(&mut self, layer: &Layer, border: &Border) -> f64 {
        let mut apart = half_difference(self.distance) * border.valid;
        let mean = self.activate();
        let fan = layer.fan as f64;
        let mut square = 0.5 * border.valid - mean * border.valid_squared;
        if border.taps > 1.0 {
            // Taps see the middle of the map, where norms are larger, more often than its borders.
            let seen = 1.0 + self.border.covariance(border);
            apart *= 1.0 + self.difference.covariance(border);
            self.blur(border, mean);
            square *= seen;
        }
        // Twins that have nothing in common any more stay so.
        self.distance = least(apart / square, 1.0);
        if layer.fan < self.channels {
            let share = 1.0 / fan - self.one_channel;
            self.private = NOISE * share / border.taps;
            self.private_overlap = 1.0 / (fan * border.taps);
        }
        fan * square
    }

    /// Goes through a ReLU. Answers the squared mean of its values, averaged over channels.
    fn activate(&mut self) -> f64 {
        let shared = (1.0 + self.smooth) * (1.0 + self.border.variance);
        let overlap = 1.0 + 2.0 * self.seen_overlap();
        let [[slow2, local2, ..], [slow4, local4, image4, overlap4]] =
            roots([(1.0 + self.image) * shared, 1.0 + self.local, 1.0 + self.image, overlap]);
        let private4 = if self.private > 0.0 { roots([1.0 + self.private])[1][0] } else { 1.0 };
        // What is multiplied by `tails` waits for no division.
        let tails = slow4 * local4 * private4;
        let mean_tails = MEAN_SQUARED * self.mean_absolute(overlap4, tails);

        // Squared norms through the ReLU: curvature, then noise of the channels.
        let [slow_gain, local_gain] = scale_gains([[slow2, local2], [slow4, local4]], tails);
        let noise = NOISE * (1.0 + self.private) * self.one_channel;
        let others = shared * (1.0 + self.local);

        // Images of unlike scale have unlike means, which correlate their positions.
        let shift = MEAN_SQUARED * (image4 - 1.0) / (0.5 * tails - mean_tails);
        self.within = correlation(self.within) * (1.0 - shift) + shift;
        let together = self.one_position + (1.0 - self.one_position) * square_correlation(self.within);
        // An image is part of the batch that it is normalised by.
        let own = self.one_position + self.within * self.within;
        let held = 1.0 + 2.0 * own * (1.0 + self.image) * self.one_image;
        let held = held * held;
        let grown = (1.0 + self.image / held * slow_gain) * (1.0 + noise * together * others) - 1.0;
        self.image = bounded([self.image, held], grown, self.batch);
        self.smooth = bounded([self.smooth, 1.0], self.smooth * slow_gain, self.positions);
        let variance = &mut self.border.variance;
        *variance = bounded([*variance, 1.0], *variance * slow_gain, self.positions);
        self.local = (1.0 + self.local * local_gain) * (1.0 + noise) - 1.0;

        self.overlap = OVERLAP * self.overlap + self.one_channel;
        (self.private, self.private_overlap) = (0.0, 0.0);
        mean_tails / tails
    }

    /// Mean squared correlation of two positions of one channel.
    fn seen_overlap(&self) -> f64 {
        if self.private > 0.0 { self.private_overlap } else { self.overlap }
    }

    /// `(E|z|)² π/2` averaged over channels, times `tails`: the quotient is 1 for normal variables, less for
    /// larger `tails`, at least one image's share.
    fn mean_absolute(&self, overlap4: f64, tails: f64) -> f64 {
        self.one_image * tails + (1.0 - self.one_image) * overlap4
    }

    /// Goes through a window of several taps.
    fn blur(&mut self, border: &Border, mean: f64) {
        self.overlap /= border.taps;
        // Slow patterns are flattened, fresh noise becomes a slow pattern.
        let old = self.smooth * self.width / (self.width + border.blur);
        let new = self.local / border.taps;
        self.smooth = old + new;
        self.local = 0.0;
        self.width = border.blur + old * self.width / self.smooth;
        self.width = least(self.width, self.widest);
        self.border.blur(border.kept, border.position_variance(0.5, mean));
        self.difference.blur(border.kept, border.made);
    }

    /// Goes through the batch normalisation and counts its running variance.
    fn normalise(&mut self, layer: &Layer, variance: f64) {
        let (old, new) = match self.config.bn_term {
            BnTerm::Official => {
                // Both batches have been seen, of unbiased variances that are alike.
                let old = layer.momentum * layer.momentum;
                (old, (1.0 - old) * variance * self.unbias)
            }
            BnTerm::Paper => (0.0, variance),
        };
        let running = old + new;
        self.product *= running;
        self.factors += 1;
        if self.factors == FACTORS {
            self.logarithms += self.product.ln();
            (self.product, self.factors) = (1.0, 0);
        }
        let share = new / running;
        self.few_channels += share * share * self.seen_overlap() * self.one_channel;
    }

    /// The score of the chain so far, with a ReLU at its end.
    pub(super) fn score(&self) -> f64 {
        let logarithms = self.logarithms + self.product.ln() - self.few_channels;
        let all = (1.0 + self.image)
            * (1.0 + self.smooth)
            * (1.0 + self.border.variance)
            * (1.0 + self.local)
            * (1.0 + self.private);
        let [_, [tails, overlap4]] = roots([all, 1.0 + 2.0 * self.seen_overlap()]);
        let mean = self.mean_absolute(overlap4, tails) / tails;
        // |max(a, 0) − max(b, 0)| is √((1 − ρ) / π) on average.
        let values = self.channels as f64 * self.positions;
        values.ln() + 0.5 * (self.distance / PI * mean).ln() + 0.5 * logarithms
    }
}
