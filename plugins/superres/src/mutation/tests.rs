//! The mutation against the official distribution and the invariants of the space.

use std::collections::HashMap;

use nashost_plugin_api::seed::rng;
use proptest::prelude::*;

use super::*;
use crate::plainnet::parse;

const CIFAR: &str = "SuperConvK3BNRELU(3,8,1,1)SuperResK3K3(8,16,1,8,1)SuperResK3K3(16,32,2,16,1)\
                     SuperResK3K3(32,64,2,32,1)SuperResK3K3(64,64,2,32,1)SuperConvK1BNRELU(64,128,1,1)";
const MOBILE: &str = "SuperConvK3BNRELU(3,8,2,1)SuperResIDWE6K3(8,32,2,8,1)SuperResIDWE6K3(32,48,2,32,1)\
                      SuperResIDWE6K3(48,96,2,48,1)SuperConvK1BNRELU(96,2048,1,1)";

#[test]
fn candidate_sets_of_the_specification() {
    assert_eq!(Space::Xxbl.widths(8), [8, 16]);
    assert_eq!(Space::Xxbl.widths(16), [8, 16, 24, 32, 40]);
    assert_eq!(Space::Xxbl.widths(32), [16, 24, 32, 40, 48, 64, 80]);
    assert_eq!(Space::Xxbl.widths(2048), [816, 1024, 1368, 1640, 2048]);
    assert_eq!(Space::Idw.widths(2048).last(), Some(&5120));
    assert_eq!(
        [1, 2, 3, 5].map(depths),
        [vec![1, 2, 3], vec![1, 2, 3, 4], vec![1, 2, 3, 4, 5], vec![3, 4, 5, 6, 7]]
    );
}

/// Pearson's statistic of observed counts against weights.
fn chi_square(observed: &[u32], weights: &[f64]) -> f64 {
    let n: f64 = observed.iter().map(|&count| f64::from(count)).sum();
    let total: f64 = weights.iter().sum();
    observed
        .iter()
        .zip(weights)
        .map(|(&count, weight)| (f64::from(count) - n * weight / total).powi(2) / (n * weight / total))
        .sum()
}

/// Upper bound for a chi-square statistic: mean plus six standard deviations, far beyond the
/// 99.99 % quantile, while weights that are wrong by a tenth exceed it many times over.
fn bound(cells: usize) -> f64 {
    let freedom = (cells - 1) as f64;
    freedom + 6.0 * (2.0 * freedom).sqrt()
}

/// Draws 60,000 neighbours of a residual block with 16 channels, bottleneck 32 and 3 layers.
fn neighbours(space: Space, weights: TypeWeights) -> Vec<Block> {
    let mutator = Mutator::new(space, weights);
    let mut rng = rng(1);
    let block = parse("SuperResK3K3(8,16,2,32,3)").unwrap().blocks.remove(0);
    (0..60_000)
        .map(|_| {
            let mut neighbour = block.clone();
            mutator.replace(&mut neighbour, &mut rng);
            neighbour
        })
        .collect()
}

fn tally<T: PartialEq + std::fmt::Debug>(cells: &[T], draws: impl Iterator<Item = T>) -> Vec<u32> {
    let mut counts = vec![0; cells.len()];
    for draw in draws {
        let cell = cells.iter().position(|cell| *cell == draw);
        counts[cell.unwrap_or_else(|| panic!("{draw:?} is no candidate"))] += 1;
    }
    counts
}

#[test]
fn classes_have_the_official_weights_or_are_uniform() {
    for space in [Space::Xxbl, Space::Idw] {
        let (kinds, official): (Vec<Kind>, Vec<u32>) = space.types().into_iter().unzip();
        let official: Vec<f64> = official.into_iter().map(f64::from).collect();
        let uniform = vec![1.0; kinds.len()];
        for (weights, right, wrong) in
            [(TypeWeights::Official, &official, &uniform), (TypeWeights::Uniform, &uniform, &official)]
        {
            let draws = neighbours(space, weights);
            let counts = tally(&kinds, draws.iter().map(|block| block.kind));
            assert!(chi_square(&counts, right) < bound(kinds.len()), "{space:?} {weights:?} {counts:?}");
            assert!(chi_square(&counts, wrong) > 10.0 * bound(kinds.len()), "the test sees no difference");
        }
    }
}

