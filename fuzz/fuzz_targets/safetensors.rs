#![no_main]

#[path = "../readers/safetensors.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("safetensors", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
