//! The exact costs of a network, without its graph.

use nashost_plugin_api::architecture::Geometry;

use crate::{
    structure::Structure,
    unit::{Layer, Skip, Unit, squeezed},
};

/// Costs by the conventions of [`Graph::costs`](nashost_plugin_api::graph::Graph::costs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Exact {
    pub(crate) params: u64,
    pub(crate) macs: u64,
    pub(crate) layers: u64,
}

/// Counts the network that [`network::build`](crate::network::build) builds.
///
/// Products may saturate where the graph would be refused as too large.
pub(crate) fn count(structure: &Structure, excitation: bool, geometry: &Geometry) -> Exact {
    let [channels, height, width] = geometry.input.map(|size| size as u64);
    let mut counter = Counter { size: [height, width], excitation, counted: Exact::default() };
    for (index, block) in structure.blocks.iter().enumerate() {
        for (position, mut unit) in block.units().into_iter().enumerate() {
            if (index, position) == (0, 0) {
                unit.set_input(channels as usize);
            }
            counter.unit(&unit);
        }
    }
    let features = structure.blocks.last().map_or(0, |block| block.output as u64);
    let classes = geometry.outputs as u64;
    counter.layer(features * classes, 1);
    counter.counted.params += classes;
    counter.counted
}

struct Counter {
    /// Rows and columns of the current map.
    size: [u64; 2],
    excitation: bool,
    counted: Exact,
}

impl Counter {
    /// Counts a layer of so many weights, each of which meets so many positions.
    fn layer(&mut self, weights: u64, positions: u64) {
        self.counted.params += weights;
        self.counted.macs = self.counted.macs.saturating_add(weights.saturating_mul(positions));
        self.counted.layers += 1;
    }

    fn batch_norm(&mut self, channels: u64) {
        self.counted.params += 2 * channels;
    }

    fn unit(&mut self, unit: &Unit) {
        for (index, layer) in unit.layers.iter().enumerate() {
            self.convolution(layer);
            if layer.excited && self.excitation && index + 1 < unit.layers.len() {
                let (channels, inner) = (layer.output as u64, squeezed(layer.output) as u64);
                self.layer(channels * inner, 1);
                self.batch_norm(inner);
                self.layer(inner * channels, 1);
                self.batch_norm(channels);
            }
        }
        if unit.skip == Skip::Projection {
            let (input, output) = (unit.input() as u64, unit.output() as u64);
            self.layer(input * output, self.size[0] * self.size[1]);
            self.counted.params += output;
            self.batch_norm(output);
        }
    }

    fn convolution(&mut self, layer: &Layer) {
        let [input, output, kernel, stride] =
            [layer.input, layer.output, layer.kernel, layer.stride].map(|value| value as u64);
        // Kernels are odd and padded to keep the size.
        self.size = self.size.map(|side| side.div_ceil(stride));
        let weights = if layer.depthwise { 1 } else { input } * output * kernel * kernel;
        self.layer(weights, self.size[0] * self.size[1]);
        self.batch_norm(output);
    }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::{architecture::Architecture as _, component::Component as _};
    use serde_json::json;

    use crate::SuperRes;

    use super::*;

    #[test]
    fn counts_equal_those_of_the_graph() {
        for (config, input) in [
            (json!({"sample_steps": 40}), [3, 32, 32]),
            (json!({"sample_steps": 40, "se": true}), [1, 33, 47]),
            (json!({"space": "idw", "initial": "imagenet-idw", "sample_steps": 20}), [3, 64, 64]),
            (json!({"space": "idw", "initial": "imagenet-idw", "sample_steps": 20, "se": true}), [3, 50, 64]),
        ] {
            let excitation = config["se"] == true;
            let space = SuperRes::create(serde_json::from_value(config).unwrap()).unwrap();
            let geometry = Geometry { input, outputs: 7 };
            for seed in 0..30 {
                let spec = space.sample(seed).unwrap();
                let costs = space.graph(&spec, &geometry).unwrap().costs().unwrap();
                let counted = count(&Structure::try_from(&spec).unwrap(), excitation, &geometry);
                let expected = Exact { params: costs.params, macs: costs.macs, layers: costs.layers };
                assert_eq!(counted, expected, "{spec}");
            }
        }
    }
}
