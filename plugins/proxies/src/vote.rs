//! The vote: three scores on one scale.
//!
//! Published votes add ranks within a population. A score here may not depend on the other candidates,
//! so each member is placed among the scores of fixed reference networks instead, and the places are
//! added.

use std::collections::HashMap;

use nashost_plugin_api::{
    architecture::Geometry,
    graph::{Graph, GraphBuilder, GraphError, INPUT, Window},
    seed::{derive_seed, rng},
};

/// Number of reference networks.
pub(crate) const REFERENCES: u64 = 16;

const WIDTHS: [usize; 4] = [8, 16, 32, 64];
/// Most convolutions of a reference network.
const DEEPEST: u64 = 6;

/// Median and quartile distance of the scores of the reference networks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    median: f64,
    quartiles: f64,
}

impl Scale {
    /// Measures the scale of some finite scores; `None` if they are too few or all alike.
    pub(crate) fn of(mut scores: Vec<f64>) -> Option<Self> {
        scores.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * scores.len().checked_sub(1)? as f64;
            let (low, high) = (scores[place.floor() as usize], scores[place.ceil() as usize]);
            Some(low + (high - low) * place.fract())
        };
        let scale = Self { median: at(0.5)?, quartiles: at(0.75)? - at(0.25)? };
        (scale.quartiles > 0.0 && scale.quartiles.is_finite()).then_some(scale)
    }

    /// Places a score: 0 is the median; far away only the order of magnitude counts, so that no
    /// member outvotes the others.
    pub(crate) fn place(self, score: f64) -> f64 {
        ((score - self.median) / self.quartiles).asinh()
    }
}

/// Scales by geometry and device, one for each member of the vote.
pub(crate) type Scales = HashMap<(Sizes, String), [Scale; 3]>;

/// A geometry as a key.
pub(crate) type Sizes = ([usize; 3], usize);

/// Draws reference network `index`: a chain of one to six convolutions with batch normalisation and
/// ReLU, the first three with stride 2.
pub(crate) fn reference(index: u64, geometry: &Geometry) -> Result<Graph, GraphError> {
    use rand::Rng as _;
    let mut rng = rng(derive_seed(index, "vote/reference"));
    let mut g = GraphBuilder::new(geometry.input);
    let mut x = INPUT.to_owned();
    for stage in 0..rng.random_range(1..=DEEPEST) {
        let width = WIDTHS[rng.random_range(0..WIDTHS.len())];
        let window = Window::square(3, if stage < 3 { 2 } else { 1 });
        x = g.conv(format!("conv{stage}"), &x, width, window, 1, false);
        x = g.batch_norm(format!("bn{stage}"), &x, 1e-5);
        x = g.relu(format!("relu{stage}"), &x);
    }
    let pooled = g.global_average_pool("pool", &x);
    let flat = g.flatten("flatten", &pooled);
    let logits = g.gemm("fc", &flat, geometry.outputs, true);
    g.finish(&logits, &x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_keep_the_order_and_tame_outliers() {
        let scale = Scale::of(vec![1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!(scale, Scale { median: 3.0, quartiles: 2.0 });
        assert_eq!(scale.place(3.0), 0.0);
        let places = [-1e6, 0.0, 2.9, 3.1, 9.0, 1e6].map(|score| scale.place(score));
        assert!(places.is_sorted() && places[0] > -15.0 && places[5] < 15.0, "{places:?}");
        assert!(Scale::of(vec![]).is_none() && Scale::of(vec![2.0; 9]).is_none());
    }

    #[test]
    fn references_are_networks_of_different_sizes() {
        let geometry = Geometry { input: [3, 32, 32], outputs: 4 };
        let params = |index| reference(index, &geometry).unwrap().costs().unwrap().params;
        let mut sizes: Vec<u64> = (0..REFERENCES).map(params).collect();
        sizes.sort_unstable();
        sizes.dedup();
        assert!(sizes.len() > 12, "{sizes:?}");
    }
}
