//! TinyNAS structures: the Python literals and JSON files of the official code.

use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry},
    component::Component as _,
};
use nashost_superres::{Config, Space, SuperRes};

/// Reads a file, counts and builds what it holds; what was read must survive being written. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let config = Config { space: Space::K1kxk1, ..Config::default() };
    let space = SuperRes::create(config).expect("the settings are right");
    let spec = match space.import("tinynas", text) {
        Ok(spec) => spec,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    for format in ["tinynas", "tinynas-json"] {
        let written = space.export(format, &spec).expect("a structure can be written");
        assert_eq!(space.import(format, &written).expect("and read again"), spec);
    }
    let geometry = Geometry { input: [3, 32, 32], outputs: 10 };
    let counters = space.counters(&spec, &geometry).expect("a structure has counters");
    assert!(counters.values().all(|count| count.is_finite()), "{counters:?}");
    if let Ok(graph) = space.graph(&spec, &geometry) {
        let _ = graph.costs();
    }
    let _ = space.mutate(&spec, 1, 7);
    true
}

/// Both layouts, and a bare list.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "{'best_structures': [[{'class': 'ConvKXBNRELU',\n 'in': 3, 'k': 3, 'out': 32, 's': 2},\n{'L': 1, 'btn': 40, 'class': 'SuperResK1KXK1', 'in': 32, 'inner_class': 'ResK1KXK1', 'k': 5, 'out': 96, 's': 2},],],\n 'space_arch': 'CnnNet'}\n",
        "[{'class': 'ConvKXBNRELU', 'in': 3, 'out': 32, 's': 2, 'k': 3}]",
        r#"{"space_arch": "CnnNet", "best_structures": [[{"class": "ConvKXBNRELU", "in": 3, "out": 8, "k": 3}, {"class": "SuperResK1DWK1", "in": 8, "out": 16, "s": 2, "k": 5, "L": 3, "btn": 48}]]}"#,
        r#"[{"class":"ConvKXBNRELU","in":3,"out":8,"k":3},{"class":"SuperResK1DWSEK1","in":8,"out":16,"s":2,"k":5,"L":1,"btn":48},{"class":"SuperResK1KX","in":16,"out":16,"s":1,"k":3,"L":1,"btn":8}]"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
