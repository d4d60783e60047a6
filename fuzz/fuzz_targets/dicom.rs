#![no_main]

#[path = "../readers/dicom.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("dicom", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
