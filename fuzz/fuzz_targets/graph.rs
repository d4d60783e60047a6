#![no_main]

#[path = "../readers/graph.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("graph", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
