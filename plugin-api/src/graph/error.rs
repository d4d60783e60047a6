//! What can be wrong with a graph.

use std::fmt;

use super::{SCHEMA, Shape};

/// A graph that is not valid, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphError {
    /// At least one problem.
    pub problems: Vec<Problem>,
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid graph: ")?;
        for (i, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for GraphError {}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The node and its operator; `None` if the graph as a whole is meant.
    pub node: Option<(String, &'static str)>,
    /// What is wrong.
    pub kind: ProblemKind,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, op)) = &self.node {
            write!(f, "node `{name}` ({op}): ")?;
        }
        self.kind.fmt(f)
    }
}

/// What is wrong with a node or a graph.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Written in another format.
    #[error("format version {found} is not supported, only {SCHEMA} is")]
    Schema {
        /// The version it claims.
        found: u32,
    },
    /// An image without pixels.
    #[error("an image of {0} has no pixels")]
    EmptyImage(Shape),
    /// The name is empty or stands for the image.
    #[error("the name is empty or reserved")]
    Name,
    /// Another node has the name.
    #[error("the name is taken by an earlier node")]
    Duplicate,
    /// An input that does not exist.
    #[error("input `{0}` does not exist")]
    UnknownInput(String),
    /// An input that is computed later.
    #[error("input `{0}` is not an earlier node")]
    ForwardReference(String),
    /// Too few or too many inputs.
    #[error("expected {expected}, found {found}")]
    Arity {
        /// What the operator takes.
        expected: &'static str,
        /// What it got.
        found: usize,
    },
    /// A size of zero.
    #[error("`{0}` must be at least 1")]
    NotPositive(&'static str),
    /// A number that makes no sense.
    #[error("`{attribute}` is {value}, expected {expected}")]
    Range {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its value.
        value: f64,
        /// What would make sense.
        expected: &'static str,
    },
    /// An attribute that the operator does not have.
    #[error("`{attribute}` is not available: {reason}")]
    Unavailable {
        /// Name of the attribute.
        attribute: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// Channels that cannot be split into groups.
    #[error("group {group} does not divide both the {input} input and the {output} output channels")]
    Groups {
        /// Number of groups.
        group: usize,
        /// Input channels.
        input: usize,
        /// Output channels.
        output: usize,
    },
    /// A window that fits nowhere.
    #[error(
        "a kernel of {}×{} does not fit into {input} with padding {}×{}",
        extent[0], extent[1], pads[0], pads[1]
    )]
    KernelTooLarge {
        /// Height and width of the kernel with its dilation.
        extent: [usize; 2],
        /// Padding at each side.
        pads: [usize; 2],
        /// The input.
        input: Shape,
    },
    /// A slice that drops everything.
    #[error("dropping {} rows and {} columns of {input} leaves nothing", starts[0], starts[1])]
    NothingLeft {
        /// Rows and columns to drop.
        starts: [usize; 2],
        /// The input.
        input: Shape,
    },
    /// Padding that could fill a whole pooling window.
    #[error("pads exceed half of the kernel")]
    Padding,
    /// A vector where a map is needed.
    #[error("expected a map, found a vector of {found}")]
    ExpectsMap {
        /// What it got.
        found: Shape,
    },
    /// A map where a vector is needed.
    #[error("expected a vector, found a map of {found}; is a Flatten missing?")]
    ExpectsFlat {
        /// What it got.
        found: Shape,
    },
    /// Inputs that do not fit each other.
    #[error("inputs of {} do not fit each other", list(shapes))]
    ShapesDiffer {
        /// Shape of each input.
        shapes: Vec<Shape>,
    },
    /// A tensor that no machine could hold.
    #[error("a tensor of {} has more than 2147483647 values", join(dims, "×"))]
    TooLarge {
        /// Its sizes.
        dims: Vec<usize>,
    },
    /// The graph's `output` or `features` is not a node.
    #[error("`{role}` names `{name}`, which is not a node")]
    UnknownRole {
        /// `output` or `features`.
        role: &'static str,
        /// The name.
        name: String,
    },
    /// The graph's `output` or `features` has the wrong kind of shape.
    #[error("`{role}` names `{name}` of shape {found}, expected {expected}")]
    Role {
        /// `output` or `features`.
        role: &'static str,
        /// The name.
        name: String,
        /// Its shape.
        found: Shape,
        /// What is expected.
        expected: &'static str,
    },
    /// A node whose value never reaches the output.
    #[error("the output does not depend on it")]
    Unused,
}

fn list(shapes: &[Shape]) -> String {
    join(shapes, ", ")
}

fn join(items: &[impl ToString], separator: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}
