//! Errors.

use std::path::PathBuf;

use nashost_plugin_api::graph::GraphError;
use tch::TchError;

/// Why a network could not be made, run, saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorchError {
    /// The graph is not valid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A device name that means nothing.
    #[error("unknown device `{0}`, expected `cpu`, `cuda` or `cuda:N`")]
    UnknownDevice(String),
    /// A GPU that is not there.
    #[error("device `{name}` is not there: libtorch sees {found} CUDA devices")]
    NoSuchGpu {
        /// The device asked for.
        name: String,
        /// Number of usable GPUs.
        found: i64,
    },
    /// Images of another size.
    #[error("images have shape {found:?}, expected [N, {}, {}, {}]", expected[0], expected[1], expected[2])]
    Images {
        /// What came.
        found: Vec<i64>,
        /// Channels, height and width of the graph.
        expected: [usize; 3],
    },
    /// Weights of another network.
    #[error("the network has {expected} tensors, the weights {found}")]
    WeightCount {
        /// Tensors of the network.
        expected: usize,
        /// Tensors given.
        found: usize,
    },
    /// A tap that is not a node.
    #[error("no node is named `{0}`")]
    UnknownTap(String),
    /// Batch statistics over a single value.
    #[error("node `{node}`: batch statistics need more than one value per channel")]
    SingleValue {
        /// The normalisation layer.
        node: String,
    },
    /// libtorch refused a layer.
    #[error("node `{node}` ({op}) on {inputs}")]
    Node {
        /// Name of the node.
        node: String,
        /// Its operator.
        op: &'static str,
        /// Shapes of its inputs.
        inputs: String,
        /// libtorch's reason.
        #[source]
        source: Box<TchError>,
    },
    /// A tensor came back wrong from a plugin.
    #[error("a plugin did not take a tensor, or answered other values")]
    Handover,
    /// libtorch refused something else.
    #[error("libtorch")]
    Torch(#[source] TchError),
    /// A file could not be read or written.
    #[error("weights file `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// Not a safetensors file.
    #[error("weights file `{}` is not valid safetensors", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: safetensors::SafeTensorError,
    },
    /// Tensors that cannot be written as safetensors.
    #[error("tensors have no safetensors form")]
    Encode(#[source] safetensors::SafeTensorError),
    /// Tensors that do not fit the network.
    #[error("weights file `{}` does not fit the network: {}", path.display(), list(problems))]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Every tensor that is wrong, missing or unexpected; in network order, then by name.
        problems: Vec<CheckpointProblem>,
    },
}

/// One tensor of a checkpoint that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointProblem {
    /// The network has it, the file does not.
    #[error("`{name}` is missing")]
    Missing {
        /// Name in the network.
        name: String,
    },
    /// The file has it, the network does not.
    #[error("`{name}` is unexpected")]
    Unexpected {
        /// Name in the file.
        name: String,
    },
    /// Another size.
    #[error("`{name}` has shape {found:?}, expected {expected:?}")]
    Shape {
        /// Name in the network.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape in the network.
        expected: Vec<i64>,
    },
    /// Integers for real numbers, or the reverse.
    #[error("`{name}` holds {found} values, expected {expected}")]
    Kind {
        /// Name in the network.
        name: String,
        /// Type in the file.
        found: String,
        /// Types that would do.
        expected: &'static str,
    },
    /// Two tensors of the file under one name of the network.
    #[error("`{name}` is given twice")]
    Twice {
        /// Name in the network.
        name: String,
    },
}

impl From<TchError> for TorchError {
    fn from(source: TchError) -> Self {
        Self::Torch(concise(source))
    }
}

/// Drops the C++ stack trace that libtorch appends to its messages.
pub(crate) fn concise(error: TchError) -> TchError {
    match error {
        TchError::Torch(text) => {
            let end = text.find("\nException raised from").unwrap_or(text.len());
            TchError::Torch(text[..end].trim_end().to_owned())
        }
        other => other,
    }
}

fn list(problems: &[CheckpointProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
