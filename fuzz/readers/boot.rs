//! The boot record of a plugin, which the host judges before it calls anything.

use nashost_plugin_api::abi::{
    boot::{ABI_MAJOR, BootInfo, FLAG_PANIC_UNWIND, MAGIC},
    foreign::check_boot,
};

/// The word of the host's libtorch, here.
const HOST: u64 = 0x020b_0000_0000_0000;

/// Takes the bytes for a record; accepts it only if every field fits. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let mut bytes = data.iter().copied().chain(std::iter::repeat(0));
    let mut take = || bytes.next().unwrap_or_default();
    let record = BootInfo {
        magic: std::array::from_fn(|_| take()),
        struct_size: u32::from_le_bytes(std::array::from_fn(|_| take())),
        abi_major: u32::from_le_bytes(std::array::from_fn(|_| take())),
        flags: u32::from_le_bytes(std::array::from_fn(|_| take())),
        pointer_width: u32::from_le_bytes(std::array::from_fn(|_| take())),
        libtorch_abi: u64::from_le_bytes(std::array::from_fn(|_| take())),
        ..BootInfo::new(true, 0)
    };
    let mut accepted = false;
    let unwinds = record.flags & FLAG_PANIC_UNWIND != 0;
    let fits = record.magic == MAGIC
        && record.struct_size == 48
        && record.abi_major == ABI_MAJOR
        && record.pointer_width == 8
        && unwinds;
    for (host, word_fits) in
        [(None, record.libtorch_abi == 0), (Some(HOST), [0, HOST].contains(&record.libtorch_abi))]
    {
        let answer = check_boot(&record, host);
        assert_eq!(answer.is_ok(), fits && word_fits, "{record:?}");
        accepted |= answer.is_ok();
        if let Err(refusal) = answer {
            assert!(!refusal.to_string().is_empty());
        }
    }
    accepted
}

/// Records that are accepted, with and without libtorch.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let record = |word: u64| {
        let mut bytes = MAGIC.to_vec();
        for number in [48, ABI_MAJOR, FLAG_PANIC_UNWIND, 8] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(word.to_le_bytes());
        bytes
    };
    vec![record(0), record(HOST)]
}
