#![no_main]

#[path = "../readers/npz.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("npz", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
