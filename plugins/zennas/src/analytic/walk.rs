//! The recursion over the layers of a chain; `docs/zen-score-analytic.md` derives it.

use std::f64::consts::PI;

use nashost_plugin_api::graph::Window;

use super::{
    Config,
    border::{Border, Borders},
    moments::{MEAN_SQUARED, NOISE, OVERLAP, correlation, decorrelate, scale_gain, square_correlation},
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
    channels: usize,
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
    border: f64,
    /// Of single channels of a grouped convolution; other channels do not share it.
    private: f64,
    /// Mean squared correlation of two random positions.
    overlap: f64,
    /// The same for the channels of one group.
    private_overlap: f64,
    /// Correlation of two images at the same position.
    position: f64,
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

/// Fourth roots of `1 + x`, for several `x` at once as the processor likes it.
fn roots<const N: usize>(x: [f64; N]) -> [f64; N] {
    x.map(|x| (1.0 + x).sqrt()).map(f64::sqrt)
}

/// `new`, held back as `old` nears the largest relative variance of `n` values, which is `n − 1`;
/// `one` is `1 / n`.
fn bounded(old: f64, new: f64, one: f64) -> f64 {
    old + (new - old) * (1.0 - (1.0 + old) * one).max(0.0)
}

impl Walk {
    pub(super) fn new(config: &Config, [channels, height, width]: [usize; 3]) -> Self {
        Self {
            config: config.clone(),
            size: [height, width],
            channels,
            first: true,
            image: 0.0,
            smooth: 0.0,
            width: 0.0,
            local: 0.0,
            border: 0.0,
            private: 0.0,
            overlap: 0.0,
            private_overlap: 0.0,
            position: 0.0,
            within: 0.0,
            distance: 1.0 - 1.0 / (1.0 + config.gamma * config.gamma).sqrt(),
            logarithms: 0.0,
            product: 1.0,
            factors: 0,
            few_channels: 0.0,
        }
    }

    fn batch(&self) -> f64 {
        f64::from(self.config.batch)
    }

    fn positions(&self) -> f64 {
        (self.size[0] * self.size[1]) as f64
    }

    /// Channels of the current map.
    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Goes through one layer, and through the ReLU before it.
    pub(super) fn layer(&mut self, layer: &Layer, borders: &mut Borders) {
        let border = borders.get(&layer.window, self.size);
        let variance = if self.first { self.image_layer(layer, border) } else { self.inner(layer, border) };
        let [rows, columns] = layer.window.strides;
        self.width /= (rows * columns) as f64;
        self.size = border.output;
        self.channels = layer.output;
        self.first = false;
        self.normalise(layer, variance);
    }

    /// The first convolution: images are white noise. Answers the variance it makes.
    fn image_layer(&mut self, layer: &Layer, border: &Border) -> f64 {
        let fan = layer.fan as f64;
        self.smooth = 2.0 / (fan * border.taps);
        self.width = border.blur / 2.0;
        self.image = 2.0 / (fan * self.positions());
        self.overlap = 1.0 / (fan * border.taps);
        self.border = border.position_variance(1.0, 0.0);
        fan * border.valid
    }

    /// ReLU and convolution. Answers the variance they make.
    fn inner(&mut self, layer: &Layer, border: &Border) -> f64 {
        let mean = self.activate();
        let fan = layer.fan as f64;
        let square = 0.5 * border.valid - mean * border.valid_squared;
        if border.taps > 1.0 {
            self.blur(border, mean, square);
        }
        if layer.fan < self.channels {
            let share = 1.0 / fan - 1.0 / self.channels as f64;
            self.private = NOISE * share / border.taps;
            self.private_overlap = 1.0 / (fan * border.taps);
        }
        fan * square
    }

    /// Goes through a ReLU. Answers the squared mean of its values, averaged over channels.
    fn activate(&mut self) -> f64 {
        let (one_image, one_position) = (1.0 / self.batch(), 1.0 / self.positions());
        let one_channel = 1.0 / self.channels as f64;
        let slow = (1.0 + self.image) * (1.0 + self.smooth) * (1.0 + self.border) - 1.0;
        let [slow4, local4, image4, overlap4] =
            roots([slow, self.local, self.image, 2.0 * self.seen_overlap()]);
        let private4 = if self.private > 0.0 { roots([self.private])[0] } else { 1.0 };
        let tails = 1.0 / (slow4 * local4 * private4);
        let mean = MEAN_SQUARED * self.mean_absolute(overlap4 * tails);

        // Squared norms through the ReLU: curvature, then noise of the channels.
        let slow_gain = scale_gain(slow, slow4, MEAN_SQUARED * slow4 * tails);
        let local_gain = scale_gain(self.local, local4, MEAN_SQUARED * local4 * tails);
        let noise = NOISE * (1.0 + self.private) * one_channel;
        let others = (1.0 + self.smooth) * (1.0 + self.local) * (1.0 + self.border);

        // Images of unlike scale have unlike means, which correlate their positions.
        let shift = MEAN_SQUARED * tails * (image4 - 1.0) / (0.5 - mean);
        self.within = correlation(self.within) * (1.0 - shift) + shift;
        let together = one_position + (1.0 - one_position) * square_correlation(self.within);
        // An image is part of the batch that it is normalised by.
        let own = one_position + self.within * self.within;
        let held = 1.0 + 2.0 * own * (1.0 + self.image) * one_image;
        let image = self.image / (held * held);
        let grown = (1.0 + image * slow_gain) * (1.0 + noise * together * others) - 1.0;
        self.image = bounded(image, grown, one_image);
        self.smooth = bounded(self.smooth, self.smooth * slow_gain, one_position);
        self.border = bounded(self.border, self.border * slow_gain, one_position);
        self.local = (1.0 + self.local * local_gain) * (1.0 + noise) - 1.0;

        self.overlap = OVERLAP * self.overlap + one_channel;
        self.position = correlation(self.position);
        self.distance = decorrelate(self.distance);
        (self.private, self.private_overlap) = (0.0, 0.0);
        mean
    }

    /// Mean squared correlation of two positions of one channel.
    fn seen_overlap(&self) -> f64 {
        if self.private > 0.0 { self.private_overlap } else { self.overlap }
    }

    /// `(E|z|)² π/2` averaged over channels: 1 for normal variables, less for heavier `tails`, at
    /// least one image's share.
    fn mean_absolute(&self, tails: f64) -> f64 {
        let least = 1.0 / self.batch();
        least + (1.0 - least) * tails
    }

    /// Goes through a window of several taps.
    fn blur(&mut self, border: &Border, mean: f64, square: f64) {
        let shared = (0.5 - mean) * border.valid * self.position;
        self.position = (shared + mean * (border.valid - border.valid_squared)) / square;
        self.overlap /= border.taps;
        // Slow patterns are flattened, fresh noise becomes a slow pattern.
        let old = self.smooth * self.width / (self.width + border.blur);
        let new = self.local / border.taps;
        self.smooth = old + new;
        self.local = 0.0;
        self.width = border.blur + old * self.width / self.smooth;
        // The widest pattern of a map is half a wave.
        let positions = self.positions();
        self.width = self.width.min(2.0 * positions / (PI * PI));
        let wave = positions / (2.0 * PI * PI);
        self.border = self.border * wave / (wave + border.blur) + border.position_variance(0.5, mean);
    }

    /// Goes through the batch normalisation and counts its running variance.
    fn normalise(&mut self, layer: &Layer, variance: f64) {
        let values = self.batch() * self.positions();
        let (old, new) = match self.config.bn_term {
            BnTerm::Official => {
                // Both batches have been seen, of unbiased variances that are alike.
                let old = layer.momentum * layer.momentum;
                (old, (1.0 - old) * variance * values / (values - 1.0))
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
        self.few_channels += new * new * self.seen_overlap() / (running * running * layer.output as f64);
    }

    /// The score of the chain so far, with a ReLU at its end.
    pub(super) fn score(&self) -> f64 {
        let logarithms = self.logarithms + self.product.ln() - self.few_channels;
        let all = (1.0 + self.image)
            * (1.0 + self.smooth)
            * (1.0 + self.border)
            * (1.0 + self.local)
            * (1.0 + self.private);
        let [all4, overlap4] = roots([all - 1.0, 2.0 * self.seen_overlap()]);
        let mean = self.mean_absolute(overlap4 / all4);
        let distance = self.distance * (1.0 - self.position);
        // |max(a, 0) − max(b, 0)| is √((1 − ρ) / π) on average.
        let values = self.channels as f64 * self.positions();
        values.ln() + 0.5 * (distance / PI * mean).ln() + 0.5 * logarithms
    }
}
