//! What the fuzz targets start from, and what they found, read by the same readers (docs/fuzzing.md).

#[path = "../../../../fuzz/readers/darts.rs"]
mod darts;
#[path = "../../../../fuzz/readers/nb201.rs"]
mod nb201;

#[test]
fn seeds_are_taken() {
    assert!(darts::seeds().iter().all(|seed| darts::read(seed)), "darts");
    assert!(nb201::seeds().iter().all(|seed| nb201::read(seed)), "nb201");
}
