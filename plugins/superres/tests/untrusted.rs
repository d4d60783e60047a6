//! What the fuzz targets start from, and what they found, read by the same readers (docs/fuzzing.md).

#[path = "../../../fuzz/readers/plainnet.rs"]
mod plainnet;
#[path = "../../../fuzz/readers/superres.rs"]
mod superres;
#[path = "../../../fuzz/readers/tinynas.rs"]
mod tinynas;

#[test]
fn seeds_are_taken() {
    assert!(superres::seeds().iter().all(|seed| superres::read(seed)), "superres");
    assert!(plainnet::seeds().iter().all(|seed| plainnet::read(seed)), "plainnet");
    assert!(tinynas::seeds().iter().all(|seed| tinynas::read(seed)), "tinynas");
}
