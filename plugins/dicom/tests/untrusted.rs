//! What the fuzz targets start from, and what they found, read by the same readers (docs/fuzzing.md).

#[path = "../../../fuzz/readers/dicom.rs"]
mod dicom;

#[test]
fn seeds_are_taken() {
    assert!(dicom::seeds().iter().all(|seed| dicom::read(seed)), "dicom");
}
