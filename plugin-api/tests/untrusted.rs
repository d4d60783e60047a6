//! What the fuzz targets start from, and what they found, read by the same readers (docs/fuzzing.md).

#[path = "../../fuzz/readers/boot.rs"]
mod boot;
#[path = "../../fuzz/readers/graph.rs"]
mod graph;
#[path = "../../fuzz/readers/manifest.rs"]
mod manifest;

#[test]
fn seeds_are_taken() {
    assert!(manifest::seeds().iter().all(|seed| manifest::read(seed)), "manifest");
    assert!(boot::seeds().iter().all(|seed| boot::read(seed)), "boot");
    assert!(graph::seeds().iter().all(|seed| graph::read(seed)), "graph");
}
