//! Specs of `superres`: the JSON of both vocabularies.

use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry},
    component::Component as _,
};
use nashost_superres::{Config, Space, SuperRes};

const GEOMETRY: Geometry = Geometry { input: [3, 32, 32], outputs: 10 };

/// Counts, builds and mutates what a spec describes. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    for space in [Space::Xxbl, Space::Idw, Space::K1kxk1, Space::K1dwsek1] {
        let config = Config { space, se: space == Space::Idw, ..Config::default() };
        let space = SuperRes::create(config).expect("the settings are right");
        let Ok(counters) = space.counters_text(text, &GEOMETRY) else { return false };
        assert!(counters.values().all(|count| count.is_finite()), "{counters:?}");
        // A mutation may add layers, but not beyond what a structure may have.
        let shallow = counters["official.layers"] < 4000.0;
        if let Ok(child) = space.mutate_text(text, 2, 7)
            && shallow
        {
            space.counters_text(&child, &GEOMETRY).expect("a mutation of a structure is a structure");
        }
        let spec = serde_json::from_str(text).expect("what has counters is JSON");
        if let Ok(graph) = space.graph(&spec, &GEOMETRY)
            && let Ok(costs) = graph.costs()
            && let Some(params) = counters.get("params")
        {
            assert_eq!(*params, costs.params as f64, "counted without a graph and with it");
        }
    }
    true
}

/// Short structures of every class of block.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        r#"[{"block":"SuperConvK3BNRELU","in":3,"out":8,"stride":2,"layers":1},{"block":"SuperResK3K3","in":8,"out":16,"stride":2,"bottleneck":8,"layers":2},{"block":"SuperResK1K5K1","in":16,"out":16,"stride":1,"bottleneck":8,"layers":1},{"block":"SuperConvK1BNRELU","in":16,"out":24,"stride":1,"layers":1}]"#,
        r#"[{"block":"SuperConvK3BNRELU","in":3,"out":8,"stride":1,"layers":1},{"block":"SuperResIDWE6K3","in":8,"out":16,"stride":2,"bottleneck":8,"layers":2},{"block":"SuperResIDWE1K7","in":16,"out":24,"stride":2,"bottleneck":8,"layers":1}]"#,
        r#"[{"class":"ConvKXBNRELU","in":3,"out":32,"s":2,"k":3},{"class":"SuperResK1KXK1","in":32,"out":96,"s":2,"k":5,"L":2,"btn":40},{"class":"ConvKXBNRELU","in":96,"out":128,"s":1,"k":1}]"#,
        r#"[{"class":"ConvKXBNRELU","in":3,"out":8,"k":3},{"class":"SuperResK1DWSEK1","in":8,"out":16,"s":2,"k":5,"L":1,"btn":48},{"class":"SuperResKXKX","in":16,"out":16,"s":1,"k":3,"L":1,"btn":8}]"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
