//! What the fuzz targets start from, and what they found, read by the same readers (docs/fuzzing.md).

#[path = "../../../fuzz/readers/csv.rs"]
mod csv;
#[path = "../../../fuzz/readers/image.rs"]
mod image;
#[path = "../../../fuzz/readers/npz.rs"]
mod npz;

#[test]
fn seeds_are_taken() {
    assert!(csv::seeds().iter().all(|seed| csv::read(seed)), "csv");
    assert!(npz::seeds().iter().all(|seed| npz::read(seed)), "npz");
    assert!(image::seeds().iter().all(|seed| image::read(seed)), "image");
}
