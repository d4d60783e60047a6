//! Genotypes of DARTS: the Python text of the published codes, and specs in JSON.

use nashost_cells::{Darts, Genotype, Stem, preset};
use nashost_plugin_api::architecture::Geometry;

const GEOMETRY: Geometry = Geometry { input: [3, 32, 32], outputs: 10 };

/// Reads a genotype or a network and builds it; what was read must survive being written. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let printed = match text.parse::<Genotype>() {
        Ok(genotype) => {
            assert_eq!(
                genotype.to_string().parse::<Genotype>().expect("what is printed can be read"),
                genotype
            );
            let darts = Darts {
                genotype,
                channels: 4,
                layers: 3,
                stem: Stem::Cifar,
                reductions: None,
                drop_path: 0.1,
                auxiliary: 0.0,
            };
            build(&darts)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    };
    serde_json::from_str::<Darts>(text).map_or(printed, |darts| build(&darts))
}

fn build(darts: &Darts) -> bool {
    match darts.build(&GEOMETRY) {
        Ok(layout) => {
            let costs = layout.graph().costs().expect("what is built is valid");
            assert!(costs.params <= layout.tally().params);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// The published genotypes, and networks of them.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let genotypes = || preset::NAMES.iter().filter_map(|name| preset::find(name));
    let texts = genotypes().map(|genotype| genotype.to_string().into_bytes());
    let specs = genotypes().zip([Stem::Cifar, Stem::Imagenet]).map(|(genotype, stem)| {
        let reductions = (stem == Stem::Imagenet).then(|| vec![1, 2]);
        // After the stem for large images, the map is too small for one.
        let auxiliary = if stem == Stem::Cifar { 0.4 } else { 0.0 };
        let darts = Darts { genotype, channels: 4, layers: 4, stem, reductions, drop_path: 0.1, auxiliary };
        serde_json::to_vec(&darts).expect("a spec can be written")
    });
    texts.chain(specs).collect()
}
