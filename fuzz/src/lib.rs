//! What the fuzz targets share: a bound on memory, and seeds.

use std::{alloc::System, fs, path::Path};

use cap::Cap;

/// Bytes that one process may hold at a time. An allocation beyond it fails, which ends the process, and
/// libFuzzer keeps the input: so memory is bounded at the moment it is asked for, whatever is written to.
const MOST: usize = 1 << 30;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, MOST);

/// Lays the seeds of a target into its corpus, where libFuzzer looks next.
///
/// # Panics
///
/// Panics if the corpus cannot be written.
pub fn plant(target: &str, seeds: &[Vec<u8>]) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&corpus).expect("the corpus can be made");
    for (i, seed) in seeds.iter().enumerate() {
        fs::write(corpus.join(format!("seed-{i:02}")), seed).expect("the corpus can be written");
    }
}
