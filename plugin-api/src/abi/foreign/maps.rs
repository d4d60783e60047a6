//! Files mapped into this process, as the kernel lists them.

use std::{collections::BTreeSet, path::PathBuf};

/// One line of `/proc/self/maps` that belongs to a file.
struct Mapping {
    start: usize,
    end: usize,
    path: PathBuf,
}

fn mappings() -> Vec<Mapping> {
    let text = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    text.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Mapping> {
    let path = &line[line.find('/')?..];
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    Some(Mapping {
        start: usize::from_str_radix(start, 16).ok()?,
        end: usize::from_str_radix(end, 16).ok()?,
        path: PathBuf::from(path),
    })
}

/// Returns the mapped files whose name starts with `prefix`, such as `libtorch_cpu.so`.
pub fn files_named(prefix: &str) -> BTreeSet<PathBuf> {
    mappings()
        .into_iter()
        .map(|m| m.path)
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect()
}

/// Returns the file that `address` is mapped from.
pub fn file_of(address: *const u8) -> Option<PathBuf> {
    let address = address as usize;
    mappings().into_iter().find(|m| (m.start..m.end).contains(&address)).map(|m| m.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_belongs_to_the_test_binary() {
        static PROBE: [u8; 4] = *b"here";
        let exe = std::env::current_exe().unwrap().canonicalize().unwrap();
        assert_eq!(file_of(PROBE.as_ptr()).unwrap(), exe);
        assert_eq!(files_named("libc.so").len(), 1);
        assert!(files_named("libnosuch").is_empty());
    }

    #[test]
    fn anonymous_mappings_are_skipped() {
        assert!(parse("7ffd0000-7ffd1000 rw-p 00000000 00:00 0 [stack]").is_none());
        let m = parse("1000-2000 r-xp 00000000 fe:00 77   /a b/lib x.so").unwrap();
        assert_eq!((m.start, m.end, m.path), (0x1000, 0x2000, PathBuf::from("/a b/lib x.so")));
    }
}
