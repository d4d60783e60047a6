//! Numbers that follow from a seed: SplitMix64 (Steele, Lea and Flood 2014).

use std::sync::atomic::{AtomicU64, Ordering};

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

static STATE: AtomicU64 = AtomicU64::new(0);

/// Begins anew from `seed`.
pub(crate) fn seed(seed: u64) {
    STATE.store(mix(seed), Ordering::Relaxed);
}

/// Returns the next number.
pub(crate) fn next() -> u64 {
    mix(STATE.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
