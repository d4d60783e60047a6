//! From TinyNAS structures to graphs.

use nashost_plugin_api::{
    architecture::Geometry,
    graph::{Graph, GraphBuilder, GraphError, INPUT, Op, Pool, Window},
};
use nashost_tinynas::{
    Block, Class, Structure,
    count::{projects, squeezed},
};

/// Epsilon of every batch normalisation, PyTorch's default.
const EPSILON: f64 = 1e-5;

/// Builds the network of `structure`, a valid one.
///
/// Nodes are named as the modules of the official `CnnNet` (`block_list.1.block_list.0.conv1.conv1`,
/// `….bn1`, `….residual_proj.conv1`, …, `fc_linear`), so that its checkpoints fit. The first block
/// takes the channels of the images, whatever its `in` says. Shortcuts with stride 2 are averages
/// over 2×2 pixels, over what there is of them at the border of a map with odd sides: the official
/// code fails there, and is the same elsewhere.
pub(crate) fn build(structure: &Structure, geometry: &Geometry) -> Result<Graph, GraphError> {
    let [channels, height, width] = geometry.input;
    let mut net = Net {
        graph: GraphBuilder::new(geometry.input),
        value: INPUT.to_owned(),
        channels,
        size: [height, width],
    };
    for (index, block) in structure.blocks.iter().enumerate() {
        let name = format!("block_list.{index}");
        if block.class == Class::Conv {
            net.conv(&name, block.output, block.kernel, block.stride, 1);
            net.activate(format!("{name}.relu"), block.class);
            continue;
        }
        for position in 0..block.depth() {
            let stride = if position == 0 { block.stride } else { 1 };
            net.unit(&format!("{name}.block_list.{position}"), block, stride, position == 0);
        }
    }
    let features = net.value.clone();
    let pooled = net.graph.global_average_pool("pool", &features);
    let flat = net.graph.flatten("flatten", &pooled);
    let logits = net.graph.gemm("fc_linear", &flat, geometry.outputs, true);
    net.graph.finish(&logits, &features)
}

struct Net {
    graph: GraphBuilder,
    /// Name of the latest value.
    value: String,
    /// Its channels.
    channels: usize,
    /// Its height and width.
    size: [usize; 2],
}

impl Net {
    /// Appends a convolution and its batch normalisation.
    fn conv(&mut self, name: &str, output: usize, kernel: usize, stride: usize, group: usize) {
        let window = Window::square(kernel, stride);
        let conv = self.graph.conv(format!("{name}.conv1"), &self.value, output, window, group, false);
        self.value = self.graph.batch_norm(format!("{name}.bn1"), &conv, EPSILON);
        self.channels = output;
        self.size = self.size.map(|side| side.div_ceil(stride));
    }

    fn activate(&mut self, name: String, class: Class) {
        let op = if class == Class::K1DWSEK1 { Op::Swish } else { Op::Relu };
        self.value = self.graph.node(name, op, &[&self.value]);
    }

    /// Appends a unit of a super-block.
    fn unit(&mut self, name: &str, block: &Block, stride: usize, first: bool) {
        let (input, channels, size) = (self.value.clone(), self.channels, self.size);
        let class = block.class;
        let width = block.width();
        let convs: &[(usize, usize, usize, usize)] = match class {
            Class::Conv => unreachable!("a convolution has no units"),
            Class::K1KXK1 => &[(width, 1, 1, 1), (width, block.kernel, stride, 1), (block.output, 1, 1, 1)],
            Class::K1DWK1 | Class::K1DWSEK1 => {
                &[(width, 1, 1, 1), (width, block.kernel, stride, width), (block.output, 1, 1, 1)]
            }
            Class::K1KX => &[(width, 1, 1, 1), (block.output, block.kernel, stride, 1)],
            Class::KXKX => &[(width, block.kernel, 1, 1), (block.output, block.kernel, stride, 1)],
        };
        for (index, &(output, kernel, stride, group)) in convs.iter().enumerate() {
            let number = index + 1;
            self.conv(&format!("{name}.conv{number}"), output, kernel, stride, group);
            if number < convs.len() {
                self.activate(format!("{name}.act{number}"), class);
            }
            if class == Class::K1DWSEK1 && number == 2 {
                self.excite(&format!("{name}.se2"));
            }
        }
        let same = channels == block.output;
        if same || !class.is_depthwise() {
            let (main, after) = (std::mem::replace(&mut self.value, input), self.size);
            (self.channels, self.size) = (channels, size);
            if stride == 2 {
                self.shrink(format!("{name}.residual_downsample"));
            }
            if projects(class, same, first) {
                self.conv(&format!("{name}.residual_proj"), block.output, 1, 1, 1);
            }
            self.value = self.graph.residual(format!("{name}.add"), &main, &self.value);
            (self.channels, self.size) = (block.output, after);
        }
        self.activate(format!("{name}.act"), class);
    }

