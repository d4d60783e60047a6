#![no_main]

#[path = "../readers/tinynas.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("tinynas", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
