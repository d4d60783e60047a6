#![no_main]

#[path = "../readers/manifest.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("manifest", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
