//! What the fuzz targets start from, and what they found, read by the same readers (docs/fuzzing.md).

#[path = "../../fuzz/readers/config.rs"]
mod config;
#[path = "../../fuzz/readers/library.rs"]
mod library;
#[path = "../../fuzz/readers/lock.rs"]
mod lock;
#[path = "../../fuzz/readers/safetensors.rs"]
mod safetensors;

#[test]
fn seeds_are_taken() {
    assert!(config::seeds().iter().all(|seed| config::read(seed)), "config");
    assert!(library::seeds().iter().all(|seed| library::read(seed)), "library");
    assert!(lock::seeds().iter().all(|seed| lock::read(seed)), "lock");
    assert!(safetensors::seeds().iter().all(|seed| safetensors::read(seed)), "safetensors");
}
