#![no_main]

#[path = "../readers/config.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("config", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
