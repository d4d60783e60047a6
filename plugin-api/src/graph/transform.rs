//! Graphs made from graphs.

use std::collections::{HashMap, HashSet};

use super::{Graph, Op};

impl Graph {
    /// Returns the network without its skip connections: the first input takes the place of every
    /// `Add` marked `residual`, and nodes that no longer reach the output are dropped
    /// (projections, for instance).
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
        let mut used = HashSet::from([output.clone()]);
        for node in nodes.iter().rev() {
            if used.contains(&node.name) {
                used.extend(node.inputs.iter().cloned());
            }
        }
        nodes.retain(|node| used.contains(&node.name));
        Self {
            schema: self.schema,
            input: self.input,
            initialization: self.initialization,
            nodes,
            output,
            features,
        }
    }
}
