#![no_main]

#[path = "../readers/superres.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("superres", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
