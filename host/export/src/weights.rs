//! The tensors of a network, from a safetensors file.

use std::collections::BTreeSet;

use nashost_plugin_api::graph::{Graph, Resolved};
use safetensors::{Dtype, SafeTensors};

use crate::{ExportError, proto::Tensor};

/// A counter that only training reads.
const COUNTER: &str = "num_batches_tracked";

/// Reads the tensors of every node on which the output depends, in the order of the graph's parameters and
/// without batch counters. Those of an auxiliary classifier are checked, too.
///
/// # Errors
///
/// Fails with every tensor that is missing, unexpected, or of another shape or kind than fp32.
pub(crate) fn read(graph: &Graph, resolved: &Resolved, file: &[u8]) -> Result<Vec<Tensor>, ExportError> {
    let file = SafeTensors::deserialize(file)?;
    let mut unexpected: BTreeSet<&str> = file.names().into_iter().collect();
    let (mut tensors, mut problems) = (Vec::new(), Vec::new());
    let nodes = graph.nodes.iter().zip(&resolved.inputs).zip(resolved.reaches_output());
    for ((node, inputs), reaches_output) in nodes {
        for spec in node.op.parameters(resolved.shape(inputs[0])) {
            let name = format!("{}.{}", node.name, spec.suffix);
            unexpected.remove(name.as_str());
            if spec.suffix == COUNTER {
                continue;
            }
            match file.tensor(&name) {
                Err(_) => problems.push(format!("`{name}` is missing")),
                Ok(view) if view.shape() != spec.shape => {
                    problems.push(format!("`{name}` is {:?}, expected {:?}", view.shape(), spec.shape));
                }
                Ok(view) if view.dtype() != Dtype::F32 => {
                    problems.push(format!("`{name}` is {:?}, expected F32", view.dtype()));
                }
                Ok(_) if !reaches_output => {}
                // Both formats are little-endian and row-major.
                Ok(view) => tensors.push(Tensor {
                    dims: spec.shape.iter().map(|&size| size as i64).collect(),
                    data_type: crate::proto::FLOAT,
                    name,
                    raw_data: view.data().to_vec(),
                }),
            }
        }
    }
    problems.extend(unexpected.into_iter().map(|name| format!("`{name}` belongs to no node")));
    if problems.is_empty() { Ok(tensors) } else { Err(ExportError::Weights(problems)) }
}
