#![no_main]

#[path = "../readers/library.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("library", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
