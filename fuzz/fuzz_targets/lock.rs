#![no_main]

#[path = "../readers/lock.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(init: nashost_fuzz::plant("lock", &reader::seeds()), |data: &[u8]| {
    reader::read(data);
});
