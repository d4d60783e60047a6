#![no_main]

#[path = "../readers/darts.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("darts", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
