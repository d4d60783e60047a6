//! The mutations against the official code's, draw by draw, and the invariants of the spaces.

use std::collections::BTreeMap;

use nashost_plugin_api::seed::rng;
use nashost_tinynas::preset;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// What the official mutators make of a structure, in 300,000 draws per case.
const OFFICIAL: &str = include_str!("../../../../../tests/fixtures/deepmad/mutation.json");

const DRAWS: usize = 100_000;

/// Name and value of a number of a block.
type Number = (&'static str, fn(&Block) -> usize);

/// Position, field and new value of everything that differs from the parent.
type Change = Vec<(usize, String, usize)>;

#[derive(Deserialize)]
struct Case {
    space: String,
    last_block: LastBlock,
    layers: Option<u32>,
    channel_ranges: Option<Vec<Option<[usize; 2]>>>,
    image_size: u32,
    mutations: u32,
    structure: serde_json::Value,
    children: Vec<Child>,
}

#[derive(Deserialize)]
struct Child {
    change: Change,
    count: u32,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(OFFICIAL).unwrap()
}

impl Case {
    fn space(&self) -> Space {
        let spaces = [Space::K1kxk1, Space::K1kx, Space::Kxkx, Space::K1dwk1, Space::K1dwsek1];
        let space = spaces.into_iter().find(|space| format!("{space:?}").to_lowercase() == self.space);
        space.expect("a space")
    }

    fn mutator(&self) -> Mutator {
        let settings = Settings {
            image_size: self.image_size,
            layers: self.layers,
            last_block: self.last_block,
            channel_ranges: self.channel_ranges.clone(),
        };
        Mutator::new(self.space(), settings)
    }

    /// Counts the children of [`DRAWS`] mutations.
    fn draw(&self) -> BTreeMap<Change, u32> {
        let mutator = self.mutator();
        let parent = Structure::try_from(&self.structure).unwrap();
        let mut rng = rng(1);
        let mut counts = BTreeMap::new();
        for _ in 0..DRAWS {
            let child = mutator.mutate(&parent, self.mutations, &mut rng).unwrap();
            *counts.entry(change(&parent, &child)).or_default() += 1;
        }
        counts
    }

    /// Two-sample chi-square statistic of our draws against the official ones, and its degrees of
    /// freedom. Rare children are thrown together.
    fn compare(&self, ours: &BTreeMap<Change, u32>) -> (f64, usize) {
        let total: u32 = self.children.iter().map(|child| child.count).sum();
        let mut rest = [f64::from(total), DRAWS as f64];
        let mut cells = Vec::new();
        for child in self.children.iter().filter(|child| child.count >= 30) {
            let cell = [child.count, ours.get(&child.change).copied().unwrap_or(0)].map(f64::from);
            rest = [rest[0] - cell[0], rest[1] - cell[1]];
            cells.push(cell);
        }
        if rest != [0.0, 0.0] {
            cells.push(rest);
        }
        let scale = (DRAWS as f64 / f64::from(total)).sqrt();
        let term =
            |[official, ours]: &[f64; 2]| (official * scale - ours / scale).powi(2) / (official + ours);
        (cells.iter().map(term).sum(), cells.len() - 1)
    }
}

fn change(parent: &Structure, child: &Structure) -> Change {
    let fields: [Number; 4] = [
        ("out", |block| block.output),
        ("k", |block| block.kernel),
        ("L", Block::depth),
        ("btn", Block::width),
    ];
    let mut change = Vec::new();
    for (index, (old, new)) in parent.blocks.iter().zip(&child.blocks).enumerate() {
        for (name, field) in fields {
            // What follows from the output where there is no bottleneck is no change of its own.
            let own = name != "btn" || new.bottleneck.is_some();
            if own && field(old) != field(new) {
                change.push((index, name.to_owned(), field(new)));
            }
        }
    }
    change
}

/// Upper bound for a chi-square statistic: mean plus six standard deviations, far beyond the
/// 99.99 % quantile.
fn bound(freedom: usize) -> f64 {
    freedom as f64 + 6.0 * (2.0 * freedom as f64).sqrt()
}

#[test]
fn mutations_are_distributed_as_the_official_ones() {
    for case in cases() {
        let (statistic, freedom) = case.compare(&case.draw());
        let name = format!("{} {:?} {:?}", case.space, case.last_block, case.layers);
        assert!(freedom >= 25, "{name}: {freedom} cells");
        assert!(statistic < bound(freedom), "{name}: {statistic} with {freedom} degrees of freedom");
    }
}

#[test]
fn the_comparison_sees_a_frozen_block_and_another_space() {
    let cases = cases();
    let free = &cases[0];
    let frozen = &cases[1];
    assert_eq!((free.last_block, frozen.last_block), (LastBlock::Free, LastBlock::Frozen));
    let (statistic, freedom) = free.compare(&frozen.draw());
    assert!(statistic > 10.0 * bound(freedom), "{statistic}");
    // The same structure with one more kernel to choose from.
    let mut mutator = free.mutator();
    mutator.rules.kernels = &[3, 5, 7];
    let parent = Structure::try_from(&free.structure).unwrap();
    let mut rng = rng(2);
    let mut counts = BTreeMap::new();
    for _ in 0..DRAWS {
        *counts.entry(change(&parent, &mutator.mutate(&parent, 1, &mut rng).unwrap())).or_default() += 1;
    }
    let (statistic, freedom) = free.compare(&counts);
    assert!(statistic > 10.0 * bound(freedom), "{statistic}");
}

#[test]
fn foreign_blocks_and_wrong_ranges_are_refused() {
    let r18 = preset::find("deepmad-r18").unwrap().structure();
    let error = Mutator::new(Space::Kxkx, Settings::default()).mutate(&r18, 1, &mut rng(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "block 1 is a SuperResK1KXK1; this space mutates SuperResKXKX between ConvKXBNRELU"
    );
    let settings = Settings { channel_ranges: Some(vec![None]), ..Settings::default() };
    let error = Mutator::new(Space::K1kxk1, settings).mutate(&r18, 1, &mut rng(1)).unwrap_err();
    assert_eq!(error.to_string(), "`channel_ranges` has 1 entries, the structure 6 blocks");
}

/// Where walks start, and in which space.
const STARTS: [(Space, &str); 7] = [
    (Space::K1kxk1, "resnet-start"),
    (Space::K1kxk1, "deepmad-cifar-start"),
    (Space::K1kx, "damoyolo-k1kx-start"),
    (Space::Kxkx, "damoyolo-kxkx-start"),
    (Space::K1dwk1, "mbv2-start"),
    (Space::K1dwsek1, "29m-224-start"),
    (Space::K1dwsek1, "89m-start"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_walk_stays_in_the_space(
        seed: u64,
        start in 0..STARTS.len(),
        steps in 1_usize..60,
        mutations in 0_u32..4,
        image_size in 1_u32..300,
        layers in prop::option::of(1_u32..100),
        frozen: bool,
    ) {
        let (space, name) = STARTS[start];
        let parent = preset::find(name).unwrap().structure();
        let last_block = if frozen { LastBlock::Frozen } else { LastBlock::Free };
        let settings = Settings { image_size, layers, last_block, channel_ranges: None };
        let mutator = Mutator::new(space, settings);
        let mut rng = rng(seed);
        let mut child = parent.clone();
        for _ in 0..steps {
            child = mutator.mutate(&child, mutations, &mut rng).unwrap();
            prop_assert!(child.check().is_ok());
        }
        prop_assert_eq!(&Structure::try_from(&child.to_value()).unwrap(), &child);
        for (old, new) in parent.blocks.iter().zip(&child.blocks) {
            prop_assert_eq!((old.class, old.stride), (new.class, new.stride));
        }
        if space == Space::K1kxk1 {
            let outputs: Vec<usize> = child.blocks.iter().map(|block| block.output).collect();
            prop_assert!(outputs.is_sorted());
        }
        if frozen {
            // Its bottleneck may be narrowed by a mutation of the block before it.
            let ends = [&parent, &child].map(|net| net.blocks.last().map(|b| (b.output, b.units)));
            prop_assert_eq!(ends[0], ends[1]);
        }
    }
}