#[test]
fn fields_are_uniform_and_independent() {
    let draws = neighbours(Space::Xxbl, TypeWeights::Official);
    let outputs = Space::Xxbl.widths(16);
    let widths = Space::Xxbl.widths(32);
    let layers = depths(3);
    // Every cell of the cross table is equally likely only if the fields are independent.
    let cells: Vec<(usize, usize, usize)> = outputs
        .iter()
        .flat_map(|&output| widths.iter().map(move |&width| (output, width)))
        .flat_map(|(output, width)| layers.iter().map(move |&layer| (output, width, layer)))
        .collect();
    let counts =
        tally(&cells, draws.iter().map(|block| (block.output, block.bottleneck.unwrap(), block.layers)));
    assert!(chi_square(&counts, &vec![1.0; cells.len()]) < bound(cells.len()));
    // The class depends on none of them.
    let mut by_layers: HashMap<usize, Vec<Kind>> = HashMap::new();
    for block in &draws {
        by_layers.entry(block.layers).or_default().push(block.kind);
    }
    let (kinds, weights): (Vec<Kind>, Vec<u32>) = Space::Xxbl.types().into_iter().unzip();
    let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
    for draws in by_layers.into_values() {
        let counts = tally(&kinds, draws.into_iter());
        assert!(chi_square(&counts, &weights) < bound(kinds.len()));
    }
}

#[test]
fn blocks_are_picked_uniformly_and_at_most_once() {
    let parent = parse(CIFAR).unwrap();
    let mutator = Mutator::new(Space::Xxbl, TypeWeights::Official);
    let mut rng = rng(2);
    let mut changed = vec![0_u32; parent.blocks.len()];
    for _ in 0..20_000 {
        let child = mutator.mutate(&parent, 2, &mut rng);
        assert_eq!(child.blocks.len(), parent.blocks.len(), "no block of one layer can grow to six");
        let different = |index: usize| {
            // Input channels follow from the neighbour, they are no change of this block.
            let old = Block { input: child.blocks[index].input, ..parent.blocks[index].clone() };
            old != child.blocks[index]
        };
        let here: Vec<usize> = (0..parent.blocks.len()).filter(|&index| different(index)).collect();
        assert!(here.len() <= 2);
        here.into_iter().for_each(|index| changed[index] += 1);
    }
    // A residual block changes unless all four fields stay; the four are alike but for the sizes
    // of their candidate sets, which leave a no-op less than 1 % of the time.
    let residual = &changed[1..5];
    let expected = 20_000.0 * (1.0 - (5.0_f64 / 6.0).powi(2));
    for &count in residual {
        assert!((f64::from(count) / expected - 1.0).abs() < 0.05, "{changed:?}");
    }
}

#[test]
fn plain_blocks_lose_their_layers_and_the_last_one_is_frozen_in_idw_only() {
    let parent = parse("SuperConvK1BNRELU(3,64,1,4)").unwrap();
    let mut rng = rng(3);
    for (space, changes) in [(Space::Xxbl, true), (Space::Idw, false)] {
        let mutator = Mutator::new(space, TypeWeights::Official);
        let children: Vec<Structure> = (0..100).map(|_| mutator.mutate(&parent, 1, &mut rng)).collect();
        assert!(children.iter().all(|child| child.blocks[0].layers == 1));
        assert!(children.iter().all(|child| child.blocks[0].kind == parent.blocks[0].kind));
        assert_eq!(children.iter().any(|child| child.blocks[0].output != 64), changes);
    }
}

#[test]
fn a_child_with_long_blocks_is_split_twice() {
    let parent = parse("SuperConvK3BNRELU(3,8,1,1)SuperResK3K3(8,16,2,8,9)").unwrap();
    let child = Mutator::new(Space::Xxbl, TypeWeights::Official).mutate(&parent, 0, &mut rng(4));
    let layers: Vec<usize> = child.blocks.iter().map(|block| block.layers).collect();
    assert_eq!(layers, [1, 3, 3, 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_walk_stays_in_the_space(seed: u64, idw: bool, steps in 1_usize..40, strength in 1_u32..4) {
        let (space, start) = if idw { (Space::Idw, MOBILE) } else { (Space::Xxbl, CIFAR) };
        let parent = parse(start).unwrap();
        let mutator = Mutator::new(space, TypeWeights::Official);
        let mut rng = rng(seed);
        let mut child = parent.clone();
        for _ in 0..steps {
            child = mutator.mutate(&child, strength, &mut rng);
        }
        prop_assert!(child.check_blocks().is_ok());
        prop_assert!(child.check_channels().is_ok());
        prop_assert_eq!(&parse(&child.to_string()).unwrap(), &child);
        prop_assert_eq!(&Structure::try_from(&child.to_spec()).unwrap(), &child);
        prop_assert!(child.blocks.len() >= parent.blocks.len());
        let stride = |structure: &Structure| structure.blocks.iter().map(|block| block.stride).product::<usize>();
        prop_assert_eq!(stride(&child), stride(&parent));
        for block in &child.blocks {
            prop_assert!(block.output % 8 == 0 && block.bottleneck.unwrap_or(8) % 8 == 0);
            prop_assert!(!block.kind.is_residual() || block.layers <= 7);
            if space == Space::Xxbl {
                prop_assert!(block.output <= 2048);
            }
        }
    }
}
