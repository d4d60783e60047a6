#![no_main]

#[path = "../readers/plainnet.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("plainnet", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
