//! Without the test harness: the allocator is the process's, and threads other than the main one
//! have arenas of their own.

use std::io::Write as _;

use nashost_plugin_torch::{keep_freed_memory, release_freed_memory};
use tch::{Tensor, kind};

/// Pages that the kernel had to bring since the process started.
fn page_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit(')').next().expect("a command in parentheses");
    fields.split_whitespace().nth(7).and_then(|field| field.parse().ok()).expect("minflt")
}

/// Page faults of a process that allocates and frees eight tensors of 4 MiB, round after round.
fn faults_of_rounds() -> u64 {
    let round = || drop((0..8).map(|_| Tensor::ones([1 << 20], kind::FLOAT_CPU)).collect::<Vec<_>>());
    // The allocator needs a few rounds to settle.
    (0..8).for_each(|_| round());
    let before = page_faults();
    (0..8).for_each(|_| round());
    page_faults() - before
}

/// Pages of this process that are in memory.
fn resident_pages() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    statm.split_whitespace().nth(1).and_then(|field| field.parse().ok()).expect("resident pages")
}

fn main() -> std::io::Result<()> {
    // The protocol by which test runners list tests.
    let given = |flag: &str| std::env::args().any(|argument| argument == flag);
    if given("--list") {
        let names = if given("--ignored") { "" } else { "freed_memory_is_kept: test\n" };
        return std::io::stdout().write_all(names.as_bytes());
    }
    let by_default = faults_of_rounds();
    assert!(keep_freed_memory());
    let kept = faults_of_rounds();
    assert!(kept < 1024 && by_default > 10 * kept, "{by_default} page faults by default, {kept} after");
    let before = resident_pages();
    release_freed_memory();
    let after = resident_pages();
    // Eight tensors of 1024 pages each.
    assert!(after + 7 * 1024 < before, "{before} resident pages before, {after} after");
    Ok(())
}