    /// Appends the mean over 2×2 pixels.
    fn shrink(&mut self, name: String) {
        let kernel_shape = self.size.map(|side| side.min(2));
        let window = Window { kernel_shape, strides: [2; 2], pads: [0; 2], dilations: [1; 2] };
        let pool = Pool { window, ceil_mode: true, count_include_pad: false };
        self.value = self.graph.node(name, Op::AveragePool(pool), &[&self.value]);
        self.size = self.size.map(|side| side.div_ceil(2));
    }

    /// Appends a squeeze-and-excitation.
    fn excite(&mut self, name: &str) {
        let (map, channels, size) = (self.value.clone(), self.channels, self.size);
        self.value = self.graph.global_average_pool(format!("{name}.pool"), &map);
        self.conv(&format!("{name}.conv1"), squeezed(channels), 1, 1, 1);
        self.activate(format!("{name}.act"), Class::K1DWSEK1);
        self.conv(&format!("{name}.conv2"), channels, 1, 1, 1);
        let gate = self.graph.node(format!("{name}.sigmoid"), Op::Sigmoid, &[&self.value]);
        self.value = self.graph.mul(format!("{name}.mul"), &[&map, &gate]);
        self.size = size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(class: Class, input: usize, stride: usize) -> Vec<String> {
        let blocks = vec![Block::conv(3, input, 1, 3), Block::residual(class, [input, 8, 16], stride, 3, 1)];
        let geometry = Geometry { input: [3, 7, 8], outputs: 2 };
        let graph = build(&Structure { blocks }, &geometry).unwrap();
        let unit = "block_list.1.block_list.0.";
        graph.nodes.into_iter().filter_map(|node| Some(node.name.strip_prefix(unit)?.to_owned())).collect()
    }

    #[test]
    fn a_bottleneck_projects_even_where_widths_agree() {
        let expected = [
            "conv1.conv1",
            "conv1.bn1",
            "act1",
            "conv2.conv1",
            "conv2.bn1",
            "act2",
            "conv3.conv1",
            "conv3.bn1",
            "residual_downsample",
            "residual_proj.conv1",
            "residual_proj.bn1",
            "add",
            "act",
        ];
        assert_eq!(names(Class::K1KXK1, 16, 2), expected);
    }

    #[test]
    fn depthwise_units_have_a_shortcut_only_where_widths_agree() {
        assert!(!names(Class::K1DWK1, 8, 1).contains(&"add".to_owned()));
        let tail = ["conv3.conv1", "conv3.bn1", "residual_downsample", "add", "act"];
        assert_eq!(names(Class::K1DWK1, 16, 2)[6..], tail);
    }

    #[test]
    fn excitation_stands_between_the_depthwise_and_the_last_convolution() {
        let expected = [
            "act2",
            "se2.pool",
            "se2.conv1.conv1",
            "se2.conv1.bn1",
            "se2.act",
            "se2.conv2.conv1",
            "se2.conv2.bn1",
            "se2.sigmoid",
            "se2.mul",
            "conv3.conv1",
        ];
        assert_eq!(names(Class::K1DWSEK1, 8, 1)[5..15], expected);
    }
}
