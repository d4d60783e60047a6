//! Plugin files, whose manifest is read before they are trusted.

use nashost::plugin::manifest::{fits, parse};

/// Looks for a manifest in the bytes of a shared library. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    match parse(data) {
        Ok(manifest) => match fits(&manifest) {
            Ok(()) => true,
            Err(misfit) => {
                assert!(!misfit.to_string().is_empty());
                false
            }
        },
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// An ELF file of nothing but a manifest.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let manifest = br#"{"schema":1,"abi_major":1,"sdk":"0.1.0","version":"0.1.0","arch":"x86_64","os":"linux","libtorch":null,"plugin":{"id":"demo","description":"","components":{"dataset":["demo"]}}}"#;
    let names = b"\0.nashost\0.shstrtab\0";
    let content = 64;
    let strings = content + manifest.len() as u64;
    let headers = (strings + names.len() as u64).next_multiple_of(8);
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // Shared object, x86-64, version, entry, program headers, section headers, flags.
    file.extend(3_u16.to_le_bytes());
    file.extend(62_u16.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    for offset in [0, 0, headers] {
        file.extend(u64::to_le_bytes(offset));
    }
    file.extend(0_u32.to_le_bytes());
    // Sizes and counts of headers: the file's, program, section; the section of names.
    for size in [64_u16, 56, 0, 64, 3, 2] {
        file.extend(size.to_le_bytes());
    }
    file.extend(manifest);
    file.extend(names);
    file.resize(headers as usize, 0);
    for (name, kind, offset, size) in
        [(0_u32, 0_u32, 0, 0), (1, 1, content, manifest.len() as u64), (10, 3, strings, names.len() as u64)]
    {
        file.extend(name.to_le_bytes());
        file.extend(kind.to_le_bytes());
        for field in [0, 0, offset, size] {
            file.extend(u64::to_le_bytes(field));
        }
        file.extend([0; 8]);
        for field in [1, 0] {
            file.extend(u64::to_le_bytes(field));
        }
    }
    vec![file]
}
