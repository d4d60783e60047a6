//! Seeds derived from one master seed, so that adding a consumer never shifts another's stream.

use rand::SeedableRng as _;
use sha2::{Digest as _, Sha256};

/// The generator that plugins and host share: portable, the same on every machine.
pub type Rng = rand_chacha::ChaCha8Rng;

/// Returns the seed of the consumer named `path` (such as `trial/17/batches`).
///
/// The first eight bytes, little-endian, of SHA-256 over the master seed's bytes and the path.
pub fn derive_seed(master: u64, path: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(master.to_le_bytes());
    hash.update(path.as_bytes());
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

/// Returns a generator for `seed`.
pub fn rng(seed: u64) -> Rng {
    Rng::seed_from_u64(seed)
}
