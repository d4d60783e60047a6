//! Why a network cannot be exported.

use nashost_plugin_api::graph::GraphError;

/// Why a network cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The graph is not valid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The weights are no safetensors file.
    #[error("the weights are no safetensors file: {0}")]
    Format(#[from] safetensors::SafeTensorError),
    /// Tensors that are missing, of another shape or kind, or belong to no node.
    #[error("the weights do not fit the graph: {}", .0.join("; "))]
    Weights(Vec<String>),
    /// The graph's answer is a map.
    #[error("the network answers {found}, expected one score for each of {labels} labels")]
    Output {
        /// Shape of its answer.
        found: String,
        /// Number of labels.
        labels: usize,
    },
    /// Means and deviations that fit neither one channel nor those of the network.
    #[error("{mean} means and {std} deviations do not normalise images for {channels} channels")]
    Normalisation {
        /// Number of means.
        mean: usize,
        /// Number of deviations.
        std: usize,
        /// Channels of the network.
        channels: usize,
    },
    /// The model takes another shape than its description says.
    #[error("the description says that the model takes {described:?}, it takes {actual:?}")]
    Described {
        /// Channels, rows, columns of the description.
        described: [usize; 3],
        /// What the model takes.
        actual: [usize; 3],
    },
    /// A file of 2 GiB or more, the limit of protocol buffers.
    #[error("a model of {0} bytes is beyond the limit of ONNX files, 2147483647 bytes")]
    TooLarge(usize),
}
