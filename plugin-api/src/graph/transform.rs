//! Graphs made from graphs.

use std::collections::{HashMap, HashSet};

use super::{Graph, Node, Op};

impl Graph {
    /// Returns the network without its skip connections: the first input takes the place of every
    /// `Add` marked `residual`, and nodes that no longer reach the output are dropped
    /// (projections, for instance; an auxiliary classifier, too).
    ///
    /// This is the form in which ZenNAS's search computes the Zen-Score (official code,
    /// `no_reslink`).
    #[must_use]
    pub fn without_residual_links(&self) -> Self {
        // Maps each removed sum to what takes its place; earlier sums are replaced already.
        let mut replaced: HashMap<&str, &str> = HashMap::new();
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let current = |name: &String| replaced.get(name.as_str()).copied().unwrap_or(name).to_owned();
            match (&node.op, node.inputs.first()) {
                (Op::Add { residual: true }, Some(main)) => {
                    let main = replaced.get(main.as_str()).copied().unwrap_or(main);
                    replaced.insert(&node.name, main);
                }
                _ => {
                    let mut node = node.clone();
                    node.inputs = node.inputs.iter().map(current).collect();
                    nodes.push(node);
                }
            }
        }
        let role = |name: &str| replaced.get(name).copied().unwrap_or(name).to_owned();
        let (output, features) = (role(&self.output), role(&self.features));
        let nodes = reaching(nodes, &output);
        Self {
            schema: self.schema,
            input: self.input,
            initialization: self.initialization,
            nodes,
            output,
            features,
            auxiliary: None,
        }
    }

    /// Returns the network as it is used after training: without its auxiliary classifier.
    #[must_use]
    pub fn without_auxiliary(&self) -> Self {
        if self.auxiliary.is_none() {
            return self.clone();
        }
        let nodes = reaching(self.nodes.clone(), &self.output);
        Self { nodes, auxiliary: None, ..self.clone() }
    }

    /// Returns the network with `share` times the probabilities of its drop paths, as schedules raise
    /// them over the epochs.
    #[must_use]
    pub fn with_drop_path(&self, share: f64) -> Self {
        let mut graph = self.clone();
        for node in &mut graph.nodes {
            if let Op::DropPath { ratio } = &mut node.op {
                *ratio *= share;
            }
        }
        graph
    }
}

/// Returns those of `nodes` on which the value of `output` depends.
fn reaching(mut nodes: Vec<Node>, output: &str) -> Vec<Node> {
    let mut used = HashSet::from([output.to_owned()]);
    for node in nodes.iter().rev() {
        if used.contains(&node.name) {
            used.extend(node.inputs.iter().cloned());
        }
    }
    nodes.retain(|node| used.contains(&node.name));
    nodes
}
