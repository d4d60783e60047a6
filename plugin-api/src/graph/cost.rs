//! Exact costs of a graph.
//!
//! Published codes count differently (ZenNAS's quirks, for instance, live in its plugin); these
//! are the conventions here, each stated at its field.

use serde::{Deserialize, Serialize};

use super::{Graph, GraphError, Op, Shape};

/// What a network costs, for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Costs {
    /// Trainable values: weights and biases of Conv, Gemm and BatchNormalization.
    pub params: u64,
    /// Tracked values: running means, running variances and batch counters (one value each).
    pub buffers: u64,
    /// Multiply-adds of Conv and Gemm; biases and every other operator count nothing. Taps that
    /// meet padding count. This is what PyTorch forward hooks on Conv2d and Linear count.
    pub macs: u64,
    /// Sum over nodes of the values each answers; the image does not count.
    pub activations: u64,
    /// Largest number of values alive at once during inference, the image included: each node
    /// answers into new memory, and a value is freed after its last reader ran. In-place and
    /// aliasing operators need less.
    pub peak_activations: u64,
    /// Number of Conv and Gemm nodes.
    pub layers: u64,
}

/// What one node costs; see [`Costs`] for the conventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeCost {
    /// Shape of its value.
    pub shape: Shape,
    /// Trainable values.
    pub params: u64,
    /// Tracked values.
    pub buffers: u64,
    /// Multiply-adds.
    pub macs: u64,
    /// Number of values it answers.
    pub activations: u64,
}

impl Graph {
    /// Counts the network, without an auxiliary classifier.
    ///
    /// # Errors
    ///
    /// Fails if the graph is not valid.
    pub fn costs(&self) -> Result<Costs, GraphError> {
        let resolved = self.resolve()?;
        if resolved.auxiliary.is_some() {
            return self.without_auxiliary().costs();
        }
        let mut costs = Costs::default();
        let mut live = resolved.image.numel() as u64;
        let mut peak = live;
        let nodes = self.nodes.iter().zip(&resolved.inputs).zip(&resolved.shapes);
        for (((node, inputs), &shape), released) in nodes.zip(resolved.releases()) {
            let cost = node.op.cost(resolved.shape(inputs[0]), shape);
            costs.params += cost.params;
            costs.buffers += cost.buffers;
            // One node stays below 2⁶², but a hostile graph may have many.
            costs.macs = costs.macs.saturating_add(cost.macs);
            costs.activations += cost.activations;
            costs.layers += u64::from(node.op.is_layer());
            live += cost.activations;
            peak = peak.max(live);
            live -= released.iter().map(|&source| resolved.shape(source).numel() as u64).sum::<u64>();
        }
        Ok(Costs { peak_activations: peak, ..costs })
    }

    /// Counts each node, in node order.
    ///
    /// # Errors
    ///
    /// Fails if the graph is not valid.
    pub fn node_costs(&self) -> Result<Vec<NodeCost>, GraphError> {
        let resolved = self.resolve()?;
        let nodes = self.nodes.iter().zip(&resolved.inputs).zip(&resolved.shapes);
        Ok(nodes.map(|((node, inputs), &shape)| node.op.cost(resolved.shape(inputs[0]), shape)).collect())
    }
}

impl Op {
    /// Whether this is a layer in the usual count: a Conv or Gemm.
    pub fn is_layer(&self) -> bool {
        matches!(self, Self::Conv { .. } | Self::Gemm { .. })
    }

    fn cost(&self, input: Shape, output: Shape) -> NodeCost {
        let mut cost =
            NodeCost { shape: output, params: 0, buffers: 0, macs: 0, activations: output.numel() as u64 };
        for parameter in self.parameters(input) {
            let count = if parameter.trainable { &mut cost.params } else { &mut cost.buffers };
            *count += parameter.numel();
            if self.is_layer() && parameter.suffix == "weight" {
                // Each weight meets each output position of its channel once.
                cost.macs = parameter.numel() * (output.numel() / output.channels()) as u64;
            }
        }
        cost
    }
}
