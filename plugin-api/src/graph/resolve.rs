//! A valid graph with indices in place of names.

use super::{Graph, Shape};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The image.
    Image,
    /// The node of this index.
    Node(usize),
}

/// What follows from a valid graph: names as indices, shapes, lifetimes. Made by
/// [`Graph::resolve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Shape of the image.
    pub image: Shape,
    /// Inputs of each node.
    pub inputs: Vec<Vec<Source>>,
    /// Shape of each node's value.
    pub shapes: Vec<Shape>,
    /// Index of the output.
    pub output: usize,
    /// Index of the last feature map.
    pub features: usize,
    /// Index of the auxiliary classifier's answer, if there is one.
    pub auxiliary: Option<usize>,
}

impl Resolved {
    /// Shape of a value.
    pub fn shape(&self, source: Source) -> Shape {
        match source {
            Source::Image => self.image,
            Source::Node(node) => self.shapes[node],
        }
    }

    /// Number of times each node's value is read by a node.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.shapes.len()];
        for source in self.inputs.iter().flatten() {
            if let Source::Node(node) = source {
                uses[*node] += 1;
            }
        }
        uses
    }

    /// Says of each node whether the output depends on it; others take part in training only.
    pub fn reaches_output(&self) -> Vec<bool> {
        reaching(&self.inputs, &[self.output])
    }

    /// Lists, for each node, the values that nobody reads once it has run. What the network answers is
    /// never among them.
    pub fn releases(&self) -> Vec<Vec<Source>> {
        let mut releases = vec![Vec::new(); self.inputs.len()];
        let mut seen = vec![false; self.inputs.len()];
        let mut seen_image = false;
        seen[self.output] = true;
        if let Some(auxiliary) = self.auxiliary {
            seen[auxiliary] = true;
        }
        for (node, inputs) in self.inputs.iter().enumerate().rev() {
            for &source in inputs {
                let seen = match source {
                    Source::Image => &mut seen_image,
                    Source::Node(node) => &mut seen[node],
                };
                if !std::mem::replace(seen, true) {
                    releases[node].push(source);
                }
            }
        }
        releases
    }
}

/// Says of each node whether one of `goals` depends on it.
pub(super) fn reaching(inputs: &[Vec<Source>], goals: &[usize]) -> Vec<bool> {
    let mut reaches = vec![false; inputs.len()];
    goals.iter().for_each(|&goal| reaches[goal] = true);
    for node in (0..inputs.len()).rev() {
        if reaches[node] {
            for source in &inputs[node] {
                if let Source::Node(input) = source {
                    reaches[*input] = true;
                }
            }
        }
    }
    reaches
}

impl Graph {
    /// Returns the shape of every node's value, in node order.
    ///
    /// # Errors
    ///
    /// Fails if the graph is not valid; the error lists everything that is wrong.
    pub fn shapes(&self) -> Result<Vec<Shape>, super::GraphError> {
        self.resolve().map(|resolved| resolved.shapes)
    }
}
