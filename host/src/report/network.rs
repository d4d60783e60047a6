//! Networks that were trained, from their graphs.

use nashost_plugin_api::graph::{Graph, INPUT, Op, Window};
use nashost_report::data::{Network, Node};

use crate::run::state::{State, TrialState};

/// The networks of `trials`, each once.
pub(super) fn of<'a>(state: &State, trials: impl Iterator<Item = &'a TrialState>) -> Vec<Network> {
    let mut networks: Vec<Network> = Vec::new();
    for trial in trials {
        let name = trial.request.name();
        if let Some(known) = networks.iter_mut().find(|network| network.id == trial.architecture) {
            known.trials.push(name);
            continue;
        }
        let Some(architecture) = state.architectures.get(&trial.architecture) else { continue };
        let scores = architecture.scores.iter().map(|(name, score)| (name.clone(), score.value));
        // A graph that does not resolve could not have been trained; it is shown without its parts.
        let costs = architecture.graph.costs().ok();
        networks.push(Network {
            trials: vec![name],
            id: architecture.id.clone(),
            input: architecture.geometry.input,
            params: architecture.params,
            macs: architecture.macs,
            peak_activations: costs.map_or(0, |costs| costs.peak_activations),
            scores: scores.collect(),
            nodes: nodes(&architecture.graph.without_auxiliary()),
        });
    }
    networks
}

fn nodes(graph: &Graph) -> Vec<Node> {
    let Ok(costs) = graph.node_costs() else { return Vec::new() };
    let nodes = graph.nodes.iter().zip(costs).map(|(node, cost)| Node {
        name: node.name.clone(),
        op: words(&node.op),
        inputs: node.inputs.iter().filter(|input| *input != INPUT).cloned().collect(),
        residual: matches!(node.op, Op::Add { residual: true }),
        shape: cost.shape.dims().to_vec(),
        params: cost.params,
        macs: cost.macs,
    });
    nodes.collect()
}

/// An operator in few words; empty for those that follow nearly every layer.
fn words(op: &Op) -> String {
    match op {
        Op::Conv { window, group, .. } => {
            let grouped = if *group > 1 { "grouped " } else { "" };
            format!("{grouped}conv {}", size(window))
        }
        Op::Gemm { .. } => "linear".to_owned(),
        Op::MaxPool(pool) => format!("max pool {}", size(&pool.window)),
        Op::AveragePool(pool) => format!("average pool {}", size(&pool.window)),
        Op::GlobalAveragePool => "global average".to_owned(),
        Op::Concat => "concat".to_owned(),
        Op::Mul => "gate".to_owned(),
        _ => String::new(),
    }
}

/// `3×3`, or `3×3 /2` with a step of 2.
fn size(window: &Window) -> String {
    let [height, width] = window.kernel_shape;
    let step = window.strides[0].max(window.strides[1]);
    let dilation = window.dilations[0].max(window.dilations[1]);
    let step = if step > 1 { format!(" /{step}") } else { String::new() };
    let dilation = if dilation > 1 { format!(" dilated {dilation}") } else { String::new() };
    format!("{height}×{width}{step}{dilation}")
}
