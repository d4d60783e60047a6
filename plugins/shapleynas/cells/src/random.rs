//! Random genotypes, as a control, and their mutation.

use nashost_plugin_api::seed::Rng;
use rand::{Rng as _, seq::index};

use crate::{CellType, Edge, Genotype, Operation, SEARCHED, derive};

impl Genotype {
    /// Draws a genotype of the searched space: each node reads two different earlier nodes, through
    /// any of the seven operations, all alike.
    pub fn random(rng: &mut Rng) -> Self {
        let mut cell = || {
            let mut edges = Vec::with_capacity(2 * derive::NODES);
            for node in 2..2 + derive::NODES {
                for input in index::sample(rng, node, 2) {
                    edges.push((SEARCHED[rng.random_range(0..SEARCHED.len())], input));
                }
            }
            edges
        };
        let normal = cell();
        Self::searched(normal, cell())
    }

    /// Changes one edge of one cell: its operation, or the node it reads. The genotype must be
    /// [valid](Genotype::check).
    pub fn mutate(&mut self, rng: &mut Rng) {
        let cell = CellType::ALL[rng.random_range(0..2)];
        let edges = self.edges_mut(cell);
        let edge = rng.random_range(0..edges.len());
        let others = other_inputs(edges, edge);
        if !others.is_empty() && rng.random_bool(0.5) {
            edges[edge].1 = others[rng.random_range(0..others.len())];
        } else {
            let rest: Vec<Operation> = SEARCHED.into_iter().filter(|op| *op != edges[edge].0).collect();
            edges[edge].0 = rest[rng.random_range(0..rest.len())];
        }
    }
}

/// The nodes that neither `edge` nor its twin reads.
fn other_inputs(edges: &[Edge], edge: usize) -> Vec<usize> {
    let taken = [edges[edge].1, edges[edge ^ 1].1];
    (0..edge / 2 + 2).filter(|input| !taken.contains(input)).collect()
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::seed::rng;
    use proptest::prelude::*;

    use super::*;

    fn distance(a: &Genotype, b: &Genotype) -> usize {
        let edges = |g: &Genotype| [g.normal.clone(), g.reduce.clone()].concat();
        edges(a).iter().zip(edges(b)).filter(|(a, b)| **a != *b).count()
    }

    proptest! {
        #[test]
        fn draws_and_mutations_stay_in_the_space(seed in any::<u64>(), steps in 1_usize..20) {
            let mut generator = rng(seed);
            let mut genotype = Genotype::random(&mut generator);
            prop_assert_eq!(&genotype, &Genotype::random(&mut rng(seed)));
            for _ in 0..steps {
                let before = genotype.clone();
                genotype.mutate(&mut generator);
                prop_assert_eq!(distance(&before, &genotype), 1);
            }
            genotype.check().unwrap();
            for edges in [&genotype.normal, &genotype.reduce] {
                prop_assert_eq!(edges.len(), 8);
                prop_assert!(edges.chunks(2).all(|pair| pair[0].1 != pair[1].1));
                prop_assert!(edges.iter().all(|edge| SEARCHED.contains(&edge.0)));
            }
        }
    }

    #[test]
    fn every_operation_and_input_can_be_drawn() {
        let mut generator = rng(3);
        let draws: Vec<Genotype> = (0..200).map(|_| Genotype::random(&mut generator)).collect();
        for operation in SEARCHED {
            assert!(draws.iter().any(|g| g.normal.iter().any(|edge| edge.0 == operation)));
        }
        for input in 0..5 {
            assert!(draws.iter().any(|g| g.reduce[6..].iter().any(|edge| edge.1 == input)));
        }
    }
}
