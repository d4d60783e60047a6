#![no_main]

#[path = "../readers/csv.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("csv", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
