//! From structures to graphs.

use nashost_plugin_api::{
    architecture::Geometry,
    graph::{Graph, INPUT, Initialization, Node, Op, Window},
};

use crate::{
    structure::Structure,
    unit::{Layer, Skip, Unit, squeezed},
};

/// Epsilon of every batch normalisation, set by the official `MasterNet`.
const EPSILON: f64 = 1e-3;

/// Builds the network of `structure`, whose blocks must fit each other.
///
/// Nodes are `blocks.<i>.units.<j>.conv1`, `.bn1`, `.relu1`, …, `.proj.conv`, `.proj.bn`, `.add`,
/// `.relu`, with `.se.*` inside the unit if `excitation`; then `pool`, `flatten` and `fc`. Their
/// order is the order in which the official code registers its modules: the main chain of a unit
/// before its projection, the classifier last.
pub(crate) fn build(structure: &Structure, excitation: bool, geometry: &Geometry) -> Graph {
    let mut builder = Builder { nodes: Vec::new(), value: INPUT.to_owned(), excitation };
    for (index, block) in structure.blocks.iter().enumerate() {
        for (position, unit) in block.units().iter().enumerate() {
            builder.unit(unit, &format!("blocks.{index}.units.{position}"));
        }
    }
    let features = builder.value.clone();
    builder.push("pool", Op::GlobalAveragePool);
    builder.push("flatten", Op::Flatten);
    builder.push("fc", Op::Gemm { out_features: geometry.outputs, bias: true });
    Graph {
        schema: 1,
        input: geometry.input,
        initialization: Initialization::XavierNormalZen,
        nodes: builder.nodes,
        output: builder.value,
        features,
        auxiliary: None,
    }
}

struct Builder {
    nodes: Vec<Node>,
    /// Name of the latest value.
    value: String,
    excitation: bool,
}

impl Builder {
    /// Appends a node that reads `inputs` and makes its value the latest.
    fn push_from(&mut self, name: impl Into<String>, op: Op, inputs: Vec<String>) {
        let name = name.into();
        self.nodes.push(Node { name: name.clone(), op, inputs });
        self.value = name;
    }

    /// Appends a node that reads the latest value.
    fn push(&mut self, name: impl Into<String>, op: Op) {
        let input = self.value.clone();
        self.push_from(name, op, vec![input]);
    }

    fn batch_norm(&mut self, name: String) {
        self.push(name, Op::BatchNormalization { epsilon: EPSILON, momentum: 0.9 });
    }

    fn unit(&mut self, unit: &Unit, name: &str) {
        let input = self.value.clone();
        for (index, layer) in unit.layers.iter().enumerate() {
            let number = index + 1;
            let group = if layer.depthwise { layer.output } else { 1 };
            let window = Window::square(layer.kernel, layer.stride);
            let conv = Op::Conv { out_channels: layer.output, window, group, bias: false };
            self.push(format!("{name}.conv{number}"), conv);
            self.batch_norm(format!("{name}.bn{number}"));
            if number < unit.layers.len() {
                self.push(format!("{name}.relu{number}"), Op::Relu);
                if layer.excited && self.excitation {
                    self.squeeze_excitation(layer, name);
                }
            }
        }
        match unit.skip {
            Skip::None => {}
            Skip::Identity => self.add(name, input),
            Skip::Projection => {
                let main = std::mem::replace(&mut self.value, input);
                let window = Window::square(1, unit.stride());
                let conv = Op::Conv { out_channels: unit.output(), window, group: 1, bias: true };
                self.push(format!("{name}.proj.conv"), conv);
                self.batch_norm(format!("{name}.proj.bn"));
                let skip = std::mem::replace(&mut self.value, main);
                self.add(name, skip);
            }
        }
        self.push(format!("{name}.relu"), Op::Relu);
    }

    fn add(&mut self, name: &str, skip: String) {
        let main = self.value.clone();
        self.push_from(format!("{name}.add"), Op::Add { residual: true }, vec![main, skip]);
    }

    fn squeeze_excitation(&mut self, layer: &Layer, name: &str) {
        let conv =
            |out_channels| Op::Conv { out_channels, window: Window::square(1, 1), group: 1, bias: false };
        let map = self.value.clone();
        self.push(format!("{name}.se.pool"), Op::GlobalAveragePool);
        self.push(format!("{name}.se.conv1"), conv(squeezed(layer.output)));
        self.batch_norm(format!("{name}.se.bn1"));
        self.push(format!("{name}.se.relu"), Op::Relu);
        self.push(format!("{name}.se.conv2"), conv(layer.output));
        self.batch_norm(format!("{name}.se.bn2"));
        self.push(format!("{name}.se.sigmoid"), Op::Sigmoid);
        let gate = self.value.clone();
        self.push_from(format!("{name}.se.mul"), Op::Mul, vec![map, gate]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plainnet::parse;

    fn names(text: &str, excitation: bool) -> Vec<String> {
        let geometry = Geometry { input: [1, 32, 32], outputs: 8 };
        let graph = build(&parse(text).unwrap(), excitation, &geometry);
        graph.nodes.into_iter().map(|node| node.name).collect()
    }

    #[test]
    fn nodes_are_in_the_order_of_the_official_modules() {
        let text = "SuperConvK3BNRELU(3,8,1,1)SuperResK3K3(8,8,2,8,2)";
        let unit = "blocks.1.units.0";
        let expected = [
            "blocks.0.units.0.conv1",
            "blocks.0.units.0.bn1",
            "blocks.0.units.0.relu",
            &format!("{unit}.conv1"),
            &format!("{unit}.bn1"),
            &format!("{unit}.relu1"),
            &format!("{unit}.conv2"),
            &format!("{unit}.bn2"),
            &format!("{unit}.proj.conv"),
            &format!("{unit}.proj.bn"),
            &format!("{unit}.add"),
            &format!("{unit}.relu"),
            "blocks.1.units.1.conv1",
            "blocks.1.units.1.bn1",
            "blocks.1.units.1.relu1",
            "blocks.1.units.1.conv2",
            "blocks.1.units.1.bn2",
            "blocks.1.units.1.add",
            "blocks.1.units.1.relu",
            "pool",
            "flatten",
            "fc",
        ];
        assert_eq!(names(text, false), expected);
    }

    #[test]
    fn the_main_branch_comes_first_in_additions() {
        let geometry = Geometry { input: [3, 32, 32], outputs: 8 };
        let text = "SuperResK1K3K1(3,8,1,8,1)";
        let graph = build(&parse(text).unwrap(), false, &geometry);
        let inputs = |name: &str| &graph.nodes.iter().find(|node| node.name == name).unwrap().inputs;
        assert_eq!(*inputs("blocks.0.units.0.add"), ["blocks.0.units.0.bn3", "blocks.0.units.0.proj.bn"]);
        assert_eq!(*inputs("blocks.0.units.1.add"), ["blocks.0.units.1.bn3", "blocks.0.units.0.relu"]);
        assert_eq!(graph.features, "blocks.0.units.1.relu");
        assert_eq!(graph.output, "fc");
    }

    #[test]
    fn excitation_follows_the_middle_activation_only() {
        let all = names("SuperResIDWE2K3(3,8,1,8,1)", true);
        let at = all.iter().position(|name| name == "blocks.0.units.0.se.pool").unwrap();
        assert_eq!(all[at - 1], "blocks.0.units.0.relu2");
        assert_eq!(all[at + 7], "blocks.0.units.0.se.mul");
        assert_eq!(all.iter().filter(|name| name.ends_with("se.mul")).count(), 2);
    }
}
