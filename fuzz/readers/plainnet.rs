//! PlainNet strings, as settings of `superres` and as files of the official code.

use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry},
    component::Component as _,
};
use nashost_superres::{Config, SuperRes, preset};

/// Reads a string as an import and as a setting; what was read must survive being written. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let space = SuperRes::create(Config::default()).expect("the defaults are right");
    match space.import("plainnet", text) {
        Ok(spec) => {
            let written = space.export("plainnet", &spec).expect("a structure can be written");
            assert_eq!(space.import("plainnet", &written).expect("and read again"), spec);
            let geometry = Geometry { input: [1, 16, 16], outputs: 2 };
            if let Ok(graph) = space.graph(&spec, &geometry) {
                let _ = graph.costs();
            }
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    }
    let config = Config { initial: text.to_owned(), sample_steps: 2, ..Config::default() };
    if let Ok(space) = SuperRes::create(config) {
        let _ = space.sample(7);
    }
    true
}

/// The published structures.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let structures = preset::PRESETS.iter().map(|preset| preset.structure.as_bytes().to_vec());
    structures
        .chain([b" SuperConvK3BNRELU(stem|3, 8,1,1)SuperResIDWE6K7(a b|8,16,2,8,3) \nx".to_vec()])
        .collect()
}
