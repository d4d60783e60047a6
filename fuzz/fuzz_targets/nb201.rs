#![no_main]

#[path = "../readers/nb201.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("nb201", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
