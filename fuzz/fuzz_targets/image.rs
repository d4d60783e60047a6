#![no_main]

#[path = "../readers/image.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("image", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
