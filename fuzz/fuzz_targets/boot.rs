#![no_main]

#[path = "../readers/boot.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("boot", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
